/**
 * clang's BPF assembly, one instruction at a time: everything print.ts prints and what clang's inline assembly accepts.
 * Which operators, sizes and widths exist comes from the opcode table. An operand that is a symbol stays open: it comes
 * back as a `Reference` for the assembler to resolve.
 */

import type { Instruction } from './instruction.ts';
import { instruction, ldImm64 } from './instruction.ts';
import type { Cursor } from './lexer.ts';
import type { AccessSize, AluOp, Width } from './opcodes.ts';
import {
  ALU_OPERATIONS,
  ATOMIC_OPERATIONS,
  BPF_ADDR_SPACE_CAST,
  BPF_CMPXCHG,
  BPF_LOAD_ACQ,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_SIGNED,
  BPF_STORE_REL,
  BPF_XCHG,
  ENDIAN_WIDTHS,
  JUMP_OPERATIONS,
  OPCODES,
  SIGN_EXTENSIONS,
} from './opcodes.ts';

import type { Register } from './operands.ts';
import {
  accessType,
  address,
  immediate,
  register,
  requireWidth,
  S16_MAX,
  S16_MIN,
  S32_MAX,
  S32_MIN,
  sameRegister,
  secondOperand,
  skipAnnotation,
  tryRegister,
  tryRegisterAhead,
  typedAddress,
  U32_MAX,
  widthOf,
} from './operands.ts';

/** A symbol that an operand names, instead of a number. */
export interface Reference {
  /** `jump`: a distance in off (gotol: imm). `call`: a callee. `ld_imm64`: an address. */
  readonly kind: 'jump' | 'call' | 'ld_imm64';
  /** A label, function, map or variable; `1b` and `1f` are the nearest numeric label before and after. */
  readonly symbol: string;
  /** Bytes added to the symbol's address. */
  readonly addend: number;
}

/** One parsed instruction: one slot, or the two of a ld_imm64. A reference's field is still 0. */
export interface ParsedInstruction {
  readonly insns: readonly Instruction[];
  readonly reference?: Reference;
}

/** Code bytes by what an instruction does, read out of the opcode table. */
const CODES: ReadonlyMap<string, number> = new Map(
  OPCODES.map((row): [string, number] => {
    switch (row.kind) {
      case 'alu':
      case 'jump':
        return [`${row.op} ${row.width} ${row.source}`, row.code];
      case 'neg':
        return [`neg ${row.width}`, row.code];
      case 'endian':
        return [row.op, row.code];
      case 'goto':
        return [row.distance === 'off' ? 'goto' : 'gotol', row.code];
      case 'load':
        return [`load ${row.signed ? 's' : 'u'}${row.size}`, row.code];
      case 'store':
        return [`store ${row.size} ${row.source}`, row.code];
      case 'atomic':
      case 'ld_abs':
      case 'ld_ind':
        return [`${row.kind} ${row.size}`, row.code];
      default:
        return [row.kind, row.code];
    }
  }),
);

/** The code byte of a row that the table is known to have. */
function codeOf(key: string): number {
  const code = CODES.get(key);
  if (code === undefined) throw new Error(`no opcode for ${key}`);
  return code;
}

const ALU_BY_SYMBOL: ReadonlyMap<string, { op: AluOp; off: number }> = new Map<
  string,
  { op: AluOp; off: number }
