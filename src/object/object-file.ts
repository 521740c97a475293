import { Btf, type BtfExt, readBtfExt } from '../btf/index.ts';
import { completeTypes } from '../dwarf/index.ts';
import {
  type ElfFile,
  type ElfSection,
  type ElfSymbol,
  readElf,
  SHN_LORESERVE,
  SHT_NOBITS,
  STT_SECTION,
} from '../elf/index.ts';
import { BpfError, FormatError } from '../errors.ts';
import { INSN_SIZE } from '../isa/instruction.ts';
import { countBefore } from './search.ts';

/**
 * The ELF file and its type information, as the other files of this room want to ask it: sections by name, symbols by
 * what they stand for.
 */
export class ObjectFile {
  /** Of the object: the file's name without folder and endings, as libbpf names it. */
  readonly name: string;
  readonly elf: ElfFile;
  readonly btf: Btf | undefined;
  readonly ext: BtfExt | undefined;
  /** What was ignored, for whoever wonders why. */
  readonly warnings: string[] = [];
  #types: Btf | undefined;
  /** Bytes of zeroes that {@link contents} has given. */
  #zeroes = 0;
  /** By the index of their section. */
  readonly #symbols = new Map<number, ElfSymbol[]>();

  constructor(bytes: Uint8Array, name: string) {
    this.name = name;
    // A Node Buffer's slice() shares its memory; a plain array's copies.
    this.elf = readElf(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    for (const symbol of this.elf.symbols) {
      if (symbol.type === STT_SECTION || symbol.name === '') continue;
      const symbols = this.#symbols.get(symbol.section);
      if (symbols === undefined) this.#symbols.set(symbol.section, [symbol]);
      else symbols.push(symbol);
    }
    const btf = this.section('.BTF');
    this.btf = btf && Btf.read(btf.data);
    const ext = this.section('.BTF.ext');
    this.ext = ext && this.btf && inOrder(readBtfExt(ext.data, this.btf));
  }

  /**
   * The types as user space wants them: BTF, with what clang left out of it taken from the debug information, if there
   * is any. Ids are those of {@link btf}.
   */
  get types(): Btf | undefined {
    this.#types ??= this.btf && this.#completed(this.btf);
    return this.#types;
  }

  #completed(btf: Btf): Btf {
    const bytes = (name: string) => this.section(name)?.data;
    const [info, abbrev] = [bytes('.debug_info'), bytes('.debug_abbrev')];
    if (info === undefined || abbrev === undefined) return btf;
    const [str, lineStr, strOffsets] = ['.debug_str', '.debug_line_str', '.debug_str_offsets'].map(bytes);
    try {
      return completeTypes(btf, { info, abbrev, str, lineStr, strOffsets });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.warnings.push(`the debug information is not used: ${error.message}`);
      return btf;
    }
  }

  section(name: string): ElfSection | undefined {
    return this.elf.sections.find((section) => section.name === name);
  }

  /** The named symbols that are defined in a section. */
  symbolsOf(section: ElfSection): readonly ElfSymbol[] {
    return this.#symbols.get(section.index) ?? [];
  }

  /** The section a symbol is defined in; undefined for symbols that the object lacks, or that have no section. */
  sectionOf(symbol: ElfSymbol): ElfSection | undefined {
    const defined = symbol.section > 0 && symbol.section < SHN_LORESERVE;
    return defined ? this.elf.sections[symbol.section] : undefined;
  }

  /** A section's bytes, zeroes for one without (`.bss`). Throws when those are more than anything BPF can load. */
  contents(section: ElfSection): Uint8Array {
    if (section.type !== SHT_NOBITS) return section.data.slice();
    this.#zeroes += section.size;
    if (this.#zeroes > MAX_ZEROES) {
      throw new FormatError(section.name, 0, `${section.size} bytes are more than map values can have`);
    }
    return new Uint8Array(section.size);
  }

  /** The source line of a slot in a code section, as text; undefined when there is no line information. */
  sourceAt(section: string, slot: number): string | undefined {
    const lines = this.ext?.lineInfo.get(section) ?? [];
    const following = countBefore(lines, (slot + 1) * INSN_SIZE, ({ insnOffset }) => insnOffset);
    return lines[following - 1]?.text.trim() || undefined;
  }

  /** The type information that a declaration needs. Throws EINVAL when the object has none. */
  requireBtf(what: string): Btf {
    if (this.btf !== undefined) return this.btf;
    throw new BpfError('EINVAL', `${this.name}: ${what} needs type information; compile with -g`);
  }
}

/** Of all `.bss` sections together, in bytes: far above every real object's, and bounded, as files can claim any. */
const MAX_ZEROES = 2 ** 27;

interface InsnRecord {
  readonly insnOffset: number;
}

/** Compilers write one record an instruction, in ascending order, and whoever looks records up relies on it. */
function inOrder({ funcInfo, lineInfo, coreRelos }: BtfExt): BtfExt {
  const sorted = <Row extends InsnRecord>(table: ReadonlyMap<string, readonly Row[]>) =>
    new Map([...table].map(([section, rows]) => [section, ascending(rows)]));
  return { funcInfo: sorted(funcInfo), lineInfo: sorted(lineInfo), coreRelos: sorted(coreRelos) };
}

/** The records in ascending order; of several for one instruction the first. */
function ascending<Row extends InsnRecord>(rows: readonly Row[]): readonly Row[] {
  const isAscending = rows.every((row, i) => i === 0 || row.insnOffset > rows[i - 1].insnOffset);
  if (isAscending) return rows;
  const byOffset = rows.toSorted((a, b) => a.insnOffset - b.insnOffset);
  return byOffset.filter((row, i) => i === 0 || row.insnOffset > byOffset[i - 1].insnOffset);
}
