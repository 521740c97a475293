/**
 * The instruction set as data: the constants of RFC 9669 and Linux's `bpf.h`, and `OPCODES`, one row per code byte.
 * Printing, parsing, validity, the verifier, the interpreter and the JIT all read these rows; a code byte without a row
 * does not exist. Where one code byte stands for several operations, `off` or `imm` selects: see `AluOpcode.offs`,
 * `SIGN_EXTENSIONS` and `ATOMIC_OPERATIONS`.
 */

/* Instruction classes, code & 0x07 (RFC 9669, section 3.3). */
export const BPF_LD = 0x00;
export const BPF_LDX = 0x01;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_ALU = 0x04;
export const BPF_JMP = 0x05;
export const BPF_JMP32 = 0x06;
export const BPF_ALU64 = 0x07;

/* Source operand of arithmetic and jumps, code & 0x08: the immediate (K) or the src register (X). */
export const BPF_K = 0x00;
export const BPF_X = 0x08;

/* Arithmetic, code & 0xf0. */
export const BPF_ADD = 0x00;
export const BPF_SUB = 0x10;
export const BPF_MUL = 0x20;
export const BPF_DIV = 0x30;
export const BPF_OR = 0x40;
export const BPF_AND = 0x50;
export const BPF_LSH = 0x60;
export const BPF_RSH = 0x70;
export const BPF_NEG = 0x80;
export const BPF_MOD = 0x90;
export const BPF_XOR = 0xa0;
export const BPF_MOV = 0xb0;
export const BPF_ARSH = 0xc0;
export const BPF_END = 0xd0;

/* Direction of BPF_END in class ALU; class ALU64 with BPF_TO_LE is the unconditional bswap. */
export const BPF_TO_LE = 0x00;
export const BPF_TO_BE = 0x08;

/* Jumps, code & 0xf0. */
export const BPF_JA = 0x00;
export const BPF_JEQ = 0x10;
export const BPF_JGT = 0x20;
export const BPF_JGE = 0x30;
export const BPF_JSET = 0x40;
export const BPF_JNE = 0x50;
export const BPF_JSGT = 0x60;
export const BPF_JSGE = 0x70;
export const BPF_CALL = 0x80;
export const BPF_EXIT = 0x90;
export const BPF_JLT = 0xa0;
export const BPF_JLE = 0xb0;
export const BPF_JSLT = 0xc0;
export const BPF_JSLE = 0xd0;
export const BPF_JCOND = 0xe0;

/* Size of a memory access, code & 0x18. */
export const BPF_W = 0x00;
export const BPF_H = 0x08;
export const BPF_B = 0x10;
export const BPF_DW = 0x18;

/* Mode of a memory access, code & 0xe0. */
export const BPF_IMM = 0x00;
export const BPF_ABS = 0x20;
export const BPF_IND = 0x40;
export const BPF_MEM = 0x60;
export const BPF_MEMSX = 0x80;
export const BPF_ATOMIC = 0xc0;

/* imm of atomic instructions; add, or, and, xor use BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, optionally with BPF_FETCH. */
export const BPF_FETCH = 0x01;
export const BPF_XCHG = 0xe1;
export const BPF_CMPXCHG = 0xf1;
export const BPF_LOAD_ACQ = 0x100;
export const BPF_STORE_REL = 0x110;

/* src of ld_imm64: what the 64-bit immediate stands for. 0 is a plain number. */
export const BPF_PSEUDO_MAP_FD = 1;
export const BPF_PSEUDO_MAP_VALUE = 2;
export const BPF_PSEUDO_BTF_ID = 3;
export const BPF_PSEUDO_FUNC = 4;
export const BPF_PSEUDO_MAP_IDX = 5;
export const BPF_PSEUDO_MAP_IDX_VALUE = 6;

/* src of call. 0 is a helper, imm its number. */
export const BPF_PSEUDO_CALL = 1;
export const BPF_PSEUDO_KFUNC_CALL = 2;

/** src of BPF_JCOND: the one conditional pseudo-jump there is. */
export const BPF_MAY_GOTO = 0;

/** off of a 64-bit register move that converts between address spaces. */
export const BPF_ADDR_SPACE_CAST = 1;
/** imm of an address-space cast: destination space << 16 | source space. Space 1 is the arena. */
export const CAST_KERN = 1;
export const CAST_USER = 0x10000;

/** off of a register move that sign-extends: the number of low bits taken. */
export const SIGN_EXTENSIONS = [8, 16, 32] as const;

