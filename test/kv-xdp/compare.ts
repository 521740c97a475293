import { PORT } from './frames.ts';
import { judge } from './judge.ts';
import { type AcceleratedStore, type Grow, item, type Verdict, XDP_PASS, XDP_TX } from './store.ts';

/** Holds what accelerators did with a frame against what they ought to do. */

/** What is wrong, or undefined. `room` is the bytes that a frame can have. */
export function problemWith(frame: Uint8Array, { retval, packet }: Verdict): string | undefined {
  const expected = judge(frame, { port: PORT, item });
  const verdict = expected === undefined ? XDP_PASS : XDP_TX;
  if (retval !== verdict) return `the verdict is ${retval}, not ${verdict}`;
  if (Buffer.compare(packet, expected ?? frame) === 0) return undefined;
  return expected === undefined ? 'a packet that passed was changed' : `the answer is not ${hex(expected)}`;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Runs a frame in all stores; what is wrong in one of them, or undefined. @returns also whether it was answered */
export function tryFrame(
  stores: readonly (readonly [string, AcceleratedStore])[],
  frame: Uint8Array,
  grow: Grow,
): { answered: boolean; problem: string | undefined } {
  let answered = false;
  for (const [name, store] of stores) {
    const verdict = store.run(frame, grow);
    answered = verdict.retval === XDP_TX;
    const problem = problemWith(frame, verdict);
    if (problem !== undefined) {
      const gave = `${hex(verdict.packet)}`;
      return { answered, problem: `${name}: ${problem}\n  frame ${hex(frame)}\n  gave ${gave}` };
    }
  }
  return { answered, problem: undefined };
}
