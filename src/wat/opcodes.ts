/**
 * The instructions of WebAssembly as data: names of the text format by opcode, and what follows each in the binary format
 * (core specification 2.0, "Index of Instructions"; threads, tail calls and several memories beside it). Opcodes of a kind
 * stand behind each other, so a row is a run of them.
 */

/** What follows an opcode, as {@link operandText} reads it. */
export type Operands =
  | 'none'
  | 'block'
  | 'label'
  | 'labels'
  | 'func'
  | 'indirect'
  | 'types'
  | 'reftype'
  | 'local'
  | 'global'
  | 'table'
  | 'access'
  | 'memory'
  | 'memory data'
  | 'memory memory'
  | 'data'
  | 'table elem'
  | 'elem'
  | 'table table'
  | 'i32'
  | 'i64'
  | 'f32'
  | 'f64'
  | 'zero';

interface Run {
  /** Opcode of the first. */
  readonly first: number;
  readonly names: string;
  readonly operands?: Operands;
}

const INTEGER_TESTS = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u';
const INTEGER_OPERATORS =
  'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr';
const FLOAT_TESTS = 'eq ne lt gt le ge';
const FLOAT_OPERATORS = 'abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign';
const of = (type: string, names: string): string => names.replace(/\S+/g, (name) => `${type}.${name}`);

/** Opcodes of one byte. */
const PLAIN: readonly Run[] = [
  { first: 0x00, names: 'unreachable nop' },
  { first: 0x02, names: 'block loop if', operands: 'block' },
  { first: 0x05, names: 'else' },
  { first: 0x0b, names: 'end' },
  { first: 0x0c, names: 'br br_if', operands: 'label' },
  { first: 0x0e, names: 'br_table', operands: 'labels' },
  { first: 0x0f, names: 'return' },
  { first: 0x10, names: 'call', operands: 'func' },
  { first: 0x11, names: 'call_indirect', operands: 'indirect' },
  { first: 0x12, names: 'return_call', operands: 'func' },
  { first: 0x13, names: 'return_call_indirect', operands: 'indirect' },
  { first: 0x1a, names: 'drop select' },
  { first: 0x1c, names: 'select', operands: 'types' },
  { first: 0x20, names: 'local.get local.set local.tee', operands: 'local' },
  { first: 0x23, names: 'global.get global.set', operands: 'global' },
  { first: 0x25, names: 'table.get table.set', operands: 'table' },
  {
    first: 0x28,
    names: [
      'i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u',
      'i64.load16_s i64.load16_u i64.load32_s i64.load32_u i32.store i64.store f32.store f64.store i32.store8',
      'i32.store16 i64.store8 i64.store16 i64.store32',
    ].join(' '),
    operands: 'access',
  },
  { first: 0x3f, names: 'memory.size memory.grow', operands: 'memory' },
  { first: 0x41, names: 'i32.const', operands: 'i32' },
  { first: 0x42, names: 'i64.const', operands: 'i64' },
  { first: 0x43, names: 'f32.const', operands: 'f32' },
  { first: 0x44, names: 'f64.const', operands: 'f64' },
  { first: 0x45, names: of('i32', `eqz ${INTEGER_TESTS}`) },
  { first: 0x50, names: of('i64', `eqz ${INTEGER_TESTS}`) },
  { first: 0x5b, names: of('f32', FLOAT_TESTS) },
  { first: 0x61, names: of('f64', FLOAT_TESTS) },
  { first: 0x67, names: of('i32', INTEGER_OPERATORS) },
  { first: 0x79, names: of('i64', INTEGER_OPERATORS) },
  { first: 0x8b, names: of('f32', FLOAT_OPERATORS) },
  { first: 0x99, names: of('f64', FLOAT_OPERATORS) },
  {
    first: 0xa7,
    names: of('i32', 'wrap_i64 trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u'),
  },
  {
    first: 0xac,
    names: of('i64', 'extend_i32_s extend_i32_u trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u'),
  },
  {
    first: 0xb2,
    names: of('f32', 'convert_i32_s convert_i32_u convert_i64_s convert_i64_u demote_f64'),
  },
  {
    first: 0xb7,
    names: of('f64', 'convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32'),
  },
  {
    first: 0xbc,
    names: 'i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64',
  },
  { first: 0xc0, names: 'i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s' },
  { first: 0xd0, names: 'ref.null', operands: 'reftype' },
  { first: 0xd1, names: 'ref.is_null' },
  { first: 0xd2, names: 'ref.func', operands: 'func' },
];

