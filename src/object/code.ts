import {
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  R_BPF_64_32,
  R_BPF_64_64,
  SHF_EXECINSTR,
  SHT_PROGBITS,
  STB_LOCAL,
  STT_FUNC,
  STT_NOTYPE,
  STV_HIDDEN,
  STV_INTERNAL,
} from '../elf/index.ts';
import { FormatError } from '../errors.ts';
import { decode, INSN_SIZE, type Instruction, isLdImm64, subprogramTarget } from '../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, opcode } from '../isa/opcodes.ts';
import { ARENA_SECTION, type DataSection } from './data-sections.ts';
import type { Extern } from './externs.ts';
import { MAPS_SECTION } from './map-definitions.ts';
import type { ObjectFile } from './object-file.ts';

/**
 * The code of an object: its sections of instructions, the functions in them, and what every relocation refers to, by
 * name. Afterwards nobody needs the ELF file any more. Rules: libbpf's bpf_program__record_reloc, and
 * Documentation/bpf/llvm_reloc.rst.
 */

/** Section of functions that are only called, never loaded by themselves. */
export const TEXT_SECTION = '.text';

/** A function: a program's entry, or something that is called. */
export interface CodeFunction {
  readonly name: string;
  readonly section: CodeSection;
  /** First slot in the section. */
  readonly start: number;
  /** One past the last slot. */
  readonly end: number;
  /** To the verifier: a static function is followed, a global one verified on its own. Hidden ones count as static. */
  readonly linkage: 'static' | 'global';
  /** Defined with STB_LOCAL. */
  readonly local: boolean;
}

export interface CodeSection {
  readonly name: string;
  readonly insns: readonly Instruction[];
  /** By address. */
  readonly functions: readonly CodeFunction[];
  /** Names that compilers give to slots inside functions (`LBB0_3`). */
  readonly labels: ReadonlyMap<number, string>;
  /** What the instruction in a slot refers to. */
  readonly references: ReadonlyMap<number, Reference>;
}

/** What an instruction refers to. */
export type Reference =
  /** ld_imm64 of a map. */
  | { kind: 'map'; map: string }
  /** ld_imm64 of an address in a data section. Offset in bytes. */
  | { kind: 'data'; section: string; offset: number }
  /** ld_imm64 of an address among the arena's globals. Offset in bytes, from the first of them. */
  | { kind: 'arena_global'; offset: number }
  /** call of a function of this object. */
  | { kind: 'call'; callee: CodeFunction }
  /** ld_imm64 of the address of a function of this object, for callbacks. */
  | { kind: 'function'; callee: CodeFunction }
  /** call of a kfunc, or ld_imm64 of a kernel variable or a kconfig value. */
  | { kind: 'extern'; extern: Extern };

interface Symbols {
  file: ObjectFile;
  sections: Map<number, MutableSection>;
  data: Map<number, DataSection>;
  maps: Map<number, string>;
  externs: Map<string, Extern>;
}

/** Reads all code sections; relocations are resolved once all functions are known. */
export function readCode(
  file: ObjectFile,
  data: readonly DataSection[],
  externs: readonly Extern[],
): CodeSection[] {
  const sections = readSections(file);
  const mapsSection = file.section(MAPS_SECTION);
  const symbols: Symbols = {
    file,
    sections,
    data: new Map(data.map((section) => [section.index, section])),
    maps: new Map(mapsSection ? file.symbolsOf(mapsSection).map(({ value, name }) => [value, name]) : []),
    externs: new Map(externs.map((each) => [each.name, each])),
  };
  for (const [index, code] of sections) {
    for (const relocation of file.elf.relocations.get(index) ?? []) {
      const slot = slotOf(code, relocation);
      code.references.set(slot, resolve(symbols, code, slot, relocation.symbol));
    }
    addLocalCalls(code);
  }
  return [...sections.values()];
}

/** The code sections by their place in the ELF file, without what their instructions refer to. */
export function readSections(file: ObjectFile): Map<number, MutableSection> {
  const executable = file.elf.sections.filter(
    ({ type, flags, size }) => type === SHT_PROGBITS && (flags & SHF_EXECINSTR) !== 0 && size > 0,
  );
  return new Map(executable.map((section) => [section.index, readSection(file, section)]));
}

interface MutableSection extends CodeSection {
  references: Map<number, Reference>;
  /** By their first slot. */
  functionsByStart: Map<number, CodeFunction>;
}

