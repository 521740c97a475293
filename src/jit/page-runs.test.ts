import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleInstructions } from '../isa/assembler.ts';
import { slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import { type CodeNode, controlFlow } from './cfg.ts';
import { chooseInsteadOfJumping } from './choose.ts';
import { arenaAccess } from './groups.ts';
import { type Check, pageRun } from './page-runs.ts';
import { loopAround } from './versions.ts';

/**
 * What may be asked before a run of rounds: of each pointer its register, the step, the bytes whose pages have to be there, and what
 * has to be a multiple of what; and which register counts the rounds. Here each store asks for its page, each load for its alignment.
 */

function runs(asm: string, withChoices = false): string {
  const insns = assembleInstructions(asm);
  const graph = [...controlFlow(insns, new Uint8Array(insns.length).fill(1), 0, insns.length)];
  if (withChoices) chooseInsteadOfJumping(graph, insns);
  const checksOf = ({ start, end }: CodeNode): Check[] => {
    const found: Check[] = [];
    for (let at = start; at < end; at += slots(insns[at])) {
      const access = arenaAccess(insns[at], at);
      if (access === undefined) continue;
      const { base, off, size, kind } = access;
      const bytes = kind === 'load' ? { from: 0, to: 0, unit: size } : { from: off, to: off + size, unit: 1 };
      found.push({ at, members: [at], base, distance: off, isMovable: kind !== 'acquire', ...bytes });
    }
    return found;
  };
  const at = insns.findIndex(({ code }) => opcode(code)?.kind === 'may_goto');
  const { node, loop } = loopAround(graph, { frame: 0, at });
  const run = pageRun(graph, loop, node, insns, checksOf);
  if (run === undefined) return 'none';
  const pointers = run.pointers.map(({ register, step, from, to, aligned }) => {
    const units = aligned.map(({ distance, unit }) => ` ${distance} by ${unit}`).join('');
    return `r${register} by ${step}:${from < to ? ` ${from} to ${to}` : ''}${units}`;
  });
  return [...pointers, ...(run.counter ? [`r${run.counter.register} counts`] : [])].join('; ');
}

const ROUND = (body: string) => `l: may_goto o; ${body}; if r3 != 9 goto l; o: exit`;

const CASES: readonly (readonly [rule: string, asm: string, run: string])[] = [
  ['a store to where a pointer leads', ROUND('*(u32 *)(r1 + 0) = 1; r1 += 4'), 'r1 by 4: 0 to 4; r1 counts'],
  [
    'before or behind it',
    ROUND('*(u8 *)(r1 - 3) = 1; *(u8 *)(r1 + 5) = 1; r1 += 4'),
    'r1 by 4: -3 to 6; r1 counts',
  ],
  [
    'from behind the may_goto on',
    `r1 += 8; l: *(u8 *)(r1 + 0) = 1; r1 += 4; may_goto o; goto l; o: exit`,
    'r1 by 4: 0 to 1; r1 counts',
  ],
  ['after a part of the step', ROUND('r1 += 4; *(u8 *)(r1 + 0) = 1; r1 += 4'), 'r1 by 8: 4 to 5; r1 counts'],
  [
    'through a copy',
    ROUND('r2 = r1; r2 += 16; *(u8 *)(r2 + 0) = 1; r1 += 4'),
    'r1 by 4: 16 to 17; r1 counts',
  ],
  ['downwards', ROUND('*(u8 *)(r1 + 0) = 1; r1 -= 4'), 'r1 by -4: 0 to 1; r1 counts'],
  ['a pointer that stays counts nothing', ROUND('*(u8 *)(r1 + 0) = 1'), 'r1 by 0: 0 to 1'],
  ['a load', ROUND('r4 = *(u32 *)(r1 + 0); r1 += 4'), 'r1 by 4: 0 by 4; r1 counts'],
  [
    'loads that are aligned alike, once',
    ROUND('r4 = *(u64 *)(r1 + 0); r4 = *(u32 *)(r1 + 4); r1 += 8'),
    'r1 by 8: 0 by 8; r1 counts',
  ],
  [
    'loads that are not, each',
    ROUND('r4 = *(u64 *)(r1 + 0); r4 = *(u32 *)(r1 + 2); r1 += 8'),
    'r1 by 8: 0 by 8 2 by 4; r1 counts',
  ],
  [
    'one through a copy that is a constant away',
    ROUND('r2 = r1; r2 += 4; r4 = *(u64 *)(r2 + 0); r1 += 8'),
    'r1 by 8: 4 by 8; r1 counts',
  ],
  [
    'several pointers',
    ROUND('r4 = *(u32 *)(r1 + 0); *(u64 *)(r2 + 0) = 1; r1 += 4; r2 += 8'),
    'r1 by 4: 0 by 4; r2 by 8: 0 to 8; r1 counts',
  ],
  ['not a step that leaves the alignment', ROUND('r4 = *(u32 *)(r1 + 0); r1 += 6'), 'none'],
  ['nor a pointer that is loaded', ROUND('*(u8 *)(r1 + 0) = 1; r1 = *(u64 *)(r1 + 8)'), 'none'],
  ['nor one that a register is added to', ROUND('*(u8 *)(r1 + 0) = 1; r1 += r4'), 'none'],
  ['nor a long step', ROUND('*(u8 *)(r1 + 0) = 1; r1 += 257'), 'none'],
  [
    'nor what asks for pages that are read only',
    ROUND('r4 = load_acquire((u64 *)(r1 + 0)); r1 += 8'),
    'none',
  ],
  ['nor what is far away', ROUND('*(u8 *)(r1 + 3000) = 1; r1 += 4'), 'none'],
  [
    'nor where steps differ',
    ROUND('*(u8 *)(r1 + 0) = 1; r1 += 4; if r4 == 0 goto a; r1 += 4; a: r4 += 1'),
    'none',
  ],
  ['not what not each round does', ROUND('if r4 == 0 goto a; *(u8 *)(r1 + 0) = 1; a: r1 += 4'), 'none'],
  [
    'what each does behind that, it is',
    ROUND('if r4 == 0 goto a; r4 = 1; a: *(u8 *)(r1 + 0) = 1; r1 += 4'),
    'r1 by 4: 0 to 1; r1 counts',
  ],
  [
    'where something remains to be checked, nothing counts',
    ROUND('*(u8 *)(r1 + 0) = 1; *(u8 *)(r4 + 0) = 1; r4 = r3; r1 += 4'),
    'r1 by 4: 0 to 1',
  ],
  [
    'nor where the loop may be left with another pointer',
    ROUND('*(u8 *)(r1 + 0) = 1; r2 = r1; r1 = r4; if r3 == 2 goto o; r1 = r2; r1 += 4'),
    'r1 by 4: 0 to 1',
  ],
  [
    'nor where another may_goto takes iterations',
    'l: may_goto o; *(u8 *)(r1 + 0) = 1; r1 += 4; if r3 < 9 goto l; may_goto o; goto l; o: exit',
    'r1 by 4: 0 to 1',
  ],
  ['no loop that calls', ROUND('*(u8 *)(r6 + 0) = 1; r6 += 4; call 5'), 'none'],
  [
    'no loop around another one',
    'l: may_goto o; *(u8 *)(r1 + 0) = 1; r1 += 4; m: r3 += 1; if r3 < 9 goto m; goto l; o: exit',
    'none',
  ],
  [
    'no loop that goes on past the may_goto',
    'l: *(u8 *)(r1 + 0) = 1; r1 += 4; if r3 == 1 goto l; may_goto o; goto l; o: exit',
    'none',
  ],
];

describe('before a run of rounds is asked', () => {
  for (const [rule, asm, run] of CASES) it(rule, () => assert.equal(runs(asm), run));

  it('of a pointer nothing that a choice moves', () => {
    const choice = (register: string) => `if r4 == 0 goto a; ${register} += 4; a: r4 = 1`;
    const round = (register: string) => ROUND(`*(u8 *)(r1 + 0) = 1; r1 += 4; ${choice(register)}`);
    assert.equal(runs(round('r1'), true), 'none');
    assert.equal(runs(round('r2'), true), 'r1 by 4: 0 to 1; r1 counts');
  });
});
