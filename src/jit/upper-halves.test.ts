import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { controlFlow } from './cfg.ts';
import type { CallOut } from './target.ts';
import { targetOf, verified } from './testdata/harness.ts';
import { narrowArithmetic } from './upper-halves.ts';

/** Whether the first `r6 += r7` may be done in 32 bits, with `rest` behind it. r1 is the context, and r6 and r7 are numbers. */
function isNarrow(
  rest: string,
  operation = 'r6 += r7',
  call?: CallOut,
  probes: readonly number[] = [],
): boolean {
  const program = verified(
    `r9 = r1; r6 = *(u64 *)(r1 + 0); r7 = *(u64 *)(r1 + 8); r8 = 0; ${operation}; ${rest}; r0 = 0; r1 = ARENA; exit`,
  );
  const { insns, facts } = program;
  for (const at of probes) facts.probes.add(at);
  const graph = controlFlow(insns, facts.seen, 0, insns.length);
  const target = targetOf(program, call && { call: () => call });
  return narrowArithmetic(graph, program, (at) => target.call(at)).has(4);
}

const NARROW: readonly (readonly [rule: string, rest: string, operation?: string])[] = [
  ['nobody looks at it', 'r6 = 1'],
  ['its low half is stored', '*(u32 *)(r9 + 0) = r6'],
  ['its low half goes into arithmetic in 32 bits', 'w6 += 1; *(u64 *)(r9 + 0) = r6'],
  ['it is moved in 32 bits', 'w7 = w6; *(u64 *)(r9 + 0) = r7'],
  ['it is extended from its low half', 'r7 = (s32)r6; *(u64 *)(r9 + 0) = r7'],
  ['it goes into a sum of which nobody wants it', 'r8 += r6; *(u16 *)(r9 + 0) = r8'],
  ['and through a copy', 'r8 = r6; *(u8 *)(r9 + 0) = r8'],
  ['and through a shift to the left', 'r6 <<= 3; *(u8 *)(r9 + 0) = r6'],
  ['it is compared in 32 bits', 'if w6 > 3 goto +0'],
  ['it becomes an arena pointer', 'r1 = ARENA; r6 = addr_space_cast(r6, 0, 1); *(u64 *)(r6 + 0) = 1'],
  ['a shift to the left by less than 32', '*(u32 *)(r9 + 0) = r6', 'r6 <<= 31'],
  ['a product', '*(u32 *)(r9 + 0) = r6', 'r6 *= r7'],
  ['a constant', '*(u32 *)(r9 + 0) = r6', 'r6 = 0x123456789a ll'],
  ['a user address', '*(u32 *)(r9 + 0) = r6', 'r6 = addr_space_cast(r7, 1, 0)'],
];

const WIDE: readonly (readonly [rule: string, rest: string, operation?: string])[] = [
  ['it is stored whole', '*(u64 *)(r9 + 0) = r6'],
  ['it is shifted to the right', 'r6 >>= 3; *(u8 *)(r9 + 0) = r6'],
  ['it is compared', 'if r6 > 3 goto a; r8 = 1; a: *(u64 *)(r9 + 0) = r8'],
  ['it is compared with', 'if r8 > r6 goto a; r8 = 1; a: *(u64 *)(r9 + 0) = r8'],
  ['it is divided', 'r6 /= 3; *(u8 *)(r9 + 0) = r6'],
  ['it is divided by', 'r7 /= r6; *(u8 *)(r9 + 0) = r7'],
  ['its bytes are reversed', 'r6 = bswap64 r6; *(u8 *)(r9 + 0) = r6'],
  ['it is wanted on one of two ways', 'if w7 == 0 goto a; *(u64 *)(r9 + 0) = r6; a: r8 = 0'],
  ['or in the next round of a loop', 'l: r8 += r6; r7 >>= 1; may_goto a; goto l; a: *(u64 *)(r9 + 0) = r8'],
  ['it is on the stack meanwhile', '*(u64 *)(r10 - 8) = r6; r6 = *(u64 *)(r10 - 8); *(u8 *)(r9 + 0) = r6'],
  ['the program gives it', 'if w7 == 0 goto a; r0 = r6; exit; a: r8 = 0'],
  ['an atomic may leave it', '*(u64 *)(r10 - 8) = 0; lock *(u64 *)(r10 - 8) += r6'],
  ['a shift to the left by 32', '*(u32 *)(r9 + 0) = r6', 'r6 <<= 32'],
  ['a shift by a register', '*(u32 *)(r9 + 0) = r6', 'r6 <<= r7'],
  ['a shift to the right', '*(u32 *)(r9 + 0) = r6', 'r6 >>= 3'],
  ['a quotient', '*(u32 *)(r9 + 0) = r6', 'r6 /= r7'],
  ['a constant that is stored whole', '*(u64 *)(r9 + 0) = r6', 'r6 = 0x123456789a ll'],
  ['a user address that is', '*(u64 *)(r9 + 0) = r6', 'r6 = addr_space_cast(r7, 1, 0)'],
];

describe('arithmetic in 64 bits is done in 32 where', () => {
  for (const [rule, rest, operation] of NARROW) it(rule, () => assert.equal(isNarrow(rest, operation), true));
});

describe('but not where', () => {
  for (const [rule, rest, operation] of WIDE) it(rule, () => assert.equal(isNarrow(rest, operation), false));
  for (const form of ['double', 'wide', 'high'] as const)
    it(`a helper takes it as ${form}`, () =>
      assert.equal(
        isNarrow('r1 = r6; call 5', undefined, {
          kind: 'import',
          name: 'f',
          args: [{ register: 1, form }],
          result: 'none',
        }),
        false,
      ));
});

it('of an arena pointer the low half is looked at, of one that may lead nowhere all', () => {
  for (const [probes, isWide] of [
    [[], false],
    [[5], true],
  ] as const)
    assert.equal(
      isNarrow('r8 = *(u64 *)(r6 + 0)', 'r6 = addr_space_cast(r7, 0, 1)', undefined, probes),
      !isWide,
    );
});

it('a helper that takes the low half wants no more', () => {
  const call: CallOut = { kind: 'import', name: 'f', args: [{ register: 1, form: 'low' }], result: 'none' };
  assert.equal(isNarrow('r1 = r6; call 5', undefined, call), true);
});
