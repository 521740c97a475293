/**
 * Collects what the statements of a text define: bytes and instructions by section, labels, declarations. `finish` then
 * resolves jumps and local calls, which need all labels, and leaves relocations for the rest. assembler.ts and
 * directives.ts feed it.
 */

import { FormatError } from '../errors.ts';
import { similarHelper } from './helper-names.ts';
import type { Instruction } from './instruction.ts';
import { decode, INSN_SIZE } from './instruction.ts';
import { opcode } from './opcodes.ts';
import type { Reference } from './parse.ts';
import type {
  AssembledSection,
  AssembledSymbol,
  AssembledUnit,
  Binding,
  CType,
  DeclTag,
  ExternDeclaration,
  MapDeclaration,
  Prototype,
  Relocation,
} from './unit.ts';

/** No unit needs more, and a text must not be able to ask for unlimited memory: `.zero 0xffffffff`. */
const MAX_SECTION_BYTES = { data: 64 * 1024 * 1024, code: 8 * 1024 * 1024 } as const;

/** Names that only the assembler sees, as in GNU as: they become symbols only where a relocation needs one. */
const LOCAL_LABEL = /^\.L/;

interface OpenSection {
  readonly name: string;
  readonly kind: 'code' | 'data';
  readonly insns: Instruction[];
  readonly lines: number[];
  /** Data; in code the bytes of a slot that directives have begun. */
  bytes: Uint8Array;
  length: number;
  align: number;
  readonly relocations: Relocation[];
  /** Offsets of each numeric label, ascending. */
  readonly numericLabels: Map<string, number[]>;
  readonly references: { slot: number; reference: Reference; line: number }[];
}

/** What directives may set about a symbol, before or after its label. */
export interface SymbolAttributes {
  binding?: Binding;
  type?: 'function' | 'object';
  size?: number;
  prototype?: Prototype;
  ctype?: CType;
}

interface Label {
  readonly name: string;
  readonly section: OpenSection;
  readonly offset: number;
  readonly line: number;
}

/** Section names that hold data when `.section` gives no flags; programs live in sections of any other name. */
const DATA_SECTION =
  /^(?:maps|license|version|\.(?:data|rodata|bss|addr_space\.1|maps|kconfig|ksyms|struct_ops)(?:[._].*)?)$/;

/** Collects the statements of one text. */
export class Builder {
  readonly name: string;
  readonly constants: Map<string, bigint>;
  readonly maps: MapDeclaration[] = [];
  readonly externs: ExternDeclaration[] = [];
  license: string | undefined;
  types: string | undefined;
  readonly declTags: DeclTag[] = [];
  private readonly sections = new Map<string, OpenSection>();
  private readonly labels = new Map<string, Label>();
  /** The line that gave each name its meaning: label, map or extern. */
  private readonly defined = new Map<string, number>();
  private readonly attributes = new Map<string, SymbolAttributes>();
  private current: OpenSection;

  constructor(name: string, constants: Iterable<readonly [string, bigint]>) {
    this.name = name;
    this.constants = new Map(constants);
    this.current = this.enter('.text');
  }

  /** Makes a section current, creating it. `kind` defaults to what the name says. */
  enter(name: string, kind?: 'code' | 'data', line = 0): OpenSection {
    const known = this.sections.get(name);
    if (known !== undefined && kind !== undefined && known.kind !== kind) {
      this.reject(line, `section \`${name}\` holds ${known.kind}; its flags cannot change`);
    }
    this.current = known ?? {
      name,
      kind: kind ?? (DATA_SECTION.test(name) ? 'data' : 'code'),
      insns: [],
      lines: [],
      bytes: new Uint8Array(0),
      length: 0,
      align: 1,
      relocations: [],
      numericLabels: new Map(),
      references: [],
    };
    this.sections.set(name, this.current);
    return this.current;
  }

  /** Bytes emitted to the current section so far. */
  get offset(): number {
    return this.current.insns.length * INSN_SIZE + this.current.length;
  }

  get inCode(): boolean {
    return this.current.kind === 'code';
  }

  attributesOf(name: string): SymbolAttributes {
    const attributes = this.attributes.get(name) ?? {};
    this.attributes.set(name, attributes);
    return attributes;
  }

  label(name: string, line: number): void {
    if (/^\d+$/.test(name)) {
      const places = this.current.numericLabels.get(name) ?? [];
      places.push(this.offset);
      this.current.numericLabels.set(name, places);
      return;
    }
    if (/^[rw]\d+$/i.test(name)) this.reject(line, `\`${name}\` is a register; a label needs another name`);
    this.define(name, line);
    this.labels.set(name, { name, section: this.current, offset: this.offset, line });
  }

