import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { contextOf, programText, resultOf, TestKernel } from '../../src/embedded/testdata/harness.ts';
import { BpfError } from '../../src/errors.ts';
import { type EmbeddedOptions, embedded, type Kernel } from '../../src/index.ts';
import type { ArenaMap, BpfMap } from '../../src/kernel.ts';
import { createMap } from '../../src/linux/create-map.ts';
import { type Fd, Owned } from '../../src/linux/fd.ts';
import { linux, linuxUnavailable } from '../../src/linux/index.ts';
import { kernelBtf } from '../../src/linux/kernel-types.ts';
import { loadSnippet, runSnippet } from '../../src/linux/snippet.ts';
import { mapSpec } from '../../src/object/map-definitions.ts';
import type { MapSpec } from '../../src/object/map-spec.ts';

/**
 * The contract suite runs each of its tests on both kernels. Where Linux cannot be used it says so in one line; in CI, as
 * root on a Linux with BTF, that is a failure.
 */

/** Maps, and functions in assembly text that run with them: see the embedded kernel's harness. */
export interface Bench extends Disposable {
  readonly maps: readonly BpfMap[];
  /** Runs a function. @returns r0, unsigned 64 bits. Throws the kernel's error when it is refused. */
  run(asm: string, ...args: (bigint | number | string)[]): bigint;
}

export type BenchMap = Partial<MapSpec> & { type: number };

export interface ContractKernel {
  readonly name: 'embedded' | 'linux';
  /** Why tests of several CPUs are not run: Linux gives a process the CPUs that it may use, the embedded kernel as many as it wants. */
  readonly oneCpu?: string | undefined;
  /** @param options for the embedded kernel; Linux is as it is. */
  open(options?: EmbeddedOptions): Kernel & Disposable;
  bench(maps: readonly BenchMap[]): Bench;
}

/** Maps and functions in an embedded kernel, in the checked mode unless `options` say otherwise. */
export function embeddedBench(maps: readonly BenchMap[], options: EmbeddedOptions = {}): Bench {
  const test = new TestKernel(
    maps.map((map) => ({ keySize: 4, valueSize: 8, maxEntries: 1, ...map })),
    options,
  );
  return {
    maps: test.maps,
    run: (asm, ...args) => test.run(asm, ...args).r0,
    [Symbol.dispose]: () => test.close(),
  };
}

const EMBEDDED: ContractKernel = {
  name: 'embedded',
  open: (options) => embedded(options),
  bench: (maps) => embeddedBench(maps),
};

class LinuxBench implements Bench {
  readonly maps: readonly BpfMap[];
  readonly #owned = new Owned();
  readonly #programs = new Map<string, Fd>();
  readonly #handles: readonly number[];

  constructor(maps: readonly BenchMap[]) {
    try {
      const made = maps.map((map) =>
        createMap(
          mapSpec('map', { keySize: 4, valueSize: 8, maxEntries: 1, ...map }),
          undefined,
          this.#owned,
        ),
      );
      this.maps = made;
      this.#handles = made.map(({ fdNumber }) => fdNumber);
    } catch (error) {
      this.#owned.close();
      throw error;
    }
  }

  run(asm: string, ...args: (bigint | number | string)[]): bigint {
    const ctx = contextOf(args);
    const { number } = this.#program(asm, args.length);
    runSnippet(number, ctx, `running ${asm}`);
    return resultOf(ctx);
  }

  #program(asm: string, args: number): Fd {
    const key = `${args} ${asm}`;
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const insns = programText(asm, args, this.#handles, (name) => kernelBtf()?.idOf(name, 'func') ?? 0);
    const { fd, log } = loadSnippet(insns);
    if (fd === undefined) throw new BpfError('EINVAL', log);
    this.#programs.set(key, this.#owned.add(fd));
    return fd;
  }

  [Symbol.dispose](): void {
    this.#owned.close();
  }
}

/** Maps and functions in Linux. */
export function linuxBench(maps: readonly BenchMap[]): Bench {
  return new LinuxBench(maps);
}

/** Why what needs two CPUs of Linux is not run; undefined when it is. */
export const oneCpu = availableParallelism() > 1 ? undefined : 'not run: this process has one CPU';

const LINUX: ContractKernel = {
  name: 'linux',
  oneCpu,
  open: () => linux(),
  bench: linuxBench,
};

/** Why tests on Linux are not run; undefined when they are. */
export const notRun = linuxUnavailable();

/** Whether this is a machine on which not running them would hide failures. */
const mustRun =
  process.env.CI !== undefined && process.getuid?.() === 0 && existsSync('/sys/kernel/btf/vmlinux');

/** Declares tests for each kernel. */
export function onBothKernels(what: string, declare: (kernel: ContractKernel) => void): void {
  describe(`${what}, embedded kernel`, () => declare(EMBEDDED));
  onLinux(`${what}, Linux`, () => declare(LINUX));
}

/** Likewise, for tests that run functions of a bench: compiled ones, too, where the bench of the embedded kernel interprets them. */
export function onAllEngines(what: string, declare: (kernel: ContractKernel) => void): void {
  onBothKernels(what, declare);
  describe(`${what}, compiled`, () =>
    declare({ ...EMBEDDED, bench: (maps) => embeddedBench(maps, { checked: false }) }));
}

/** Declares tests for Linux, or the one line that says why they are not run. */
export function onLinux(what: string, declare: () => void): void {
  if (notRun === undefined) describe(what, declare);
  else if (mustRun)
    it(what, () => assert.fail(`in CI, as root on a kernel with BTF, this must run: ${notRun}`));
  else it(what, { skip: `not run: ${notRun}` }, () => {});
}

/** `ok`, or the errno of what an action throws. */
export function outcome(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof BpfError, String(error));
    return error.code;
  }
}

/** A bench's first map, an arena. */
export function arenaOf({ maps }: Bench): ArenaMap {
  return maps[0] as ArenaMap;
}
