import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EmbeddedOptions } from '../../src/embedded/options.ts';
import { BpfError } from '../../src/errors.ts';
import { assembleObject, embedded, open, type RunOptions } from '../../src/index.ts';
import type { Kernel, RunResult } from '../../src/kernel.ts';
import { linux } from '../../src/linux/index.ts';
import { onLinux } from './kernels.ts';

/**
 * Rules of packets: a program, runs of it, and where it is worth saying what they give. Each runs in the embedded kernel, with both
 * engines, and in Linux: all have to answer the same.
 */

const EMBEDDED: readonly EmbeddedOptions[] = [{ engine: 'jit' }, { engine: 'interpreter', checked: true }];

type Answer = Pick<RunResult, 'retval' | 'dataOut' | 'ctxOut'> | string;

export async function answers(
  kernel: Kernel,
  section: string,
  body: string,
  runs: readonly RunOptions[],
): Promise<Answer[]> {
  const text = `.license "GPL"\n.section ${section}\n.func f : s32 (void *ctx)\n${body}\n`;
  try {
    const loaded = await (await open(assembleObject(text, 'packets.bpfasm'))).load(kernel);
    return runs.map((options) => {
      try {
        const { retval, dataOut, ctxOut } = loaded.programs.f.run(options);
        return { retval, dataOut, ctxOut };
      } catch (error) {
        if (error instanceof BpfError) return error.code;
        throw error;
      }
    });
  } finally {
    kernel.close();
  }
}

/** Runs a program everywhere. @returns what it answered to each run. */
export async function everywhere(
  section: string,
  body: string,
  runs: readonly RunOptions[],
): Promise<Answer[]> {
  const [first, ...others] = await Promise.all(
    EMBEDDED.map((options) => answers(embedded(options), section, body, runs)),
  );
  for (const other of others) assert.deepEqual(other, first, 'the engines differ');
  return first;
}

/** Declares a rule: the same program and runs in both kernels. */
export function rule(
  name: string,
  section: string,
  body: string,
  runs: readonly RunOptions[],
  expected?: unknown,
): void {
  cases.push({ name, section, body, runs });
  it(name, async () => {
    const found = await everywhere(section, body, runs);
    if (expected === undefined) return;
    assert.deepEqual(
      found.map((answer) => (typeof answer === 'string' ? answer : answer.retval)),
      expected,
    );
  });
}

const cases: { name: string; section: string; body: string; runs: readonly RunOptions[] }[] = [];

/** Declares all rules of a file for Linux. */
export function alsoOnLinux(): void {
  onLinux('Linux, of packets', () => {
    for (const { name, section, body, runs } of cases)
      it(`${section}: ${name}`, async () => {
        const [here, there] = [
          await everywhere(section, body, runs),
          await answers(linux(), section, body, runs),
        ];
        assert.deepEqual(here, there);
      });
  });
}

/** Bytes that count up, but for the first ones. */
export const packet = (length: number, ...first: number[]) =>
  Uint8Array.from({ length }, (_, i) => first[i] ?? i & 0xff);
export const ethernet = (type: number, length: number, to = [0, 0, 0, 0, 0, 0]) =>
  packet(length, ...to, 2, 2, 2, 2, 2, 2, type >> 8, type & 0xff, 0x45);
export const IPV4 = ethernet(0x0800, 60);
export const IPV6 = ethernet(0x86dd, 70, [1, 1, 1, 1, 1, 1]);
export const PACKETS: readonly Uint8Array[] = [
  IPV4,
  IPV6,
  ethernet(0x0100, 20, [2, 1, 1, 1, 1, 1]),
  ethernet(0x0100, 14, [255, 255, 255, 255, 255, 255]),
  Uint8Array.of(...ethernet(0x0010, 14), 255, 255),
];
export const xdpMd = (...words: number[]) =>
  new Uint8Array(Uint32Array.from({ length: 6 }, (_, i) => words[i] ?? 0).buffer);
/** struct __sk_buff with some words set. */
export function skb(words: Readonly<Record<number, number>> = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(192));
  for (const [at, value] of Object.entries(words)) view.setUint32(Number(at), value, true);
  return new Uint8Array(view.buffer);
}
export const RICH = skb({
  8: 5,
  32: 9,
  36: 3,
  48: 0x04030201,
  152: 99,
  160: 100,
  164: 7,
  176: 70_000,
  184: 98,
});
