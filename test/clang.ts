/**
 * Compiles BPF C while tests run, where clang is installed. Tests that need it skip themselves elsewhere:
 * `{ skip: noClang }`.
 */

import { spawnSync } from 'node:child_process';

const COMPILER = 'clang-22';

/** False where clang is there, else why the test is skipped. */
export const noClang: false | string =
  spawnSync(COMPILER, ['--version']).status === 0 ? false : `${COMPILER} is not installed`;

/**
 * The object that clang makes of a C source.
 *
 * @param flags beside `-O2 -g -target bpf -mcpu=v4`
 * @throws Error with clang's messages
 */
export function compileBpf(source: string, flags: readonly string[] = []): Uint8Array {
  const args = ['-O2', '-g', '-target', 'bpf', '-mcpu=v4', ...flags, '-x', 'c', '-c', '-', '-o', '-'];
  const { status, stdout, stderr } = spawnSync(COMPILER, args, { input: source, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`clang failed:\n${stderr}`);
  return new Uint8Array(stdout);
}
