/**
 * BTF's types as a discriminated union on `kind`, with Linux's field names where Linux has one
 * (Documentation/bpf/btf.rst, include/uapi/linux/btf.h). A field called `type` holds a type id; id 0 is void.
 * Sizes and offsets are in bytes unless the name says bits.
 */

/** `BTF_KIND_*` by the name that this package and `bpftool` give it. */
export const BTF_KIND = {
  void: 0,
  int: 1,
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  fwd: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  func_proto: 13,
  var: 14,
  datasec: 15,
  float: 16,
  decl_tag: 17,
  type_tag: 18,
  enum64: 19,
} as const satisfies Record<string, number>;

export type BtfKind = keyof typeof BTF_KIND;

/** `BTF_INT_*`: bits of an int's encoding. */
export const BTF_INT_SIGNED = 1;
export const BTF_INT_CHAR = 2;
export const BTF_INT_BOOL = 4;

/** Linkage of functions and variables, in the order of their encoding: 0, 1, 2. */
export const BTF_LINKAGES = ['static', 'global', 'extern'] as const;
export type BtfLinkage = (typeof BTF_LINKAGES)[number];

interface Common {
  /** Empty when anonymous. */
  readonly name: string;
}

/** The type of id 0. */
export interface BtfVoid extends Common {
  readonly kind: 'void';
}

export interface BtfInt extends Common {
  readonly kind: 'int';
  readonly size: number;
  /** BTF_INT_* bits; `signed` and `bool` say the same of the two that matter. */
  readonly encoding: number;
  readonly signed: boolean;
  readonly bool: boolean;
  /** Bit offset of the value in the storage; not 0 only in BTF of very old compilers. */
  readonly bitOffset: number;
  /** Value bits; less than 8 × size only in BTF of very old compilers. */
  readonly bits: number;
}

export interface BtfPtr extends Common {
  readonly kind: 'ptr';
  readonly type: number;
}

export interface BtfArray extends Common {
  readonly kind: 'array';
  /** Of the elements. */
  readonly type: number;
  readonly indexType: number;
  /** Elements; 0 for a flexible array. */
  readonly nelems: number;
}

export interface BtfMember {
  /** Empty for a member that is itself an anonymous struct or union. */
  readonly name: string;
  readonly type: number;
  /** From the start of the struct. */
  readonly bitOffset: number;
  /** Bits; 0 when the member is no bit field. */
  readonly bitfieldSize: number;
}

export interface BtfComposite extends Common {
  readonly kind: 'struct' | 'union';
  readonly size: number;
  readonly members: readonly BtfMember[];
}

export interface BtfEnum extends Common {
  readonly kind: 'enum';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}

export interface BtfEnum64 extends Common {
  readonly kind: 'enum64';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

/** A struct or union that is only declared. */
export interface BtfFwd extends Common {
  readonly kind: 'fwd';
  readonly fwdKind: 'struct' | 'union';
}

/** Kinds that stand for another type; only typedefs have a name. */
export interface BtfModifier extends Common {
  readonly kind: 'typedef' | 'volatile' | 'const' | 'restrict';
  readonly type: number;
}

export interface BtfFunc extends Common {
  readonly kind: 'func';
  /** The id of its func_proto. */
  readonly type: number;
  readonly linkage: BtfLinkage;
}

export interface BtfParam {
  readonly name: string;
  readonly type: number;
}

export interface BtfFuncProto extends Common {
  readonly kind: 'func_proto';
  /** Of the return value. */
  readonly type: number;
  /** The last one has no name and type 0 when the function takes variable arguments. */
  readonly params: readonly BtfParam[];
}

export interface BtfVar extends Common {
  readonly kind: 'var';
  readonly type: number;
  readonly linkage: BtfLinkage;
}

export interface BtfVarSecinfo {
  /** The id of a var (or of a func, in `.ksyms`). */
  readonly type: number;
  /** In the section; compilers leave 0, the symbol table knows. */
  readonly offset: number;
  readonly size: number;
}

export interface BtfDatasec extends Common {
  readonly kind: 'datasec';
  /** Compilers leave 0, the section header knows. */
  readonly size: number;
  readonly variables: readonly BtfVarSecinfo[];
}

export interface BtfFloat extends Common {
  readonly kind: 'float';
  readonly size: number;
}

/** `name` is the tag's text. */
export interface BtfDeclTag extends Common {
  readonly kind: 'decl_tag';
  readonly type: number;
  /** Member or parameter that is tagged, -1 for the type itself. */
  readonly componentIdx: number;
  /** The text is a whole attribute, not the argument of `btf_decl_tag` (kind_flag, since Linux 6.15). */
  readonly attribute: boolean;
}

/** `name` is the tag's text. */
export interface BtfTypeTag extends Common {
  readonly kind: 'type_tag';
  readonly type: number;
  /** The text is a whole attribute, not the argument of `btf_type_tag` (kind_flag, since Linux 6.15). */
  readonly attribute: boolean;
}

export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfPtr
  | BtfArray
  | BtfComposite
  | BtfEnum
  | BtfEnum64
  | BtfFwd
  | BtfModifier
  | BtfFunc
  | BtfFuncProto
  | BtfVar
  | BtfDatasec
  | BtfFloat
  | BtfDeclTag
  | BtfTypeTag;

/** Whatever can give types by id: {@link Btf} and {@link BtfBuilder}. */
export interface TypeSource {
  /** Valid ids are 0 to count − 1. */
  readonly count: number;
  /** @throws FormatError when there is no such type or its bytes are damaged */
  type(id: number): BtfType;
  /** Where the type's record starts, in bytes into .BTF: for error messages. */
  offsetOf(id: number): number;
}