/** off of a division or modulo that is signed. */
export const BPF_SIGNED = 1;

/** imm of a byte-order instruction: the bits taken. */
export const ENDIAN_WIDTHS: readonly number[] = [16, 32, 64];

export const BPF_REG_0 = 0;
export const BPF_REG_1 = 1;
export const BPF_REG_2 = 2;
export const BPF_REG_3 = 3;
export const BPF_REG_4 = 4;
export const BPF_REG_5 = 5;
export const BPF_REG_6 = 6;
export const BPF_REG_7 = 7;
export const BPF_REG_8 = 8;
export const BPF_REG_9 = 9;
/** The frame pointer, read-only. */
export const BPF_REG_10 = 10;
/** How many registers a program can name. */
export const MAX_BPF_REG = 11;

/** Two-operand arithmetic: RFC 9669, table 4. `symbol` is clang's. */
export const ALU_OPERATIONS = [
  { op: 'add', bits: BPF_ADD, symbol: '+=' },
  { op: 'sub', bits: BPF_SUB, symbol: '-=' },
  { op: 'mul', bits: BPF_MUL, symbol: '*=' },
  { op: 'div', bits: BPF_DIV, symbol: '/=' },
  { op: 'or', bits: BPF_OR, symbol: '|=' },
  { op: 'and', bits: BPF_AND, symbol: '&=' },
  { op: 'lsh', bits: BPF_LSH, symbol: '<<=' },
  { op: 'rsh', bits: BPF_RSH, symbol: '>>=' },
  { op: 'mod', bits: BPF_MOD, symbol: '%=' },
  { op: 'xor', bits: BPF_XOR, symbol: '^=' },
  { op: 'mov', bits: BPF_MOV, symbol: '=' },
  { op: 'arsh', bits: BPF_ARSH, symbol: 's>>=' },
] as const;

/** Conditional jumps: RFC 9669, table 7. */
export const JUMP_OPERATIONS = [
  { op: 'jeq', bits: BPF_JEQ, symbol: '==', signed: false },
  { op: 'jgt', bits: BPF_JGT, symbol: '>', signed: false },
  { op: 'jge', bits: BPF_JGE, symbol: '>=', signed: false },
  { op: 'jset', bits: BPF_JSET, symbol: '&', signed: false },
  { op: 'jne', bits: BPF_JNE, symbol: '!=', signed: false },
  { op: 'jsgt', bits: BPF_JSGT, symbol: 's>', signed: true },
  { op: 'jsge', bits: BPF_JSGE, symbol: 's>=', signed: true },
  { op: 'jlt', bits: BPF_JLT, symbol: '<', signed: false },
  { op: 'jle', bits: BPF_JLE, symbol: '<=', signed: false },
  { op: 'jslt', bits: BPF_JSLT, symbol: 's<', signed: true },
  { op: 'jsle', bits: BPF_JSLE, symbol: 's<=', signed: true },
] as const;

/** Sizes of memory accesses; `size` in bytes. */
export const ACCESS_SIZES = [
  { bits: BPF_B, size: 1, letter: 'B' },
  { bits: BPF_H, size: 2, letter: 'H' },
  { bits: BPF_W, size: 4, letter: 'W' },
  { bits: BPF_DW, size: 8, letter: 'DW' },
] as const;

/** What `imm` of an atomic instruction selects. `fetch`: the old value goes to src (cmpxchg: to r0). */
export const ATOMIC_OPERATIONS: readonly AtomicOperation[] = [
  { imm: BPF_ADD, op: 'add', fetch: false, symbol: '+=', sizes: [4, 8] },
  { imm: BPF_OR, op: 'or', fetch: false, symbol: '|=', sizes: [4, 8] },
  { imm: BPF_AND, op: 'and', fetch: false, symbol: '&=', sizes: [4, 8] },
  { imm: BPF_XOR, op: 'xor', fetch: false, symbol: '^=', sizes: [4, 8] },
  { imm: BPF_ADD | BPF_FETCH, op: 'add', fetch: true, symbol: '+=', sizes: [4, 8] },
  { imm: BPF_OR | BPF_FETCH, op: 'or', fetch: true, symbol: '|=', sizes: [4, 8] },
  { imm: BPF_AND | BPF_FETCH, op: 'and', fetch: true, symbol: '&=', sizes: [4, 8] },
  { imm: BPF_XOR | BPF_FETCH, op: 'xor', fetch: true, symbol: '^=', sizes: [4, 8] },
  { imm: BPF_XCHG, op: 'xchg', fetch: true, symbol: '=', sizes: [4, 8] },
  { imm: BPF_CMPXCHG, op: 'cmpxchg', fetch: true, symbol: '=', sizes: [4, 8] },
  { imm: BPF_LOAD_ACQ, op: 'load_acquire', fetch: false, symbol: '=', sizes: [1, 2, 4, 8] },
  { imm: BPF_STORE_REL, op: 'store_release', fetch: false, symbol: '=', sizes: [1, 2, 4, 8] },
];

