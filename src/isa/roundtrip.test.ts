import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { assemble, assembleInstructions } from './assembler.ts';
import type { Instruction } from './instruction.ts';
import { decode, encode, ldImm64, slots } from './instruction.ts';
import type { Opcode } from './opcodes.ts';
import { ATOMIC_OPERATIONS, ENDIAN_WIDTHS, OPCODES } from './opcodes.ts';
import { formatInstruction } from './print.ts';
import { validateInstruction } from './validate.ts';
import { formatXlated } from './xlated.ts';

const SEED = Number(process.env.SEED ?? 20260);
const COUNT = 100_000;
const BATCH = 2_000;

/** mulberry32: 32 random bits a call, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return Math.floor((((z ^ (z >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Random = ReturnType<typeof generator>;

const EDGES = [0, 1, -1, 2, 0x7fff, -0x8000, 0x7fff_ffff, -0x8000_0000];

function randomImm(random: Random): number {
  return random(3) === 0 ? EDGES[random(EDGES.length)] : random(2 ** 32) | 0;
}

/** The imm that selects an operation, where only some do. */
function selectingImm(row: Opcode, off: number, random: Random): number {
  if (row.kind === 'endian') return ENDIAN_WIDTHS[random(3)];
  if (row.kind === 'alu' && row.source === 'X')
    return off === 1 && row.op === 'mov' ? [1, 0x10000][random(2)] : 0;
  if (row.kind !== 'atomic') return randomImm(random);
  const possible = ATOMIC_OPERATIONS.filter(({ sizes }) => sizes.some((size) => size === row.size));
  return possible[random(possible.length)].imm;
}

/** Random instructions of every kind, each one that Linux's structural check accepts. */
function randomInstructions(random: Random, count: number): Instruction[] {
  const rows = OPCODES.filter(({ kind }) => kind !== 'callx' && kind !== 'gotox');
  const insns: Instruction[] = [];
  for (let made = 0; made < count; ) {
    const row = rows[random(rows.length)];
    const insn: Instruction = {
      code: row.code,
      dst: random(11),
      src: random(11),
      off: (random(65536) << 16) >> 16,
      imm: 0,
    };
    if (row.kind === 'alu') insn.off = row.offs[random(row.offs.length)];
    if (row.kind === 'call') insn.src = random(3);
    if (row.kind === 'call' && insn.src < 2) insn.off = 0;
    if (row.kind === 'ld_imm64') insn.src = random(7);
    insn.imm = selectingImm(row, insn.off, random);
    for (const field of row.unused) insn[field] = 0;
    const slot =
      row.kind === 'ld_imm64' ? ldImm64(insn.dst, (BigInt(random(2 ** 32)) << 32n) | 5n, insn.src) : [insn];
    if (validateInstruction(slot, 0) !== undefined) continue;
    insns.push(...slot);
    made++;
  }
  return insns;
}

test(`${COUNT} random valid instructions survive bytes, text and back (seed ${SEED})`, () => {
  const random = generator(SEED);
  for (let done = 0; done < COUNT; done += BATCH) {
    const bytes = encode(randomInstructions(random, BATCH));
    const insns = decode(bytes);
    const lines: string[] = [];
    for (let index = 0; index < insns.length; index += slots(insns[index])) {
      lines.push(formatInstruction(insns, index, { lossless: true }));
    }
    const raw = lines.filter((line) => line.startsWith('.quad'));
    assert.ok(raw.length < BATCH / 20, 'only displacements of ld_ind and off of exit have no text');
    assert.deepEqual(encode(assembleInstructions(lines.join('\n'))), bytes);
  }
});

test(`any bytes decode, print and reassemble, or are a FormatError (seed ${SEED})`, () => {
  const random = generator(SEED + 1);
  for (let round = 0; round < 2_000; round++) {
    const bytes = Uint8Array.from({ length: random(64) }, () => (random(4) === 0 ? 0x18 : random(256)));
    const insns = expectFormatError(() => decode(bytes));
    if (insns === undefined) continue;
    const lines: string[] = [];
    for (let index = 0; index < insns.length; index += slots(insns[index])) {
      lines.push(formatInstruction(insns, index, { lossless: true }));
      formatXlated(insns, index);
      validateInstruction(insns, index);
    }
    assert.deepEqual(encode(assembleInstructions(lines.join('\n'))), bytes);
  }
});

/** What a call returns, or undefined when it throws a FormatError; anything else that it throws passes through. */
function expectFormatError<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

const WORDS = (
  'r0 r1 r10 r11 w0 w3 = += -= s>>= s>= == != & < > - + * ( ) [ ] , : ; \n 0 1 -1 0x7fffffff 99999999999999999999 1b 1f ' +
  'goto gotol may_goto if call callx exit lock ll skb u8 u32 u64 s8 s64 (s8) *(u32 *)(r1 + 0) foo .L1 foo: 1: ' +
  'be16 bswap64 addr_space_cast( load_acquire((u32 *)(r1 + 0)) store_release( xchg_64( cmpxchg32_32( atomic_fetch_add( ' +
  '.section .text .data .bss .func .var .map .map_values .extern .globl .type @function .size .byte .quad .zero .align ' +
  '.ascii .equ .license "GPL" "x type=arena max_entries= key= struct void __arena kfunc weak /* */ # // ~ << >> % \' é \0'
).split(' ');

test(`any text assembles or is a FormatError, at once (seed ${SEED})`, () => {
  const random = generator(SEED + 2);
  for (let round = 0; round < 5_000; round++) {
    const words = Array.from({ length: random(30) }, () => WORDS[random(WORDS.length)]);
    expectFormatError(() => assemble(words.join(random(3) === 0 ? '' : ' ')));
  }
});

test('texts made to hang or to eat memory are refused at once', () => {
  const HOSTILE = [
    'r1 = '.padEnd(200_000, '('),
    'r1 = '.padEnd(200_000, '-'),
    '/*'.repeat(100_000),
    '"'.repeat(100_001),
    `r1 = ${'9'.repeat(200_000)}`,
    'r1 = 1 << 0xffffffff',
    '.data; .zero 0xffffffff',
    '.zero 0xffffffff',
    '.data; .var x : u64[0x7fffffff]',
    `r1 = 1${' * 0xffffffffffffffff'.repeat(20_000)}`,
  ];
  for (const text of HOSTILE) assert.throws(() => assemble(text), FormatError, text.slice(0, 40));
});

test('a text of 50,000 labels and as many jumps assembles in linear time', () => {
  const lines = Array.from(
    { length: 50_000 },
    (_, index) => `l${index}: 1: if r1 == ${index} goto ${index % 2 ? '1b' : '1f'}`,
  );
  assert.equal(assembleInstructions(`${lines.join('\n')}\n1: exit`).length, 50_001);
});
