/**
 * What the assembler makes of a text: sections, symbols, relocations and declarations, neutral to any file format. The
 * object writer turns a unit into ELF and BTF; everything it needs beyond the bytes (types of variables, prototypes,
 * map attributes) is here, as the text declared it.
 */

import type { Instruction } from './instruction.ts';

/**
 * A type as declarations write it: `u32`, `struct node __arena *`, `u8[16]`. Integers are normalised to `u8` … `s64`,
 * `bool` and `char`.
 */
export interface CType {
  /** `void`, an integer, or `struct name`, `union name`, `enum name`. */
  readonly base: string;
  /** Levels of indirection: 1 for `u32 *`. */
  readonly pointers: number;
  /** Whether what the pointer points to lives in the arena (address space 1). */
  readonly arena: boolean;
  /** Elements, for an array. */
  readonly count?: number;
}

export interface CParameter {
  /** Empty when the prototype does not name it. */
  readonly name: string;
  readonly type: CType;
}

/** `u32 (void *ctx, u64 flags)`. */
export interface Prototype {
  readonly returns: CType;
  readonly parameters: readonly CParameter[];
}

export type Binding = 'local' | 'global' | 'weak';

export interface AssembledSymbol {
  readonly name: string;
  readonly section: string;
  /** Bytes from the start of the section. */
  readonly offset: number;
  /** Bytes; without `.size` or `.endfunc` up to the next function or variable of the section. */
  readonly size: number;
  /** `notype`: a plain label. */
  readonly type: 'function' | 'object' | 'notype';
  readonly binding: Binding;
  /** Where the text defines it. */
  readonly line: number;
  /** Of a function that was declared with one. */
  readonly prototype?: Prototype;
  /** Of a variable that was declared with one. */
  readonly ctype?: CType;
}

/** A place that needs the address of a symbol. Jumps, and calls of local functions of the same section, need none. */
export interface Relocation {
  /**
   * `ld_imm64` (R_BPF_64_64 on code): both slots' immediates. `call` (R_BPF_64_32): the immediate, which holds −1.
   * `abs64` (R_BPF_64_ABS64): 8 bytes of data.
   */
  readonly kind: 'ld_imm64' | 'call' | 'abs64';
  /** Bytes from the start of the section. */
  readonly offset: number;
  /** A symbol, map or extern of the unit. */
  readonly symbol: string;
  /** Bytes added to the symbol's address; also stands in the immediate or the data, as ELF REL wants it. */
  readonly addend: number;
  readonly line: number;
}

export interface CodeSection {
  readonly kind: 'code';
  readonly name: string;
  readonly insns: readonly Instruction[];
  /** The line of the text of each slot. */
  readonly lines: readonly number[];
  readonly relocations: readonly Relocation[];
}

export interface DataSection {
  readonly kind: 'data';
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Bytes; a power of two. */
  readonly align: number;
  /** All bytes are zero and need no room in a file: a `.bss` section. */
  readonly nobits: boolean;
  /** Whether programs may write: false for `.rodata`. */
  readonly writable: boolean;
  readonly relocations: readonly Relocation[];
}

export type AssembledSection = CodeSection | DataSection;

/** A `.map` declaration; attributes that the text leaves out are absent. */
export interface MapDeclaration {
  readonly name: string;
  readonly line: number;
  /** The map type's name in lower case without BPF_MAP_TYPE_ (`arena`, `hash`), or its number. */
  readonly type: string | number;
  /** Bytes. */
  readonly keySize?: number;
  /** Bytes. */
  readonly valueSize?: number;
  /** Entries; pages for an arena. */
  readonly maxEntries?: number;
  readonly mapFlags?: number;
  /** Of an arena: the wanted user_vm_start. */
  readonly mapExtra?: bigint;
  readonly numaNode?: number;
  /** 0: not pinned; 1: by name. */
  readonly pinning?: number;
  readonly key?: CType;
  readonly value?: CType;
  /** The map that stands for the inner maps of a map of maps. */
  readonly inner?: string;
  /** Initial values: maps or programs by index. */
  readonly values: readonly { readonly index: number; readonly symbol: string }[];
}

/** Something the unit uses and another provides. */
export interface ExternDeclaration {
  readonly name: string;
  readonly line: number;
  /** `kfunc` and `ksym` come from the kernel, `kconfig` from its configuration, `func` from another object. */
  readonly kind: 'kfunc' | 'ksym' | 'kconfig' | 'func';
  readonly weak: boolean;
  /** Of a kfunc or func that was declared with one. */
  readonly prototype?: Prototype;
  /** Of a ksym or kconfig that was declared with one. */
  readonly ctype?: CType;
}

/** A `.decl_tag`: what clang writes for `__attribute__((btf_decl_tag("text")))`. */
export interface DeclTag {
  /** A function of the unit. */
  readonly symbol: string;
  /** The parameter that it belongs to, counted from 0; absent for the function itself. */
  readonly parameter?: number;
  readonly text: string;
  readonly line: number;
}

export interface AssembledUnit {
  /** The name `assemble` was given. */
  readonly name: string;
  readonly license?: string;
  /** C declarations of the types that the text names. */
  readonly types?: string;
  readonly declTags: readonly DeclTag[];
  /** In the order in which the text first names them; sections without content are left out. */
  readonly sections: readonly AssembledSection[];
  readonly symbols: readonly AssembledSymbol[];
  readonly maps: readonly MapDeclaration[];
  readonly externs: readonly ExternDeclaration[];
}