/** One row of {@link ATOMIC_OPERATIONS}. */
export interface AtomicOperation {
  readonly imm: number;
  readonly op: 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg' | 'load_acquire' | 'store_release';
  readonly fetch: boolean;
  readonly symbol: string;
  readonly sizes: readonly AccessSize[];
}

export type AluOp = (typeof ALU_OPERATIONS)[number]['op'];
export type JumpOp = (typeof JUMP_OPERATIONS)[number]['op'];

/** Bytes of one memory access. */
export type AccessSize = 1 | 2 | 4 | 8;
/** Bits an operation works on; a 32-bit result is zero-extended into the register. */
export type Width = 32 | 64;
/** Where the second operand comes from: the immediate or the src register. */
export type Source = 'K' | 'X';
/** A field of an instruction, other than its code. */
export type Field = 'dst' | 'src' | 'off' | 'imm';

interface Row {
  /** The code byte. */
  readonly code: number;
  /** The code byte in Linux's words: `BPF_ALU64 | BPF_ADD | BPF_X`. */
  readonly name: string;
  /** `code & 7`. */
  readonly class: number;
  /** Fields that carry no meaning; Linux wants them zero (exceptions: see validate.ts). */
  readonly unused: readonly Field[];
}

/** Two-operand arithmetic. */
export interface AluOpcode extends Row {
  readonly kind: 'alu';
  readonly op: AluOp;
  readonly symbol: string;
  readonly width: Width;
  readonly source: Source;
  /**
   * What `off` may hold. 0 is the plain operation; for div and mod 1 is the signed one ({@link BPF_SIGNED}); for a
   * register move 8, 16, 32 sign-extend and 1 casts between address spaces ({@link BPF_ADDR_SPACE_CAST}).
   */
  readonly offs: readonly number[];
}

/** Two's complement negation of dst. */
export interface NegOpcode extends Row {
  readonly kind: 'neg';
  readonly width: Width;
}

/** Byte order: `imm` is the width, 16, 32 or 64 bits; the result is zero-extended. On little-endian `le` truncates. */
export interface EndianOpcode extends Row {
  readonly kind: 'endian';
  readonly op: 'le' | 'be' | 'bswap';
}

/** Conditional jump by `off` slots, counted from the next instruction. */
export interface JumpOpcode extends Row {
  readonly kind: 'jump';
  readonly op: JumpOp;
  readonly symbol: string;
  readonly signed: boolean;
  readonly width: Width;
  readonly source: Source;
}

/** Unconditional jump; the distance stands in `off` (goto) or in `imm` (gotol). */
export interface GotoOpcode extends Row {
  readonly kind: 'goto';
  readonly distance: 'off' | 'imm';
}

/** Load from memory: dst = *(src + off). */
export interface LoadOpcode extends Row {
  readonly kind: 'load';
  readonly size: AccessSize;
  readonly signed: boolean;
}

/** Store to memory: *(dst + off) = imm (K) or src (X). */
export interface StoreOpcode extends Row {
  readonly kind: 'store';
  readonly size: AccessSize;
  readonly source: Source;
}

/** Atomic access; `imm` selects from {@link ATOMIC_OPERATIONS}. Sizes 1 and 2 only load-acquire and store-release. */
export interface AtomicOpcode extends Row {
  readonly kind: 'atomic';
  readonly size: AccessSize;
}

/** Legacy packet access: r0 = the big-endian value at packet[imm] (ld_abs) or packet[src + imm] (ld_ind). */
export interface PacketOpcode extends Row {
  readonly kind: 'ld_abs' | 'ld_ind';
  readonly size: 1 | 2 | 4;
}

/**
 * Those without parameters of their own. `call`: helper, subprogram or kfunc, selected by src. `callx` and `gotox`: LLVM's call
 * and jump to the address in dst, which Linux 6.18 does not know. `ld_imm64`: the only instruction of two slots. `may_goto`:
 * jumps by `off` when the loop's budget is used up.
 */