  /** The offset of a label of the current section, or undefined. */
  offsetOf(name: string): number | undefined {
    const label = this.labels.get(name);
    return label?.section === this.current ? label.offset : undefined;
  }

  declareMap(map: MapDeclaration): void {
    this.define(map.name, map.line);
    this.maps.push(map);
  }

  declareExtern(declared: ExternDeclaration): void {
    this.define(declared.name, declared.line);
    this.externs.push(declared);
  }

  /** @throws FormatError when the text has already given the name to something. */
  private define(name: string, line: number): void {
    const earlier = this.defined.get(name);
    if (earlier !== undefined) this.reject(line, `\`${name}\` is already defined in line ${earlier}`);
    this.defined.set(name, line);
  }

  instruction(insns: readonly Instruction[], reference: Reference | undefined, line: number): void {
    const section = this.current;
    if (section.kind === 'data') {
      this.reject(
        line,
        `section \`${section.name}\` holds data; instructions need a code section such as \`.text\``,
      );
    }
    this.requireWholeSlots(section, line);
    if (reference !== undefined) section.references.push({ slot: section.insns.length, reference, line });
    for (const insn of insns) {
      section.insns.push({ ...insn });
      section.lines.push(line);
    }
  }

  /** Appends bytes; in a code section every eight of them become a slot. */
  data(bytes: Uint8Array, line: number): void {
    const section = this.current;
    this.reserve(bytes.length, line);
    section.bytes.set(bytes, section.length);
    section.length += bytes.length;
    if (section.kind === 'code') this.takeSlots(section, line);
  }

  /** Appends `count` bytes of one value. */
  fill(count: number, value: number, line: number): void {
    const section = this.current;
    this.reserve(count, line);
    section.bytes.fill(value, section.length, section.length + count);
    section.length += count;
    if (section.kind === 'code') this.takeSlots(section, line);
  }

  /** Pads to a multiple of `align` bytes, a power of two. */
  alignTo(align: number, line: number): void {
    if (this.inCode) {
      if (align > INSN_SIZE)
        this.reject(line, `code is aligned to ${INSN_SIZE} bytes; it cannot be to ${align}`);
      return;
    }
    this.current.align = Math.max(this.current.align, align);
    this.fill((align - (this.offset % align)) % align, 0, line);
  }