function readSection(file: ObjectFile, section: ElfSection): MutableSection {
  const insns = decode(section.data, section.name);
  const symbols = file
    .symbolsOf(section)
    .filter(({ type }) => type === STT_FUNC)
    .sort((a, b) => a.value - b.value);
  const labels = file
    .symbolsOf(section)
    .filter(({ type, value }) => type === STT_NOTYPE && value % INSN_SIZE === 0);
  const code: MutableSection = {
    name: section.name,
    insns,
    functions: [],
    labels: new Map(labels.map(({ value, name }) => [value / INSN_SIZE, name])),
    references: new Map(),
    functionsByStart: new Map(),
  };
  const functions = symbols.map((symbol, index): CodeFunction => {
    const end = symbol.size > 0 ? symbol.value + symbol.size : (symbols[index + 1]?.value ?? section.size);
    if (
      symbol.value % INSN_SIZE !== 0 ||
      end % INSN_SIZE !== 0 ||
      end > section.size ||
      end <= symbol.value
    ) {
      throw new FormatError(
        section.name,
        symbol.value,
        `function '${symbol.name}' ends at ${end} of ${section.size}`,
      );
    }
    const hidden = symbol.visibility === STV_HIDDEN || symbol.visibility === STV_INTERNAL;
    const local = symbol.binding === STB_LOCAL;
    return {
      name: symbol.name,
      section: code,
      start: symbol.value / INSN_SIZE,
      end: end / INSN_SIZE,
      linkage: local || hidden ? 'static' : 'global',
      local,
    };
  });
  // Of two names for one function, the first stands for it.
  for (const each of functions.toReversed()) code.functionsByStart.set(each.start, each);
  return Object.assign(code, { functions });
}

function slotOf(code: CodeSection, { offset, type }: ElfRelocation): number {
  if (type !== R_BPF_64_64 && type !== R_BPF_64_32) {
    throw new FormatError(code.name, offset, `relocation type ${type} is not one of BPF code`);
  }
  if (offset % INSN_SIZE !== 0 || offset / INSN_SIZE >= code.insns.length) {
    throw new FormatError(code.name, offset, 'the relocation does not point at an instruction');
  }
  return offset / INSN_SIZE;
}

function resolve(symbols: Symbols, code: CodeSection, slot: number, symbol: ElfSymbol): Reference {
  const { file } = symbols;
  const insn = code.insns[slot];
  const refuse = (problem: string) => new FormatError(code.name, slot * INSN_SIZE, problem);
  const section = file.sectionOf(symbol);
  const name = symbol.name || section?.name || `symbol ${symbol.index}`;
  const extern = section === undefined ? symbols.externs.get(symbol.name) : undefined;
  if (opcode(insn.code)?.kind === 'call') {
    if (extern?.kind === 'kfunc') return { kind: 'extern', extern };
    const target = section && symbols.sections.get(section.index);
    if (insn.src === BPF_PSEUDO_CALL && target !== undefined) {
      // The symbol is the function (imm −1), or the section (imm the distance in slots, less 1).
      return { kind: 'call', callee: functionAt(target, symbol.value / INSN_SIZE + insn.imm + 1, refuse) };
    }
    throw refuse(`call of '${name}', which is no function of this object and no kfunc`);
  }
  if (!isLdImm64(insn))
    throw refuse(`'${name}' is referred to by an instruction that is neither call nor ld_imm64`);
  if (extern !== undefined) return { kind: 'extern', extern };
  if (section === undefined) throw refuse(`'${name}' is not defined, nor declared with type information`);
  const code64 = symbols.sections.get(section.index);
  if (code64 !== undefined) {
    return { kind: 'function', callee: functionAt(code64, (symbol.value + insn.imm) / INSN_SIZE, refuse) };
  }
  const data = symbols.data.get(section.index);
  if (data !== undefined) {
    const offset = symbol.value + insn.imm;
    if (data.name === ARENA_SECTION) return { kind: 'arena_global', offset };
    return { kind: 'data', section: data.name, offset };
  }
  const map = section.name === MAPS_SECTION ? symbols.maps.get(symbol.value + insn.imm) : undefined;
  if (map !== undefined) return { kind: 'map', map };
  throw refuse(`'${name}' in section '${section.name}' is neither map, function nor global variable`);
}

function functionAt(
  code: MutableSection,
  slot: number,
  refuse: (problem: string) => FormatError,
): CodeFunction {
  const found = code.functionsByStart.get(slot);
  if (found !== undefined) return found;
  throw refuse(`no function starts at instruction ${slot} of section '${code.name}'`);
}

/** Calls within a section may come without a relocation; the distance says which function is meant. */
function addLocalCalls(code: MutableSection): void {
  code.insns.forEach((insn, slot) => {
    const target = subprogramTarget(insn, slot);
    if (target === undefined || code.references.has(slot)) return;
    const refuse = (problem: string) => new FormatError(code.name, slot * INSN_SIZE, problem);
    const kind = insn.src === BPF_PSEUDO_FUNC && isLdImm64(insn) ? 'function' : 'call';
    code.references.set(slot, { kind, callee: functionAt(code, target, refuse) });
  });
}
