import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ATOMIC_OPERATIONS, OPCODES } from '../../src/isa/opcodes.ts';
import { arenaCases, DIFFERENCES } from './arena.ts';
import { programOf, readSuite } from './harness.ts';

/** That the suite has a case for every instruction there is. */

/** Packet access needs a packet; address-space casts need an arena, and are tested with it. */
const ELSEWHERE = ['ld_abs', 'ld_ind', 'callx', 'gotox'];

it('has a case for every code byte, every signed form and every atomic operation at every size', () => {
  const insns = Object.values(readSuite()).flatMap((cases) => cases.flatMap((each) => programOf(each).insns));
  const seen = new Set(
    insns.flatMap(({ code, off, imm }) => [`${code}`, `${code} off ${off}`, `${code} imm ${imm}`]),
  );
  const wanted = OPCODES.filter(({ kind }) => !ELSEWHERE.includes(kind)).flatMap((row) => {
    if (row.kind === 'alu')
      return row.offs.filter((off) => off !== 1 || row.op !== 'mov').map((off) => `${row.code} off ${off}`);
    if (row.kind !== 'atomic') return [`${row.code}`];
    return ATOMIC_OPERATIONS.filter(({ sizes }) => sizes.includes(row.size)).map(
      ({ imm }) => `${row.code} imm ${imm}`,
    );
  });
  assert.deepEqual(
    wanted.filter((each) => !seen.has(each)),
    [],
  );
  assert.ok(wanted.length > 150);
});

it('says why wherever the embedded kernel is meant to differ from Linux', () => {
  const runs = Object.values(arenaCases()).flatMap((cases) => cases.flatMap(({ runs = [] }) => runs));
  const different = runs.filter(({ embedded }) => embedded !== undefined);
  assert.deepEqual(
    different.filter(
      ({ why, r0, embedded }) => why === undefined || !(why in DIFFERENCES) || r0 === embedded,
    ),
    [],
  );
  assert.ok(different.length > 0);
});
