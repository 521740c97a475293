import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BpfError, FormatError } from '../errors.ts';
import { assembleInstructions } from './assembler.ts';
import {
  decode,
  encode,
  imm64,
  instruction,
  jumpTarget,
  ldImm64,
  slots,
  subprogramTarget,
} from './instruction.ts';

test('a slot is code, registers, off and imm in little-endian order', () => {
  const bytes = Uint8Array.of(0x7b, 0x2a, 0xf8, 0xff, 0x78, 0x56, 0x34, 0x92);
  const insn = { code: 0x7b, dst: 10, src: 2, off: -8, imm: 0x92345678 | 0 };
  assert.deepEqual(decode(bytes), [insn]);
  assert.deepEqual(encode([insn]), bytes);
});

test('decode reads the part of a larger buffer that it is given', () => {
  const bytes = new Uint8Array(24).fill(0x11).subarray(8, 16);
  assert.deepEqual(decode(bytes), [{ code: 0x11, dst: 1, src: 1, off: 0x1111, imm: 0x11111111 }]);
});

test('ld_imm64 takes two slots and its immediate is unsigned 64 bits', () => {
  for (const value of [0n, 1n, 0x7fff_ffff_ffff_ffffn, 0xffff_ffff_8000_0000n, 2n ** 64n - 1n]) {
    const insns = ldImm64(3, value);
    assert.equal(slots(insns[0]), 2);
    assert.equal(imm64(decode(encode(insns)), 0), value);
  }
});

test('bytes that are no whole number of slots are refused', () => {
  assert.throws(() => decode(new Uint8Array(12), '.text'), {
    name: FormatError.name,
    section: '.text',
    offset: 8,
    message: '.text, offset 8: 12 bytes are not a whole number of 8-byte instructions',
  });
});

test('a ld_imm64 without its second slot is refused', () => {
  assert.throws(() => decode(encode([instruction(0xb7), instruction(0x18)])), {
    name: FormatError.name,
    offset: 8,
  });
  assert.equal(
    decode(encode([instruction(0x18), instruction(0x18)])).length,
    2,
    'the second slot is no instruction',
  );
});

test('fields that do not fit are refused when encoding', () => {
  for (const fields of [{ off: 0x8000 }, { imm: 2 ** 31 }, { dst: 16 }, { src: -1 }, { imm: 0.5 }]) {
    assert.throws(() => encode([instruction(0xb7, fields)]), { name: BpfError.name, code: 'ERANGE' });
  }
});

test('jump and call targets are slots', () => {
  const insns = assembleInstructions(`
    a:  if r1 == 0 goto b
        r1 = 5 ll
        may_goto a
        gotol b
        call sub
        r2 = sub ll
    b:  exit
    .func static sub
        exit`);
  const targets = insns.map((insn, index) => jumpTarget(insn, index) ?? subprogramTarget(insn, index));
  assert.deepEqual(targets, [8, undefined, undefined, 0, 8, 9, 9, undefined, undefined, undefined]);
});
