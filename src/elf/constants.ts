/**
 * The ELF numbers that a BPF object uses, under the names of the ELF specification (gABI) and of the LLVM BPF backend.
 * Only what readers and writers of relocatable BPF objects need stands here.
 */

/** e_machine of BPF objects. */
export const EM_BPF = 247;
/** e_type of relocatable objects, the only file type that compilers emit for BPF. */
export const ET_REL = 1;

/** Section types, sh_type. */
export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;
export const SHT_SYMTAB_SHNDX = 18;
export const SHT_LLVM_ADDRSIG = 0x6fff4c03;

/** Section flags, sh_flags. */
export const SHF_WRITE = 0x1;
export const SHF_ALLOC = 0x2;
export const SHF_EXECINSTR = 0x4;
export const SHF_MERGE = 0x10;
export const SHF_STRINGS = 0x20;
export const SHF_INFO_LINK = 0x40;
/** The data of the section is compressed; the reader leaves it so (only debug sections are, and nobody here reads them). */
export const SHF_COMPRESSED = 0x800;

/** Section indexes with a meaning of their own, st_shndx. */
export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
export const SHN_ABS = 0xfff1;
export const SHN_COMMON = 0xfff2;
/** The real index stands in a SHT_SYMTAB_SHNDX section. */
export const SHN_XINDEX = 0xffff;

/** Symbol types, low half of st_info. */
export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STT_FILE = 4;

/** Symbol bindings, high half of st_info. */
export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;

/** Symbol visibilities, low bits of st_other. */
export const STV_DEFAULT = 0;
export const STV_INTERNAL = 1;
export const STV_HIDDEN = 2;
export const STV_PROTECTED = 3;

/** Relocation types (llvm/include/llvm/BinaryFormat/ELFRelocs/BPF.def; what each patches: Documentation/bpf/llvm_reloc.rst). */
export const R_BPF_NONE = 0;
/** Both imm fields of a ld_imm64. */
export const R_BPF_64_64 = 1;
/** 64 bits of data. */
export const R_BPF_64_ABS64 = 2;
/** 32 bits of data. */
export const R_BPF_64_ABS32 = 3;
/** 32 bits of data in sections that no dynamic loader touches: .BTF, .BTF.ext. */
export const R_BPF_64_NODYLD32 = 4;
/** The imm of a call. */
export const R_BPF_64_32 = 10;