export interface PlainOpcode extends Row {
  readonly kind: 'call' | 'callx' | 'gotox' | 'exit' | 'may_goto' | 'ld_imm64';
}

export type Opcode =
  | AluOpcode
  | NegOpcode
  | EndianOpcode
  | JumpOpcode
  | GotoOpcode
  | LoadOpcode
  | StoreOpcode
  | AtomicOpcode
  | PacketOpcode
  | PlainOpcode;

const WIDTHS = [
  { width: 64, alu: BPF_ALU64, jump: BPF_JMP },
  { width: 32, alu: BPF_ALU, jump: BPF_JMP32 },
] as const;

const SOURCES = [
  { source: 'K', bits: BPF_K, unused: 'src' },
  { source: 'X', bits: BPF_X, unused: 'imm' },
] as const;

const CLASS_NAMES = [
  'BPF_LD',
  'BPF_LDX',
  'BPF_ST',
  'BPF_STX',
  'BPF_ALU',
  'BPF_JMP',
  'BPF_JMP32',
  'BPF_ALU64',
];

/** The fields every row has. `words` are the name's parts after the class. */
function row(code: number, words: string, unused: readonly Field[]): Row {
  return { code, name: `${CLASS_NAMES[code & 7]} | ${words}`, class: code & 7, unused };
}

function aluOffs(op: AluOp, width: Width, source: Source): readonly number[] {
  if (op === 'div' || op === 'mod') return [0, BPF_SIGNED];
  if (op !== 'mov' || source === 'K') return [0];
  return width === 64 ? [0, BPF_ADDR_SPACE_CAST, 8, 16, 32] : [0, 8, 16];
}

function aluOpcodes(): Opcode[] {
  return WIDTHS.flatMap(({ width, alu }) =>
    ALU_OPERATIONS.flatMap(({ op, bits, symbol }) =>
      SOURCES.map(({ source, bits: sourceBits, unused }) => {
        const offs = aluOffs(op, width, source);
        // The immediate of a 64-bit register move is the cast's pair of address spaces.
        const free: Field[] = offs.includes(BPF_ADDR_SPACE_CAST) && op === 'mov' ? [] : [unused];
        if (offs.length === 1) free.push('off');
        const words = `BPF_${op.toUpperCase()} | BPF_${source}`;
        const base = row(alu | bits | sourceBits, words, free);
        return { ...base, kind: 'alu' as const, op, symbol, width, source, offs };
      }),
    ),
  );
}

function jumpOpcodes(): Opcode[] {
  return WIDTHS.flatMap(({ width, jump }) =>
    JUMP_OPERATIONS.flatMap(({ bits, ...operation }) =>
      SOURCES.map(({ source, bits: sourceBits, unused }) => {
        const words = `BPF_${operation.op.toUpperCase()} | BPF_${source}`;
        const base = row(jump | bits | sourceBits, words, [unused]);
        return { ...base, kind: 'jump' as const, ...operation, width, source };
      }),
    ),
  );
}

function memoryOpcodes(): Opcode[] {
  return ACCESS_SIZES.flatMap(({ bits, size, letter }) => {
    const rows: Opcode[] = [
      {
        ...row(BPF_LDX | BPF_MEM | bits, `BPF_MEM | BPF_${letter}`, ['imm']),
        kind: 'load',
        size,
        signed: false,
      },
      {
        ...row(BPF_ST | BPF_MEM | bits, `BPF_MEM | BPF_${letter}`, ['src']),
        kind: 'store',
        size,
        source: 'K',
      },
      {
        ...row(BPF_STX | BPF_MEM | bits, `BPF_MEM | BPF_${letter}`, ['imm']),
        kind: 'store',
        size,
        source: 'X',
      },
      { ...row(BPF_STX | BPF_ATOMIC | bits, `BPF_ATOMIC | BPF_${letter}`, []), kind: 'atomic', size },
    ];
    if (size === 8) return rows;
    const loadSigned = row(BPF_LDX | BPF_MEMSX | bits, `BPF_MEMSX | BPF_${letter}`, ['imm']);
    const abs = row(BPF_LD | BPF_ABS | bits, `BPF_ABS | BPF_${letter}`, ['dst', 'src', 'off']);
    const ind = row(BPF_LD | BPF_IND | bits, `BPF_IND | BPF_${letter}`, ['dst', 'off']);
    rows.push(
      { ...loadSigned, kind: 'load', size, signed: true },
      { ...abs, kind: 'ld_abs', size },
      { ...ind, kind: 'ld_ind', size },
    );
    return rows;
  });
}