>([
  ...ALU_OPERATIONS.map(({ op, symbol }) => [symbol, { op, off: 0 }] as const),
  ['s/=', { op: 'div', off: BPF_SIGNED }],
  ['s%=', { op: 'mod', off: BPF_SIGNED }],
]);
const JUMP_BY_SYMBOL: ReadonlyMap<string, string> = new Map(
  JUMP_OPERATIONS.map(({ op, symbol }) => [symbol, op]),
);
const LOCKED_BY_SYMBOL: ReadonlyMap<string, number> = new Map(
  ATOMIC_OPERATIONS.filter((each) => !each.fetch && each.symbol !== '=').map(({ symbol, imm }) => [
    symbol,
    imm,
  ]),
);
const FETCH_BY_NAME: ReadonlyMap<string, number> = new Map(
  ATOMIC_OPERATIONS.filter((each) => each.fetch && each.symbol !== '=').map(({ op, imm }) => [
    `atomic_fetch_${op}`,
    imm,
  ]),
);
/** xchg and cmpxchg carry their width in the name. */
const EXCHANGES: ReadonlyMap<string, { imm: number; size: AccessSize; width: Width }> = new Map([
  ['xchg_64', { imm: BPF_XCHG, size: 8, width: 64 }],
  ['xchg32_32', { imm: BPF_XCHG, size: 4, width: 32 }],
  ['cmpxchg_64', { imm: BPF_CMPXCHG, size: 8, width: 64 }],
  ['cmpxchg32_32', { imm: BPF_CMPXCHG, size: 4, width: 32 }],
]);
const ENDIAN_NAMES: ReadonlyMap<string, { op: string; width: number }> = new Map(
  ['le', 'be', 'bswap'].flatMap((op) =>
    ENDIAN_WIDTHS.map((width) => [`${op}${width}`, { op, width }] as const),
  ),
);

const STATEMENTS: Readonly<Record<string, (at: Cursor) => ParsedInstruction>> = {
  goto: (at) => jump(at, instruction(codeOf('goto'))),
  gotol: (at) => jump(at, instruction(codeOf('gotol')), true),
  may_goto: (at) => jump(at, instruction(codeOf('may_goto'))),
  if: conditionalJump,
  call,
  callx: (at) => one(codeOf('callx'), { dst: register(at, 64).number }),
  gotox: (at) => one(codeOf('gotox'), { dst: register(at, 64).number }),
  exit: () => one(codeOf('exit')),
  lock: locked,
  store_release: storeRelease,
  ld_pseudo: loadPseudo,
};

/**
 * Parses the instruction at the cursor, without the end of its statement.
 *
 * @throws FormatError at the line, saying what was expected.
 */
export function parseInstruction(at: Cursor): ParsedInstruction {
  const { text, kind } = at.peek();
  if (kind === 'operator' && text === '*') return store(at);
  if (kind === 'name' && Object.hasOwn(STATEMENTS, text)) {
    at.take();
    return STATEMENTS[text](at);
  }
  const dst = tryRegister(at);
  if (dst === undefined) at.fail('an instruction');
  return assignment(at, dst);
}

function one(code: number, fields?: Partial<Omit<Instruction, 'code'>>): ParsedInstruction {
  return { insns: [instruction(code, fields)] };
}

/** A number in its field, or the symbol the assembler shall resolve. */
function jump(at: Cursor, insn: Instruction, long = false): ParsedInstruction {
  const { kind, text } = at.peek();
  if (kind === 'label') {
    at.take();
    return { insns: [insn], reference: { kind: 'jump', symbol: text, addend: 0 } };
  }
  const line = at.peek().line;
  const { value, symbol } = at.expression('a label or a distance');
  skipAnnotation(at);
  if (symbol !== undefined) {
    if (value !== 0n) at.reject(`expected a label alone, found an offset of ${value} to it`, line);
    return { insns: [insn], reference: { kind: 'jump', symbol, addend: 0 } };
  }
  const [minimum, maximum] = long ? [S32_MIN, S32_MAX] : [S16_MIN, S16_MAX];
  if (value < minimum || value > maximum) {
    at.reject(`expected a distance from ${minimum} to ${maximum} instructions, found ${value}`, line);
  }
  return { insns: [{ ...insn, [long ? 'imm' : 'off']: Number(value) }] };
}

