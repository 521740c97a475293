/**
 * What an ELF object looks like to the rest of the package: plain records, already checked against the file's bounds.
 * Numbers keep their ELF meaning; compare them with the names in constants.ts.
 */

/** One section header with its bytes. All sizes, offsets and addresses are in bytes. */
export interface ElfSection {
  /** Position in the section header table; 0 is the null section. */
  readonly index: number;
  readonly name: string;
  /** SHT_* */
  readonly type: number;
  /** SHF_* bits */
  readonly flags: number;
  readonly address: number;
  /** Of the data, in the file. */
  readonly offset: number;
  /** May exceed `data.length` for SHT_NOBITS only. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
  /** A view of the file's own bytes, not a copy; empty for SHT_NOBITS and SHT_NULL. */
  readonly data: Uint8Array;
}

/** One entry of the symbol table. */
export interface ElfSymbol {
  /** Position in the symbol table; 0 is the null symbol. */
  readonly index: number;
  /** Empty for section symbols. */
  readonly name: string;
  /** Offset in the symbol's section, in bytes. */
  readonly value: number;
  /** Bytes. */
  readonly size: number;
  /** STT_* */
  readonly type: number;
  /** STB_* */
  readonly binding: number;
  /** STV_* */
  readonly visibility: number;
  /** Section index, or SHN_UNDEF, SHN_ABS, SHN_COMMON. */
  readonly section: number;
}

/** One relocation, of a SHT_REL or SHT_RELA section. */
export interface ElfRelocation {
  /** Bytes into the section it changes. */
  readonly offset: number;
  /** R_BPF_* */
  readonly type: number;
  readonly symbol: ElfSymbol;
  /** Of SHT_RELA only; SHT_REL keeps the addend in the bytes to change. */
  readonly addend?: bigint;
}

/** A relocatable BPF object. */
export interface ElfFile {
  /** All section headers, the null section first: `sections[i].index === i`. */
  readonly sections: readonly ElfSection[];
  /** The symbol table, the null symbol first; empty when the file has none. */
  readonly symbols: readonly ElfSymbol[];
  /** By index of the section that the relocations change, in file order. */
  readonly relocations: ReadonlyMap<number, readonly ElfRelocation[]>;
}

/** A section to write. String tables, the symbol table and relocation sections are added by the writer. */
export interface ElfSectionSpec {
  readonly name: string;
  /** SHT_*, default SHT_PROGBITS */
  readonly type?: number;
  /** SHF_*, default 0 */
  readonly flags?: number;
  /** Bytes, a power of two, default 1. */
  readonly alignment?: number;
  readonly entrySize?: number;
  readonly data?: Uint8Array;
  /** Bytes of a SHT_NOBITS section; others take it from `data`. */
  readonly size?: number;
  readonly relocations?: readonly ElfRelocationSpec[];
}

/** A symbol to write. The writer puts local symbols first, as ELF demands. */
export interface ElfSymbolSpec {
  readonly name: string;
  readonly value?: number;
  readonly size?: number;
  /** STT_*, default STT_NOTYPE */
  readonly type?: number;
  /** STB_*, default STB_GLOBAL */
  readonly binding?: number;
  /** STV_*, default STV_DEFAULT */
  readonly visibility?: number;
  /** Position in `ElfSpec.sections`, or 'undefined' for a symbol this object lacks, or 'absolute'. */
  readonly section: number | 'undefined' | 'absolute';
}

/** A relocation to write (SHT_REL: the addend is in the bytes). */
export interface ElfRelocationSpec {
  readonly offset: number;
  /** R_BPF_* */
  readonly type: number;
  /** Position in `ElfSpec.symbols`. */
  readonly symbol: number;
}

/** A relocatable BPF object to write. */
export interface ElfSpec {
  readonly sections: readonly ElfSectionSpec[];
  readonly symbols: readonly ElfSymbolSpec[];
}