const ROWS: readonly Opcode[] = [
  ...aluOpcodes(),
  { ...row(BPF_ALU64 | BPF_NEG, 'BPF_NEG', ['src', 'off', 'imm']), kind: 'neg', width: 64 },
  { ...row(BPF_ALU | BPF_NEG, 'BPF_NEG', ['src', 'off', 'imm']), kind: 'neg', width: 32 },
  { ...row(BPF_ALU | BPF_END | BPF_TO_LE, 'BPF_END | BPF_TO_LE', ['src', 'off']), kind: 'endian', op: 'le' },
  { ...row(BPF_ALU | BPF_END | BPF_TO_BE, 'BPF_END | BPF_TO_BE', ['src', 'off']), kind: 'endian', op: 'be' },
  { ...row(BPF_ALU64 | BPF_END, 'BPF_END', ['src', 'off']), kind: 'endian', op: 'bswap' },
  ...jumpOpcodes(),
  { ...row(BPF_JMP | BPF_JA, 'BPF_JA', ['dst', 'src', 'imm']), kind: 'goto', distance: 'off' },
  { ...row(BPF_JMP32 | BPF_JA, 'BPF_JA', ['dst', 'src', 'off']), kind: 'goto', distance: 'imm' },
  { ...row(BPF_JMP | BPF_JCOND, 'BPF_JCOND', ['dst', 'src', 'imm']), kind: 'may_goto' },
  { ...row(BPF_JMP | BPF_CALL, 'BPF_CALL', ['dst']), kind: 'call' },
  { ...row(BPF_JMP | BPF_CALL | BPF_X, 'BPF_CALL | BPF_X', ['src', 'off', 'imm']), kind: 'callx' },
  { ...row(BPF_JMP | BPF_JA | BPF_X, 'BPF_JA | BPF_X', ['src', 'off', 'imm']), kind: 'gotox' },
  { ...row(BPF_JMP | BPF_EXIT, 'BPF_EXIT', ['dst', 'src', 'off', 'imm']), kind: 'exit' },
  ...memoryOpcodes(),
  { ...row(BPF_LD | BPF_IMM | BPF_DW, 'BPF_IMM | BPF_DW', ['off']), kind: 'ld_imm64' },
];

/** What one row or another has. */
const NO_FIELDS = {
  code: undefined,
  name: undefined,
  class: undefined,
  unused: undefined,
  kind: undefined,
  op: undefined,
  symbol: undefined,
  width: undefined,
  source: undefined,
  offs: undefined,
  signed: undefined,
  distance: undefined,
  size: undefined,
};

/**
 * Every code byte that is an instruction, in no particular order; look one up with {@link opcode}.
 * Each row has all fields that any of them has, in one order: so V8 gives them one hidden class, and finds `kind` at the same
 * place in all of them. With ten classes it would search for it, and nothing is asked more often.
 */
export const OPCODES: readonly Opcode[] = ROWS.map((row) => ({ ...NO_FIELDS, ...row }));

const BY_CODE: readonly (Opcode | undefined)[] = (() => {
  const table = new Array<Opcode | undefined>(256).fill(undefined);
  for (const each of OPCODES) table[each.code] = each;
  return table;
})();

/** The row of a code byte (0 to 255), or undefined when no instruction has it. Constant time, allocates nothing. */
export function opcode(code: number): Opcode | undefined {
  return BY_CODE[code];
}

const ATOMIC_BY_IMM: ReadonlyMap<number, AtomicOperation> = new Map(
  ATOMIC_OPERATIONS.map((each) => [each.imm, each]),
);

/**
 * The atomic operation that `imm` selects for an access of `size` bytes, or undefined when there is none. Without a
 * size: for any access.
 */
export function atomicOperation(imm: number, size?: AccessSize): AtomicOperation | undefined {
  const operation = ATOMIC_BY_IMM.get(imm);
  return size === undefined || operation?.sizes.includes(size) ? operation : undefined;
}

/** Whether this `off` makes arithmetic of this row signed: only division and modulo have a signed form. */
export function isSigned(row: AluOpcode, off: number): boolean {
  return off === BPF_SIGNED && (row.op === 'div' || row.op === 'mod');
}