  /** Appends the 8-byte address of a symbol. */
  pointer(symbol: string, addend: bigint, line: number): void {
    if (this.inCode)
      this.reject(line, `expected a number: code holds the address of \`${symbol}\` in a ld_imm64`);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, addend, true);
    this.current.relocations.push({
      kind: 'abs64',
      offset: this.offset,
      symbol,
      addend: Number(addend),
      line,
    });
    this.data(bytes, line);
  }

  private reserve(count: number, line: number): void {
    const section = this.current;
    const limit = MAX_SECTION_BYTES[section.kind];
    if (this.offset + count > limit) {
      this.reject(line, `section \`${section.name}\` would grow past ${limit >> 20} MiB`);
    }
    const needed = section.length + count;
    if (needed <= section.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * section.bytes.length, 64));
    grown.set(section.bytes.subarray(0, section.length));
    section.bytes = grown;
  }

  /** Turns whole slots of data in code into instructions; a ld_imm64 is taken slot by slot. */
  private takeSlots(section: OpenSection, line: number): void {
    const whole = section.length - (section.length % INSN_SIZE);
    for (let at = 0; at < whole; at += INSN_SIZE) {
      // A zero slot behind it satisfies decode() when the first half of a ld_imm64 stands alone.
      const padded = new Uint8Array(2 * INSN_SIZE);
      padded.set(section.bytes.subarray(at, at + INSN_SIZE));
      section.insns.push(decode(padded)[0]);
      section.lines.push(line);
    }
    section.bytes.copyWithin(0, whole, section.length);
    section.length -= whole;
  }

  private requireWholeSlots(section: OpenSection, line: number): void {
    if (section.length === 0) return;
    this.reject(
      line,
      `the data before this in \`${section.name}\` ends ${section.length} bytes into an instruction`,
    );
  }

  reject(line: number, problem: string): never {
    throw new FormatError(this.name, line, problem);
  }

  /** Resolves what can be resolved and hands out the unit. */
  finish(lastLine: number): AssembledUnit {
    for (const section of this.sections.values()) {
      if (section.kind === 'code') this.requireWholeSlots(section, lastLine);
      for (const { slot, reference, line } of section.references)
        this.resolve(section, slot, reference, line);
      for (const { symbol, line } of section.relocations) this.requireDefined(symbol, line);
    }
    for (const { values, inner, line } of this.maps) {
      for (const { symbol } of values) this.requireDefined(symbol, line);
      if (inner !== undefined) this.requireDefined(inner, line);
    }
    return {
      name: this.name,
      license: this.license,
      types: this.types,
      declTags: this.declTags,
      sections: [...this.sections.values()].flatMap((section) => close(section) ?? []),
      symbols: this.symbols(),
      maps: this.maps,
      externs: this.externs,
    };
  }

  private requireDefined(name: string, line: number): void {
    if (this.defined.has(name)) return;
    const similar = similarHelper(name);
    const advice =
      similar === undefined
        ? 'what the kernel or another object provides needs `.extern`'
        : `did you mean \`${similar}\`?`;
    this.reject(line, `\`${name}\` is not defined here; ${advice}`);
  }

  private resolve(
    section: OpenSection,
    slot: number,
    { kind, symbol, addend }: Reference,
    line: number,
  ): void {
    const insn = section.insns[slot];
    if (kind === 'jump') {
      const distance = this.jumpTarget(section, slot, symbol, line) - (slot + 1);
      const row = opcode(insn.code);
      const field = row?.kind === 'goto' ? row.distance : 'off';
      if (field === 'off' && (distance < -0x8000 || distance > 0x7fff)) {
        this.reject(
          line,
          `\`${symbol}\` is ${distance} instructions away, too far for 16 bits; use \`gotol\``,
        );
      }
      insn[field] = distance;
      return;
    }
    const label = this.labels.get(symbol);
    const local = label !== undefined && (this.attributes.get(symbol)?.binding ?? 'local') === 'local';
    if (kind === 'call' && local && label.section === section) {
      insn.imm = label.offset / INSN_SIZE - (slot + 1);
      return;
    }
    section.relocations.push({ kind, offset: slot * INSN_SIZE, symbol, addend, line });
  }

  /** The slot a jump goes to. */
  private jumpTarget(section: OpenSection, slot: number, symbol: string, line: number): number {
    const numeric = /^(\d+)([bf])$/.exec(symbol);
    if (numeric !== null) {
      const places = section.numericLabels.get(numeric[1]) ?? [];
      const next = countUpTo(places, slot * INSN_SIZE);
      const offset = numeric[2] === 'b' ? places[next - 1] : places[next];
      if (offset === undefined) this.reject(line, `label \`${symbol}\` is not defined`);
      return offset / INSN_SIZE;
    }
    const label = this.labels.get(symbol);
    if (label === undefined) this.reject(line, `label \`${symbol}\` is not defined`);
    if (label.section !== section) {
      this.reject(
        line,
        `label \`${symbol}\` is in section \`${label.section.name}\`; jumps stay in their section`,
      );
    }
    return label.offset / INSN_SIZE;
  }

  private symbols(): AssembledSymbol[] {
    const referenced = new Set(
      [...this.sections.values()].flatMap(({ relocations }) => relocations.map(({ symbol }) => symbol)),
    );
    const labels = [...this.labels.values()].filter(
      ({ name }) => !LOCAL_LABEL.test(name) || referenced.has(name),
    );
    // A symbol ends where the next one of its section that has a size begins.
    const starts = new Map<OpenSection, number[]>();
    for (const label of labels) {
      if (this.typeOf(label) === 'notype') continue;
      const offsets = starts.get(label.section) ?? [];
      offsets.push(label.offset);
      starts.set(label.section, offsets);
    }
    return labels.map((label) => {
      const { name, section, offset, line } = label;
      const { binding = 'local', size, prototype, ctype } = this.attributes.get(name) ?? {};
      const type = this.typeOf(label);
      const offsets = starts.get(section) ?? [];
      const end = offsets[countUpTo(offsets, offset)] ?? section.insns.length * INSN_SIZE + section.length;
      const extent = type === 'notype' ? 0 : end - offset;
      return {
        name,
        section: section.name,
        offset,
        size: size ?? extent,
        type,
        binding,
        line,
        prototype,
        ctype,
      };
    });
  }

  private typeOf({ name, section }: Label): AssembledSymbol['type'] {
    const { type, binding = 'local' } = this.attributes.get(name) ?? {};
    if (type !== undefined) return type;
    if (section.kind === 'data') return 'object';
    return binding === 'local' ? 'notype' : 'function';
  }
}

/** How many of these ascending numbers are at most `limit`. */
function countUpTo(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The finished section, or undefined when nothing was put into it. */
function close(section: OpenSection): AssembledSection | undefined {
  const { kind, name, insns, lines, relocations, align } = section;
  if (insns.length + section.length === 0) return undefined;
  if (kind === 'code') return { kind, name, insns, lines, relocations };
  const bytes = section.bytes.slice(0, section.length);
  const nobits = /^\.bss(?:\..*)?$/.test(name);
  return {
    kind,
    name,
    bytes,
    align,
    nobits,
    writable: !/^\.rodata(?:\..*)?$|^license$/.test(name),
    relocations,
  };
}
