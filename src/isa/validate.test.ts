import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decode } from './instruction.ts';
import { OPCODES } from './opcodes.ts';
import { validateInstruction } from './validate.ts';

/**
 * Instructions and what Linux 6.18 said about them when each was loaded with all registers initialised; an empty
 * message means it was accepted. One row for every code byte and kind of message that the kernel gave.
 */
const VERDICTS: readonly [bytes: string, message: string][] = JSON.parse(
  readFileSync(new URL('testdata/validity.json', import.meta.url), 'utf8'),
);

test('the recorded verdicts cover every opcode but those Linux does not have', () => {
  const judged = new Set(VERDICTS.map(([bytes]) => Number.parseInt(bytes.slice(0, 2), 16)));
  for (const { code, name } of OPCODES) assert.ok(judged.has(code), name);
});

test(`each of ${VERDICTS.length} instructions gets the kernel's message`, () => {
  for (const [bytes, message] of VERDICTS) {
    const insns = decode(Uint8Array.from(Buffer.from(bytes, 'hex')));
    assert.equal(validateInstruction(insns, 0) ?? '', message, bytes);
  }
});

test('a ld_imm64 at the end of a program is invalid', () => {
  assert.equal(
    validateInstruction([{ code: 0x18, dst: 0, src: 0, off: 0, imm: 0 }], 0),
    'invalid bpf_ld_imm64 insn',
  );
});