function conditionalJump(at: Cursor): ParsedInstruction {
  const dst = register(at);
  const op = JUMP_BY_SYMBOL.get(at.peek().text);
  if (op === undefined) at.fail(`a comparison (${[...JUMP_BY_SYMBOL.keys()].join(' ')})`);
  at.take();
  const operand = secondOperand(at, dst.width);
  at.expect('goto');
  return jump(
    at,
    instruction(codeOf(`${op} ${dst.width} ${operand.source}`), { dst: dst.number, ...operand.fields }),
  );
}

/** `call 6`, `call name`; lossless listings mark what is no helper: `call 0x1 <pc+0x1>`, `call 0x5 <kfunc>`. */
function call(at: Cursor): ParsedInstruction {
  const { line } = at.peek();
  const { value, symbol } = at.expression('a helper number or a function');
  if (symbol !== undefined) {
    if (value !== 0n) at.reject(`expected a function alone, found an offset of ${value} to it`, line);
    const insn = instruction(codeOf('call'), { src: BPF_PSEUDO_CALL, imm: -1 });
    return { insns: [insn], reference: { kind: 'call', symbol, addend: 0 } };
  }
  if (value < S32_MIN || value > U32_MAX) at.reject(`expected a 32-bit number, found ${value}`, line);
  const imm = Number(BigInt.asIntN(32, value));
  const words = skipAnnotation(at);
  if (words === undefined) return one(codeOf('call'), { imm });
  if (words[0] !== 'kfunc') return one(codeOf('call'), { src: BPF_PSEUDO_CALL, imm });
  const off = words.length === 1 ? 0 : Number(words[2]) * (words[1] === '-' ? -1 : 1);
  if (!(off >= S16_MIN && off <= S16_MAX)) at.reject('expected `<kfunc>` or `<kfunc +offset>`', line);
  return one(codeOf('call'), { src: BPF_PSEUDO_KFUNC_CALL, imm, off });
}

function atomic(size: AccessSize, fields: Partial<Omit<Instruction, 'code'>>): ParsedInstruction {
  return one(codeOf(`atomic ${size}`), fields);
}

/** `lock *(u64 *)(r1 + 0x8) += r2`; clang takes either register name for 32 bits. */
function locked(at: Cursor): ParsedInstruction {
  at.expect('*');
  const { line } = at.peek();
  const { size, base, off } = typedAddress(at);
  if (size < 4) at.reject('expected u32 or u64: smaller atomic operations do not exist', line);
  const imm = LOCKED_BY_SYMBOL.get(at.peek().text);
  if (imm === undefined) at.fail([...LOCKED_BY_SYMBOL.keys()].join(', '));
  at.take();
  const src = size === 8 ? register(at, 64) : register(at);
  return atomic(size, { dst: base, src: src.number, off, imm });
}

/** `store_release((u32 *)(r1 + 0x0), w2)`. */
function storeRelease(at: Cursor): ParsedInstruction {
  at.expect('(');
  const { size, base, off } = typedAddress(at);
  at.expect(',');
  const src = register(at, widthOf(size)).number;
  at.expect(')');
  return atomic(size, { dst: base, src, off, imm: BPF_STORE_REL });
}

/** `ld_pseudo r1, 0x1, 0x5`: src and the low half; the upper half may follow. */
function loadPseudo(at: Cursor): ParsedInstruction {
  const dst = register(at, 64).number;
  at.expect(',');
  const src = at.integer(0, 15, 'a pseudo source');
  at.expect(',');
  const low = BigInt(immediate(at) >>> 0);
  const high = at.accept(',') ? BigInt(immediate(at)) : 0n;
  return { insns: ldImm64(dst, (high << 32n) | low, src) };
}

/** `*(u32 *)(r2 + 0x4) = w3`. */
function store(at: Cursor): ParsedInstruction {
  at.expect('*');
  const { size, base, off } = typedAddress(at);
  at.expect('=');
  if (tryRegisterAhead(at)) {
    // clang takes both names of the register whose low bits it stores.
    const src = size === 8 ? register(at, 64) : register(at);
    return one(codeOf(`store ${size} X`), { dst: base, src: src.number, off });
  }
  return one(codeOf(`store ${size} K`), { dst: base, off, imm: immediate(at) });
}

