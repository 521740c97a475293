import { type FuncInfo, type LineInfo, writeBtfExt } from '../btf/index.ts';
import {
  type ElfRelocationSpec,
  type ElfSectionSpec,
  type ElfSymbolSpec,
  R_BPF_64_32,
  R_BPF_64_64,
  R_BPF_64_ABS64,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  STB_GLOBAL,
  STB_LOCAL,
  STB_WEAK,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
  writeElf,
} from '../elf/index.ts';
import { FormatError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import { helperName } from '../isa/helper-names.ts';
import { encode, INSN_SIZE, slots } from '../isa/instruction.ts';
import type {
  AssembledSection,
  AssembledSymbol,
  AssembledUnit,
  CodeSection,
  DataSection,
} from '../isa/unit.ts';
import { MAPS_SECTION } from './map-definitions.ts';
import { describeUnit, type PlacedMap, type UnitTypes } from './write-btf.ts';

/**
 * Writes what the assembler made of a text as an object: the ELF file with BTF and .BTF.ext that clang would give for
 * the same program in C. The reverse of {@link parseObject}; the source lines of its programs are those of the text.
 */

const LICENSE_SECTION = 'license';
const RELOCATION_TYPES = { ld_imm64: R_BPF_64_64, call: R_BPF_64_32, abs64: R_BPF_64_ABS64 } as const;
const SYMBOL_TYPES = { function: STT_FUNC, object: STT_OBJECT, notype: STT_NOTYPE } as const;
const BINDINGS = { local: STB_LOCAL, global: STB_GLOBAL, weak: STB_WEAK } as const;

/** Helpers by name, for texts that are assembled without constants of their own. */
function* helperNumbers(): Iterable<readonly [string, bigint]> {
  for (let id = 1, name = helperName(1); name !== undefined; name = helperName(++id))
    yield [`bpf_${name}`, BigInt(id)];
}

/**
 * Assembles a text to an object in one call.
 *
 * @param name the text's file name: in errors, and in the line records.
 * @param constants numbers that the text may name, as for {@link assemble}. Default: the helpers, `bpf_loop` as 181.
 * @throws FormatError whose `offset` is the line of the text.
 */
export function assembleObject(
  text: string,
  name = 'asm',
  constants: Iterable<readonly [string, bigint]> = helperNumbers(),
): Uint8Array {
  return writeObject(assemble(text, name, constants), text);
}

/**
 * The bytes of a relocatable ELF object for an assembled unit.
 *
 * @param text what was assembled, for the text of source lines; without it they are empty.
 * @throws FormatError with the line of what an object cannot express: a function without instructions, values in
 * `.bss`, a map type that does not exist.
 */
export function writeObject(unit: AssembledUnit, text = ''): Uint8Array {
  check(unit);
  const types = describeUnit(unit);
  const symbols = new SymbolTable();
  const indexes = new Map(unit.sections.map(({ name }, index) => [name, index]));
  for (const symbol of unit.symbols) symbols.add(symbolSpec(symbol, indexes.get(symbol.section) as number));
  const mapsIndex = unit.sections.length;
  for (const { map, offset, size } of types.maps)
    symbols.add({ name: map.name, section: mapsIndex, value: offset, size, type: STT_OBJECT });
  for (const { name, weak } of unit.externs)
    symbols.add({ name, section: 'undefined', binding: weak ? STB_WEAK : STB_GLOBAL });

  const sections: ElfSectionSpec[] = unit.sections.map((section) => sectionSpec(section, symbols));
  if (types.maps.length > 0) sections.push(mapsSection(types.maps, symbols));
  if (unit.license !== undefined) sections.push(licenseSection(unit.license));
  sections.push(...typeSections(unit, types, text));
  return writeElf({ sections, symbols: symbols.specs });
}

/** Symbols by name, for relocations. */
class SymbolTable {
  readonly specs: ElfSymbolSpec[] = [];
  readonly #positions = new Map<string, number>();
  /** Symbols that stand for whole sections, by section. */
  readonly #sections = new Map<number, number>();

  add(spec: ElfSymbolSpec): void {
    this.#positions.set(spec.name, this.specs.length);
    this.specs.push(spec);
  }

  relocation(type: number, offset: number, name: string): ElfRelocationSpec {
    return { offset, type, symbol: this.#position(name) };
  }

  /** The symbol of the section that a local function is in, and where in it the function starts, in bytes. */
  localFunction(name: string): { symbol: number; start: number } | undefined {
    const { type, binding, section, value = 0 } = this.specs[this.#position(name)];
    if (type !== STT_FUNC || binding !== STB_LOCAL || typeof section !== 'number') return undefined;
    let symbol = this.#sections.get(section);
    if (symbol === undefined) {
      symbol = this.specs.push({ name: '', section, type: STT_SECTION, binding: STB_LOCAL }) - 1;
      this.#sections.set(section, symbol);
    }
    return { symbol, start: value };
  }

  #position(name: string): number {
    // The assembler has looked: every symbol that is referred to is defined or declared.
    return this.#positions.get(name) as number;
  }
}

/** Refuses what the assembler takes and an object cannot hold. */
function check(unit: AssembledUnit): void {
  const refuse = (line: number, problem: string) => new FormatError(unit.name, line, problem);
  const sections = new Map(unit.sections.map((section) => [section.name, section]));
  for (const { name, section, size, type, line } of unit.symbols) {
    const problem = `\`${name}\` is in section \`${section}\`, which has no content`;
    if (!sections.has(section)) throw refuse(line, problem);
    if (type === 'function' && size === 0) throw refuse(line, `function \`${name}\` has no instructions`);
  }
  const lineIn = (name: string) => unit.symbols.find(({ section }) => section === name)?.line ?? 1;
  for (const section of unit.sections) {
    if (section.kind === 'data' && section.nobits && section.bytes.some((byte) => byte !== 0)) {
      const advice = 'values other than 0 belong into .data';
      throw refuse(lineIn(section.name), `section \`${section.name}\` takes no room in the file; ${advice}`);
    }
  }
  if (unit.maps.length > 0 && sections.has(MAPS_SECTION))
    throw refuse(lineIn(MAPS_SECTION), `section \`${MAPS_SECTION}\` is made of \`.map\` directives`);
  if (unit.license !== undefined && sections.has(LICENSE_SECTION))
    throw refuse(lineIn(LICENSE_SECTION), 'the license is given twice: by `.license` and as a section');
}

function symbolSpec({ name, offset, size, type, binding }: AssembledSymbol, section: number): ElfSymbolSpec {
  return { name, section, value: offset, size, type: SYMBOL_TYPES[type], binding: BINDINGS[binding] };
}

function sectionSpec(section: AssembledSection, symbols: SymbolTable): ElfSectionSpec {
  return section.kind === 'code' ? code(section, symbols) : data(section, symbols);
}

function code({ name, insns, relocations }: CodeSection, symbols: SymbolTable): ElfSectionSpec {
  const bytes = encode(insns);
  const view = new DataView(bytes.buffer);
  const relocated = relocations.map(({ kind, offset, symbol, addend }) => {
    const target = kind === 'ld_imm64' ? symbols.localFunction(symbol) : undefined;
    if (target === undefined) return symbols.relocation(RELOCATION_TYPES[kind], offset, symbol);
    // libbpf takes the address of a local function only in clang's form: the section's symbol and an addend.
    view.setInt32(offset + 4, target.start + addend, true);
    return { offset, type: R_BPF_64_64, symbol: target.symbol };
  });
  const flags = SHF_ALLOC | SHF_EXECINSTR;
  return { name, flags, alignment: INSN_SIZE, data: bytes, relocations: relocated };
}

function data(section: DataSection, symbols: SymbolTable): ElfSectionSpec {
  const { name, bytes, align, nobits, writable } = section;
  const flags = SHF_ALLOC | (writable ? SHF_WRITE : 0);
  const relocations = section.relocations.map(({ kind, offset, symbol }) =>
    symbols.relocation(RELOCATION_TYPES[kind], offset, symbol),
  );
  const base = { name, flags, alignment: align, relocations };
  return nobits ? { ...base, type: SHT_NOBITS, size: bytes.length } : { ...base, data: bytes };
}

function mapsSection(maps: readonly PlacedMap[], symbols: SymbolTable): ElfSectionSpec {
  const end = maps.reduce((most, { offset, size }) => Math.max(most, offset + size), 0);
  const relocations = maps.flatMap(({ map, offset, valuesOffset }) =>
    map.values.map(({ index, symbol }) =>
      symbols.relocation(R_BPF_64_ABS64, offset + valuesOffset + index * 8, symbol),
    ),
  );
  const base = { name: MAPS_SECTION, flags: SHF_ALLOC | SHF_WRITE, alignment: 8 };
  return { ...base, data: new Uint8Array(end), relocations };
}

function licenseSection(license: string): ElfSectionSpec {
  const bytes = new TextEncoder().encode(`${license}\0`);
  return { name: LICENSE_SECTION, flags: SHF_ALLOC | SHF_WRITE, data: bytes };
}

/** `.BTF` and `.BTF.ext`; none when the unit declares nothing. */
function typeSections(
  unit: AssembledUnit,
  { builder, functions }: UnitTypes,
  text: string,
): ElfSectionSpec[] {
  if (builder.count === 1) return [];
  const source = text.split('\n');
  const funcInfo = new Map<string, FuncInfo[]>();
  const lineInfo = new Map<string, LineInfo[]>();
  for (const section of unit.sections) {
    if (section.kind !== 'code') continue;
    const records = functionRecords(section.name, functions);
    funcInfo.set(section.name, records);
    const starts = new Set(records.map(({ insnOffset }) => insnOffset));
    lineInfo.set(section.name, lineRecords(unit.name, section, starts, source));
  }
  // Its strings go into .BTF, which is written after it.
  const ext = writeBtfExt({ funcInfo, lineInfo }, builder);
  return [
    { name: '.BTF', alignment: 4, data: builder.write() },
    { name: '.BTF.ext', alignment: 4, data: ext },
  ];
}

/** One record for each place where a function starts; Linux takes no two for the same instruction. */
function functionRecords(section: string, functions: UnitTypes['functions']): FuncInfo[] {
  const byOffset = new Map<number, number>();
  for (const [symbol, type] of functions)
    if (symbol.section === section && !byOffset.has(symbol.offset)) byOffset.set(symbol.offset, type);
  return [...byOffset].map(([insnOffset, type]) => ({ insnOffset, type })).sort(byInstruction);
}

const byInstruction = (a: FuncInfo, b: FuncInfo): number => a.insnOffset - b.insnOffset;

/** A record wherever another line of the text begins, and at each function's start, where Linux wants one. */
function lineRecords(
  fileName: string,
  { insns, lines }: CodeSection,
  starts: ReadonlySet<number>,
  source: readonly string[],
): LineInfo[] {
  const records: LineInfo[] = [];
  let previous = 0;
  for (let slot = 0; slot < insns.length; slot += slots(insns[slot])) {
    const insnOffset = slot * INSN_SIZE;
    const line = lines[slot];
    if (line === previous && !starts.has(insnOffset)) continue;
    previous = line;
    const text = (source[line - 1] ?? '').trimEnd();
    records.push({ insnOffset, fileName, text, line, column: text.length - text.trimStart().length + 1 });
  }
  return records;
}
