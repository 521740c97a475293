import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jumpTarget, slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { Liveness } from './liveness.ts';
import { planFunctions } from './plan.ts';
import type { JitOptions } from './target.ts';
import { random, targetOf, verified } from './testdata/harness.ts';
import { type Unit, unitOf } from './unit.ts';

/** What is handed over where code is left, against a search of all ways on, for random programs; and by rules. */

const SEED = 20_261_129;
const PROGRAMS = 150;

interface Step {
  readonly asm: string;
  /** Variables: `r0` to `r9`, and `s8`, `s16` for the slots at r10 − 8 and − 16. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

/** Around one instruction of these, a jump becomes a choice between values. */
function anyChoice(next: (below: number) => number, label: string): Step[] {
  const [a, b, c] = [`r${next(8)}`, `r${next(9)}`, `r${next(9)}`];
  const operations: readonly Step[] = [
    { asm: `${a} = ${c}`, reads: [c], writes: [a] },
    { asm: `${a} = 7`, reads: [], writes: [a] },
    { asm: `${a} += ${c}`, reads: [a, c], writes: [a] },
  ];
  const jump = { asm: `if ${b} s< 3 goto ${label}`, reads: [b], writes: [] };
  return [jump, operations[next(3)], { asm: `${label}: ${a} = ${a}`, reads: [a], writes: [a] }];
}

/** One instruction. r8 holds a number, r9 an arena pointer, and no step changes them. */
function anyStep(next: (below: number) => number): Step {
  const [a, b] = [`r${next(8)}`, `r${next(9)}`];
  const slot = next(2) === 0 ? 8 : 16;
  const cell = `s${slot}`;
  const of: readonly Step[] = [
    { asm: `${a} = ${b}`, reads: [b], writes: [a] },
    { asm: `${a} = 7`, reads: [], writes: [a] },
    { asm: `${a} += ${b}`, reads: [a, b], writes: [a] },
    { asm: `${a} = -${a}`, reads: [a], writes: [a] },
    { asm: `${a} = be16 ${a}`, reads: [a], writes: [a] },
    { asm: `w${a.slice(1)} ^= 3`, reads: [a], writes: [a] },
    { asm: `${a} = 0x123456789 ll`, reads: [], writes: [a] },
    { asm: `${a} = *(u32 *)(r9 + 4)`, reads: ['r9'], writes: [a] },
    { asm: `*(u64 *)(r9 + 8) = ${b}`, reads: ['r9', b], writes: [] },
    { asm: '*(u64 *)(r9 + 8) = 5', reads: ['r9'], writes: [] },
    { asm: `*(u64 *)(r10 - ${slot}) = ${b}`, reads: [b], writes: [cell] },
    { asm: `${a} = *(u64 *)(r10 - ${slot})`, reads: [cell], writes: [a] },
    // Of an absent page the result stays what it was, so what these write they read.
    { asm: `${a} = atomic_fetch_add((u64 *)(r9 + 0), ${a})`, reads: ['r9', a], writes: [a] },
    { asm: `lock *(u32 *)(r9 + 0) |= ${b}`, reads: ['r9', b], writes: [] },
    { asm: `r0 = cmpxchg_64(r9 + 0, r0, ${b})`, reads: ['r9', 'r0', b], writes: ['r0'] },
    { asm: `${a} = load_acquire((u64 *)(r9 + 0))`, reads: ['r9', a], writes: [a] },
    { asm: `store_release((u64 *)(r9 + 0), ${b})`, reads: ['r9', b], writes: [] },
    { asm: `if ${a} == ${b} goto END`, reads: [a, b], writes: [] },
    { asm: `if ${a} s> 5 goto LOOP`, reads: [a], writes: [] },
    { asm: 'may_goto END', reads: ['budget'], writes: [] },
  ];
  return of[next(of.length)];
}

/** A loop around random steps. Jumps back to its start pass the may_goto there. */
function anyProgram(next: (below: number) => number): { steps: Step[]; asm: string } {
  const known = (register: string): Step => ({
    asm: `${register} = *(u64 *)(r1 + 0)`,
    reads: ['r1'],
    writes: [register],
  });
  const steps: Step[] = [
    ...['r0', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9'].map(known),
    { asm: 'r9 = addr_space_cast(r9, 0, 1)', reads: ['r9'], writes: ['r9'] },
    known('r1'),
    { asm: '*(u64 *)(r10 - 8) = r8', reads: ['r8'], writes: ['s8'] },
    { asm: '*(u64 *)(r10 - 16) = r8', reads: ['r8'], writes: ['s16'] },
    { asm: 'LOOP: may_goto END', reads: ['budget'], writes: [] },
    ...Array.from({ length: 4 + next(10) }, (_, i) =>
      next(5) === 0 ? anyChoice(next, `S${i}`) : [anyStep(next)],
    ).flat(),
    { asm: 'goto LOOP', reads: [], writes: [] },
    { asm: 'END: exit', reads: ['r0'], writes: [] },
  ];
  const first: Step = { asm: 'r2 = ARENA', reads: [], writes: ['r2'] };
  return { steps: [first, ...steps], asm: [first, ...steps].map((step) => step.asm).join('; ') };
}

/** Variables that some way from before an instruction reads before it writes them. */
function wanted(program: VerifiedProgram, stepAt: ReadonlyMap<number, Step>, from: number): Set<string> {
  const found = new Set<string>();
  const variables = new Set([...stepAt.values()].flatMap(({ reads }) => reads));
  for (const variable of variables) {
    const seen = new Set<number>();
    const work = [from];
    for (let at = work.pop(); at !== undefined; at = work.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const { reads = [], writes = [] } = stepAt.get(at) ?? {};
      if (reads.includes(variable)) found.add(variable);
      if (reads.includes(variable) || writes.includes(variable)) continue;
      const insn = program.insns[at];
      const kind = opcode(insn.code)?.kind;
      const target = jumpTarget(insn, at);
      const ways = [
        ...(target === undefined ? [] : [target]),
        ...(kind === 'goto' || kind === 'exit' ? [] : [at + slots(insn)]),
      ];
      work.push(...ways.filter((to) => program.facts.seen[to] !== 0));
    }
  }
  return found;
}

function analysed(program: VerifiedProgram, options: JitOptions): { unit: Unit; liveness: Liveness } {
  const plans = planFunctions(program, options);
  const unit = unitOf(program, plans, 0);
  return { unit, liveness: new Liveness(program, plans, unit, targetOf(program).call) };
}

/** The variables before an instruction by their names, those of inlined frames behind `frame.`. */
function namesBefore(
  program: VerifiedProgram,
  frame: number,
  at: number,
  options: JitOptions = {},
): Set<string> {
  const { unit, liveness } = analysed(program, options);
  const names = new Map<number, string>();
  unit.frames.forEach(({ registers, cells, loop }, i) => {
    const prefix = i === 0 ? '' : `${i}.`;
    registers.forEach((variable, register) => {
      if (register > 0 || i === 0) names.set(variable, `${prefix}r${register}`);
    });
    for (const [offset, variable] of cells) names.set(variable, `${prefix}s${-offset}`);
    if (loop === undefined) return;
    names.set(loop.count, `${prefix}budget`);
    names.set(loop.deadline, `${prefix}budget`);
  });
  return new Set(liveness.before(frame, at).map((variable) => names.get(variable) ?? '?'));
}

it(`what is live is what some way on reads before it writes it (seed ${SEED})`, () => {
  let points = 0;
  for (let round = 0; round < PROGRAMS; round++) {
    const { steps, asm } = anyProgram(random(SEED + round));
    const program = verified(asm);
    const stepAt = new Map<number, Step>();
    let slot = 0;
    for (const step of steps) {
      stepAt.set(slot, step);
      slot += slots(program.insns[slot]);
    }
    for (const at of stepAt.keys()) {
      if (program.facts.seen[at] === 0) continue;
      if (!program.facts.reachesArena(at) && opcode(program.insns[at].code)?.kind !== 'may_goto') continue;
      points++;
      const sorted = (names: Set<string>) => [...names].sort().join(' ');
      assert.equal(
        sorted(namesBefore(program, 0, at)),
        sorted(wanted(program, stepAt, at)),
        `round ${round}, before ${at} of ${asm}`,
      );
    }
  }
  assert.ok(points > 3 * PROGRAMS, `${points} points`);
});

it('each of many points has what is wanted there', () => {
  const COUNT = 200;
  const loads = Array.from({ length: COUNT }, () => '*(u8 *)(r9 + 0) = r8');
  const program = verified(
    `r5 = ARENA; r9 = *(u64 *)(r1 + 0); r8 = *(u64 *)(r1 + 8); r9 = addr_space_cast(r9, 0, 1); ${loads.join('; ')}; r0 = 0; exit`,
  );
  const { unit, liveness } = analysed(program, {});
  const [{ registers }] = unit.frames;
  const points = program.insns.flatMap((_, slot) => (program.facts.reachesArena(slot) ? [slot] : []));
  assert.equal(points.length, COUNT);
  for (const at of points) assert.deepEqual(liveness.before(0, at), [registers[8], registers[9]]);
});

describe('around calls', () => {
  const START = 'r5 = ARENA; r9 = *(u64 *)(r1 + 0); r9 = addr_space_cast(r9, 0, 1); r6 = 1; r7 = 2;';

  it('a call out reads its arguments, and leaves a result in r0 alone', () => {
    const program = verified(
      `${START} r2 = r10; r2 += -4; *(u32 *)(r2 + 0) = 0; r1 = ARRAY; *(u8 *)(r9 + 0) = 1; call 1; r0 = r6; exit`,
    );
    const at = program.insns.findIndex((_, slot) => program.facts.reachesArena(slot));
    // The array's address is known where the code is made.
    assert.deepEqual([...namesBefore(program, 0, at)].sort(), ['r2', 'r6', 'r9']);
  });

  it('what a caller still wants lives on within its callee, and what the callee has taken over does not', () => {
    const program = verified(
      `${START} r1 = r9; r2 = r6; r3 = 3; call f; r0 += r7; exit; f: *(u8 *)(r1 + 0) = r2; r0 = 0; exit`,
    );
    const at = program.insns.findIndex((_, slot) => program.facts.reachesArena(slot));
    assert.deepEqual([...namesBefore(program, 1, at)].sort(), ['1.r1', '1.r2', 'r7']);
  });

  for (const inlining of [true, false])
    it(`arguments that the callee reads are wanted before the call, others are not; inlined: ${inlining}`, () => {
      const program = verified(
        `${START} r1 = r9; r2 = r6; r3 = 3; *(u8 *)(r9 + 0) = 1; call f; r0 += r7; exit; f: r0 = r2; exit`,
      );
      const at = program.insns.findIndex((_, slot) => program.facts.reachesArena(slot));
      assert.deepEqual([...namesBefore(program, 0, at, { inlining })].sort(), ['r2', 'r7', 'r9']);
    });

  it('a budget of a callee begins with it', () => {
    const program = verified(
      `${START} *(u8 *)(r9 + 0) = 1; call f; exit; f: r0 = 0; l: may_goto out; r0 += 1; goto l; out: exit`,
    );
    const at = program.insns.findIndex((_, slot) => program.facts.reachesArena(slot));
    assert.deepEqual([...namesBefore(program, 0, at)], ['r9']);
  });
});
