import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NATIVE_RUNS } from '../programs/results.ts';
import type { EmbeddedProgram } from '../src/embedded/program.ts';
import { embedded, type LoadedObject, open } from '../src/index.ts';

/**
 * The programs of programs/ whose names end in _contend, on several CPUs of the embedded kernel at once: they give what they
 * give on one. Where its loop budget ended a program asks for another run.
 */

const CPUS = 3;
const EAGAIN = -11;

/** Rounds of each; fewer where CPUs take turns, for the machine may have fewer of them than the kernel. */
const ROUNDS = {
  arena_locks: 2_000,
  arena_slab: 20_000,
  arena_ring: 20_000,
  arena_bitmap: 20_000,
  arena_shared: 5_000,
  arena_radix: 5_000,
} as const satisfies Partial<Record<keyof typeof NATIVE_RUNS, number>>;

/** Programs that need not be loaded again here: they are about one CPU, and nothing follows from them. */
const LEFT_OUT = /^(locks|slab|shared|bitmap|radix)_on_one_cpu$|_times_out$|^bitmap_primes$/;

/** What follows from other rounds than those of the table by more than their number. */
const SUMS: Readonly<Record<string, (rounds: bigint) => bigint>> = {
  popped_sum: (n) => (n * (n + 1n)) / 2n,
  popped_squares: (n) => (n * (n + 1n) * (2n * n + 1n)) / 6n,
};

/** Runs a program to its end, on all CPUs when it is made for that. @returns its return value, as text. */
async function runToEnd({ programs }: LoadedObject, name: string): Promise<string> {
  for (;;) {
    const program = programs[name] as EmbeddedProgram;
    const runs = name.endsWith('_contend') ? await program.runOnAll() : [program.run()];
    const retvals = runs.map(({ retval }) => retval | 0);
    if (!retvals.includes(EAGAIN)) return String(retvals.find((retval) => retval !== 0) ?? 0);
  }
}

describe(`on ${CPUS} CPUs at once`, () => {
  for (const [name, rounds] of Object.entries(ROUNDS)) {
    it(`${name} gives what it gives on one`, async () => {
      const { args, prints } = NATIVE_RUNS[name as keyof typeof ROUNDS];
      const object = await open(new URL(`../programs/${name}.bpf.o`, import.meta.url));
      object.globals.rounds = BigInt(rounds);
      for (const program of Object.values(object.programs)) program.autoload = !LEFT_OUT.test(program.name);
      using kernel = embedded({ cpus: CPUS });
      using loaded = await object.load(kernel);
      for (const [what, value] of Object.entries<string>(prints)) {
        if (LEFT_OUT.test(what) || ['primes', 'largest', 'pages_left'].includes(what)) continue;
        const isRun = loaded.programs[what] !== undefined;
        const seen = isRun ? await runToEnd(loaded, what) : String(loaded.globals[what]);
        const sum = SUMS[what]?.(BigInt(rounds));
        assert.equal(seen, sum === undefined ? value.replace(args[0], String(rounds)) : String(sum), what);
      }
    });
  }
});