function assignment(at: Cursor, dst: Register): ParsedInstruction {
  const alu = ALU_BY_SYMBOL.get(at.peek().text);
  if (alu === undefined) at.fail(`an assignment (${[...ALU_BY_SYMBOL.keys()].join(' ')})`);
  at.take();
  if (alu.op === 'mov') return assigned(at, dst);
  const { source, fields } = secondOperand(at, dst.width);
  return one(codeOf(`${alu.op} ${dst.width} ${source}`), { dst: dst.number, off: alu.off, ...fields });
}

/** Everything that may stand to the right of a plain `=`. */
function assigned(at: Cursor, dst: Register): ParsedInstruction {
  const { text, kind } = at.peek();
  if (kind === 'operator') {
    if (text === '-' && tryRegisterAhead(at, 1)) {
      at.take();
      sameRegister(at, dst);
      return one(codeOf(`neg ${dst.width}`), { dst: dst.number });
    }
    if (text === '(' && /^s(8|16|32)$/.test(at.peek(1).text)) return signExtendingMove(at, dst);
    if (text === '*') return load(at, dst);
  }
  if (kind === 'name') {
    const endian = ENDIAN_NAMES.get(text);
    if (endian !== undefined) {
      requireWidth(at, dst, 64);
      at.take();
      sameRegister(at, dst);
      return one(codeOf(endian.op), { dst: dst.number, imm: endian.width });
    }
    if (text === 'addr_space_cast') return addressSpaceCast(at, dst);
    if (text === 'load_acquire' || FETCH_BY_NAME.has(text)) return typedAtomic(at, dst, text);
    if (EXCHANGES.has(text)) return exchange(at, dst, text);
  }
  if (tryRegisterAhead(at)) {
    const src = register(at, dst.width).number;
    return one(codeOf(`mov ${dst.width} X`), { dst: dst.number, src });
  }
  return constantOrAddress(at, dst);
}

/** `(s8)r2`. */
function signExtendingMove(at: Cursor, dst: Register): ParsedInstruction {
  at.expect('(');
  const bits = Number(at.take().text.slice(1));
  const possible = SIGN_EXTENSIONS.filter((each) => each < dst.width);
  if (!possible.some((each) => each === bits))
    at.reject(`expected one of ${possible.map((each) => `(s${each})`).join(', ')}`);
  at.expect(')');
  const src = register(at, dst.width).number;
  return one(codeOf(`mov ${dst.width} X`), { dst: dst.number, src, off: bits });
}

/** `*(u32 *)(r2 + 0x4)`, and the packet's `*(u8 *)skb[0x7]`. */
function load(at: Cursor, dst: Register): ParsedInstruction {
  at.expect('*');
  const { size, signed } = accessType(at);
  if (at.accept('skb')) return packetLoad(at, dst, size, signed);
  if (signed && size === 8) at.reject('expected u64: a load of 8 bytes has no sign to extend');
  if (signed || size === 8) requireWidth(at, dst, 64);
  at.expect('(');
  const { base, off } = address(at);
  at.expect(')');
  return one(codeOf(`load ${signed ? 's' : 'u'}${size}`), { dst: dst.number, src: base, off });
}

function packetLoad(at: Cursor, dst: Register, size: AccessSize, signed: boolean): ParsedInstruction {
  if (dst.number !== 0 || dst.width !== 64) at.reject('expected r0: packet loads write no other register');
  if (signed || size === 8) at.reject('expected u8, u16 or u32 in a packet load');
  at.expect('[');
  const indirect = tryRegisterAhead(at);
  const insn = indirect
    ? instruction(codeOf(`ld_ind ${size}`), { src: register(at, 64).number })
    : instruction(codeOf(`ld_abs ${size}`), { imm: immediate(at) });
  // The displacement of an indirect load is a field LLVM's text does not show; Linux shows it.
  if (indirect && (at.at('+') || at.at('-'))) insn.imm = immediate(at);
  at.expect(']');
  return { insns: [insn] };
}

