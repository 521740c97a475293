import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { type Instruction, slots, writtenRegister } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import { arenaAccess, groupsOf } from './groups.ts';
import { random } from './testdata/harness.ts';

/** Which accesses go through one pointer: `0,2: 0..16` are those in the slots 0 and 2, reaching these bytes from its base. */

const isAccess = (insns: readonly Instruction[]) => (at: number) => arenaAccess(insns[at], at) !== undefined;

function groups(asm: string): string {
  const insns = assembleInstructions(asm);
  return groupsOf(insns, 0, insns.length, isAccess(insns))
    .map(({ members, from, to }) => `${members.map(({ at }) => at)}: ${from}..${to}`)
    .join('; ');
}

const load = (offset: string) => `r1 = *(u64 *)(r6 ${offset})`;

const CASES: readonly (readonly [rule: string, asm: string, groups: string])[] = [
  ['one access is no group', load('+ 0'), ''],
  ['two through one register are', `${load('+ 8')}; ${load('+ 16')}`, '0,1: 0..24'],
  ['loads, stores and atomics alike', '*(u8 *)(r6 + 1) = 1; lock *(u32 *)(r6 + 4) += r2', '0,1: 0..8'],
  ['bytes before the base count', `${load('- 8')}; *(u8 *)(r6 + 0) = 1`, '0,1: -8..1'],
  [
    'accesses through different registers do not go together',
    `${load('+ 0')}; r1 = *(u64 *)(r7 + 0); ${load('+ 8')}; r1 = *(u64 *)(r7 + 8)`,
    '0,2: 0..16; 1,3: 0..16',
  ],
  ['a copy is the same pointer', `${load('+ 0')}; r7 = r6; r1 = *(u8 *)(r7 + 8)`, '0,2: 0..9'],
  ['so is what is moved in 32 bits', `${load('+ 0')}; w7 = w6; r1 = *(u8 *)(r7 + 8)`, '0,2: 0..9'],
  [
    'and what is cast',
    `${load('+ 0')}; r7 = addr_space_cast(r6, 0, 1); r1 = *(u8 *)(r7 + 8); r8 = addr_space_cast(r7, 1, 0); r1 = *(u8 *)(r8 + 9)`,
    '0,2,4: 0..10',
  ],
  ['not what is sign-extended', `${load('+ 0')}; r7 = (s16)r6; r1 = *(u8 *)(r7 + 8)`, ''],
  ['a constant that is added counts', `${load('+ 0')}; r6 += 16; ${load('- 8')}`, '0,2: 0..17'],
  ['one that is subtracted, too', `${load('+ 0')}; r6 -= 16; ${load('+ 0')}`, '0,2: -16..8'],
  ['in 32 bits as well', `${load('+ 0')}; w6 += 16; ${load('+ 0')}`, '0,2: 0..24'],
  ['the base itself belongs to what is reached', `${load('+ 8')}; r6 += 100; ${load('- 80')}`, '0,2: 0..101'],
  ['what a register adds is not known', `${load('+ 0')}; r6 += r2; ${load('+ 8')}`, ''],
  ['other arithmetic makes another pointer', `${load('+ 0')}; r6 &= -8; ${load('+ 8')}`, ''],
  ['what is loaded is another pointer', `r6 = *(u64 *)(r6 + 0); ${load('+ 8')}`, ''],
  [
    'and may be one for what follows',
    `${load('+ 0')}; r6 = *(u64 *)(r6 + 8); ${load('+ 0')}; ${load('+ 8')}`,
    '0,1: 0..16; 2,3: 0..16',
  ],
  [
    'what an atomic operation fetches is another pointer',
    `r6 = atomic_fetch_add((u64 *)(r6 + 0), r6); ${load('+ 8')}`,
    '',
  ],
  ['a constant is another pointer', `${load('+ 0')}; r6 = 0x100 ll; ${load('+ 8')}`, ''],
  ['what lies far apart does not go together', `${load('+ 0')}; ${load('+ 600')}`, ''],
  [
    'but each part of it does',
    `${load('+ 0')}; ${load('+ 600')}; ${load('+ 8')}; ${load('+ 608')}`,
    // The base is always among the bytes that are reached.
    '0,2: 0..16',
  ],
  ['a long way off does not go together', `${load('+ 0')}; r6 += 0x7fffffff; ${load('+ 0')}`, ''],
  [
    'twice around half of the window is near again',
    `${load('+ 0')}; r6 += 0x7fffffff; r6 += 0x7fffffff; ${load('+ 0')}`,
    '0,3: -2..8',
  ],
];

describe('accesses that one check can serve', () => {
  for (const [rule, asm, expected] of CASES) it(rule, () => assert.equal(groups(asm), expected));
});

const SEED = 20_261_130;

/** Straight lines of moves, sums and accesses. */
function anyLine(next: (below: number) => number): string {
  const [a, b] = [6 + next(3), 6 + next(3)];
  const constant = next(3) === 0 ? next(2 ** 31) : next(200) - 100;
  const of = [
    `r${a} = r${b}`,
    `w${a} = w${b}`,
    `r${a} += ${constant}`,
    `r${a} -= ${constant}`,
    `w${a} += ${constant}`,
    `r${a} += r${b}`,
    `r${a} = ${constant}`,
    `*(u32 *)(r${a} + ${next(300)}) = 1`,
    `*(u64 *)(r${a} - ${1 + next(100)}) = 1`,
  ];
  return of[next(3) === 0 ? 7 + next(2) : next(of.length)];
}

/** Arena addresses of the accesses, by slot, when the registers begin with these values. */
function addresses(insns: readonly Instruction[], start: readonly number[]): Map<number, number> {
  const low = [...start];
  const found = new Map<number, number>();
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    const insn = insns[at];
    const access = arenaAccess(insn, at);
    if (access !== undefined) found.set(at, low[access.base] + access.off);
    const row = opcode(insn.code);
    const written = writtenRegister(insn);
    if (row?.kind !== 'alu' || written === undefined) continue;
    const right = row.source === 'X' ? low[insn.src] : insn.imm;
    const left = low[written];
    low[written] = (row.op === 'mov' ? right : row.op === 'add' ? left + right : left - right) >>> 0;
  }
  return found;
}

it(`with the bytes from..to in one page, no access of a group leaves them (seed ${SEED})`, () => {
  let checked = 0;
  for (let round = 0; round < 3_000; round++) {
    const next = random(SEED + round);
    const asm = Array.from({ length: 3 + next(12) }, () => anyLine(next)).join('; ');
    const insns = assembleInstructions(asm);
    for (const { first, members, from, to } of groupsOf(insns, 0, insns.length, isAccess(insns))) {
      for (let run = 0; run < 8; run++) {
        // Near a page's middle and at its edges, the window's among them.
        const page = next(3) === 0 ? 0xfffff : next(2);
        const start = Array.from({ length: 10 }, () => (page * 4096 + next(4096)) >>> 0);
        const at = addresses(insns, start);
        const base = (at.get(first.at) as number) - first.off;
        if (base + from < page * 4096 || base + to > (page + 1) * 4096 || base >>> 12 !== page) continue;
        checked++;
        for (const { at: slot, size } of members) {
          const address = at.get(slot) as number;
          const why = `round ${round}: ${asm}, base 0x${base.toString(16)}, slot ${slot}`;
          assert.ok(base + from <= address && address + size <= base + to, why);
        }
      }
    }
  }
  assert.ok(checked > 2_000, `${checked} groups checked`);
});