/** Opcodes behind the prefix 0xfc: saturating truncation, bulk memory, tables. */
const MISCELLANEOUS: readonly Run[] = [
  { first: 0, names: of('i32', 'trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u') },
  { first: 4, names: of('i64', 'trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u') },
  { first: 8, names: 'memory.init', operands: 'memory data' },
  { first: 9, names: 'data.drop', operands: 'data' },
  { first: 10, names: 'memory.copy', operands: 'memory memory' },
  { first: 11, names: 'memory.fill', operands: 'memory' },
  { first: 12, names: 'table.init', operands: 'table elem' },
  { first: 13, names: 'elem.drop', operands: 'elem' },
  { first: 14, names: 'table.copy', operands: 'table table' },
  { first: 15, names: 'table.grow table.size table.fill', operands: 'table' },
];

/** Each atomic read-modify-write comes in seven widths. */
const modify = (operation: string): string =>
  ['i32.', 'i64.', 'i32.8', 'i32.16', 'i64.8', 'i64.16', 'i64.32']
    .map((form) => {
      const [type, bits] = form.split('.');
      return `${type}.atomic.rmw${bits}.${operation}${bits === '' ? '' : '_u'}`;
    })
    .join(' ');

/** Opcodes behind the prefix 0xfe: atomics. */
const ATOMIC: readonly Run[] = [
  {
    first: 0x00,
    names: 'memory.atomic.notify memory.atomic.wait32 memory.atomic.wait64',
    operands: 'access',
  },
  { first: 0x03, names: 'atomic.fence', operands: 'zero' },
  {
    first: 0x10,
    names: [
      'i32.atomic.load i64.atomic.load i32.atomic.load8_u i32.atomic.load16_u',
      'i64.atomic.load8_u i64.atomic.load16_u i64.atomic.load32_u',
      'i32.atomic.store i64.atomic.store i32.atomic.store8 i32.atomic.store16',
      'i64.atomic.store8 i64.atomic.store16 i64.atomic.store32',
      ...['add', 'sub', 'and', 'or', 'xor', 'xchg', 'cmpxchg'].map(modify),
    ].join(' '),
    operands: 'access',
  },
];

/** An instruction's name, and what follows it. */
export interface Opcode {
  readonly name: string;
  readonly operands: Operands;
}

function byCode(runs: readonly Run[]): ReadonlyMap<number, Opcode> {
  return new Map(
    runs.flatMap(({ first, names, operands = 'none' }) =>
      names.split(' ').map((name, i): [number, Opcode] => [first + i, { name, operands }]),
    ),
  );
}

export const OPCODES = byCode(PLAIN);

/** The tables behind prefixes. */
export const PREFIXED: ReadonlyMap<number, ReadonlyMap<number, Opcode>> = new Map([
  [0xfc, byCode(MISCELLANEOUS)],
  [0xfe, byCode(ATOMIC)],
]);

/** Bytes of memory that a load, store or atomic touches; its alignment when none is given. */
export function accessBytes(name: string): number {
  const narrow = /(?:load|store|rmw|wait)(8|16|32|64)/.exec(name)?.[1];
  if (narrow !== undefined) return Number(narrow) / 8;
  return name.startsWith('i64') || name.startsWith('f64') ? 8 : 4;
}