/** `addr_space_cast(r1, 0x0, 0x1)`: destination space, then source space. */
function addressSpaceCast(at: Cursor, dst: Register): ParsedInstruction {
  requireWidth(at, dst, 64);
  at.take();
  at.expect('(');
  const src = register(at, 64).number;
  at.expect(',');
  const to = at.integer(0, 0xffff, 'an address space');
  at.expect(',');
  const from = at.integer(0, 0xffff, 'an address space');
  at.expect(')');
  return one(codeOf('mov 64 X'), { dst: dst.number, src, off: BPF_ADDR_SPACE_CAST, imm: (to << 16) | from });
}

/** `load_acquire((u32 *)(r2 + 0x0))` and `atomic_fetch_add((u64 *)(r1 + 0x8), r2)`. */
function typedAtomic(at: Cursor, dst: Register, name: string): ParsedInstruction {
  at.take();
  at.expect('(');
  const { size, base, off } = typedAddress(at);
  requireWidth(at, dst, widthOf(size));
  const fetch = FETCH_BY_NAME.get(name);
  if (fetch === undefined) {
    at.expect(')');
    return atomic(size, { dst: dst.number, src: base, off, imm: BPF_LOAD_ACQ });
  }
  if (size < 4) at.reject('expected u32 or u64: smaller atomic operations do not exist');
  at.expect(',');
  sameRegister(at, dst);
  at.expect(')');
  return atomic(size, { dst: base, src: dst.number, off, imm: fetch });
}

/** `r2 = xchg_64(r1 + 0x8, r2)`, `r0 = cmpxchg_64(r1 + 0x8, r0, r2)`. */
function exchange(at: Cursor, dst: Register, name: string): ParsedInstruction {
  const { imm, size, width } = EXCHANGES.get(name) ?? at.fail('an exchange');
  requireWidth(at, dst, width);
  const compares = imm === BPF_CMPXCHG;
  if (compares && dst.number !== 0)
    at.reject(`expected ${width === 64 ? 'r0' : 'w0'}: cmpxchg compares with that register alone`);
  at.take();
  at.expect('(');
  const { base, off } = address(at);
  at.expect(',');
  sameRegister(at, dst);
  let src = dst.number;
  if (compares) {
    at.expect(',');
    src = register(at, width).number;
  }
  at.expect(')');
  return atomic(size, { dst: base, src, off, imm });
}

/** A 32-bit move of a number, or with `ll` the 64-bit load of a number or of a symbol's address. */
function constantOrAddress(at: Cursor, dst: Register): ParsedInstruction {
  const { line } = at.peek();
  const { value, symbol } = at.expression('a register, a number, or something to load');
  if (at.accept('ll')) {
    requireWidth(at, dst, 64);
    if (symbol === undefined) {
      if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) {
        at.reject(`expected a 64-bit number, found ${value}`, line);
      }
      return { insns: ldImm64(dst.number, value) };
    }
    if (value < S32_MIN || value > S32_MAX)
      at.reject(`expected a 32-bit offset to \`${symbol}\`, found ${value}`, line);
    const addend = Number(value);
    const [first, second] = ldImm64(dst.number, BigInt.asUintN(32, value));
    return { insns: [first, second], reference: { kind: 'ld_imm64', symbol, addend } };
  }
  if (symbol !== undefined)
    at.reject(`expected a number, found \`${symbol}\`; its address is \`${symbol} ll\``, line);
  if (value < S32_MIN || value > U32_MAX) {
    at.reject(`expected a 32-bit number, found ${value}; a 64-bit one ends in \`ll\``, line);
  }
  return one(codeOf(`mov ${dst.width} K`), { dst: dst.number, imm: Number(BigInt.asIntN(32, value)) });
}
