import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as constants from './opcodes.ts';
import { ATOMIC_OPERATIONS, atomicOperation, OPCODES, opcode } from './opcodes.ts';

const VALUES: ReadonlyMap<string, unknown> = new Map(Object.entries(constants));

test('each name spells out its code byte in constants', () => {
  for (const { code, name } of OPCODES) {
    const bits = name.split(' | ').map((word) => Number(VALUES.get(word)));
    assert.equal(
      bits.reduce((sum, each) => sum | each, 0),
      code,
      name,
    );
  }
});

test('a code byte has one row at most, and its class is the low three bits', () => {
  for (const row of OPCODES) {
    assert.equal(opcode(row.code), row);
    assert.equal(row.class, row.code & 7);
  }
  assert.equal(OPCODES.length, 130);
  assert.equal(opcode(0xff), undefined);
});

test('the signed comparisons are those with an s', () => {
  for (const row of OPCODES) {
    if (row.kind === 'jump') assert.equal(row.signed, row.symbol.startsWith('s'), row.name);
  }
});

test('only div and mod have a signed form, and only register moves extend or cast', () => {
  const variants = OPCODES.flatMap((row) => (row.kind === 'alu' && row.offs.length > 1 ? [row] : []));
  assert.deepEqual(
    variants.map(({ op, width, source, offs }) => `${op} ${width} ${source} ${offs}`),
    [
      'div 64 K 0,1',
      'div 64 X 0,1',
      'mod 64 K 0,1',
      'mod 64 X 0,1',
      'mov 64 X 0,1,8,16,32',
      'div 32 K 0,1',
      'div 32 X 0,1',
      'mod 32 K 0,1',
      'mod 32 X 0,1',
      'mov 32 X 0,8,16',
    ],
  );
});

test('bytes and halfwords are only load-acquired and store-released', () => {
  const small = ATOMIC_OPERATIONS.filter(({ imm }) => atomicOperation(imm, 1) !== undefined);
  assert.deepEqual(
    small.map(({ op }) => op),
    ['load_acquire', 'store_release'],
  );
  assert.equal(ATOMIC_OPERATIONS.filter(({ imm }) => atomicOperation(imm, 8) !== undefined).length, 12);
});
