import { type Engine, type EngineSpec, type StartOptions, start } from './engines.ts';
import type { Workload } from './workloads.ts';

/**
 * Measures one workload on several engines: set up, checked, warmed up, then in interleaved rounds, so that what slows the
 * machine down for a while slows all of them.
 */

export interface Effort extends StartOptions {
  readonly rounds: number;
  /** How long each engine runs before it is measured, milliseconds: until V8 has optimised what it will. */
  readonly warmUp: number;
  /** How often all this happens, with new processes: code and data lie elsewhere each time. */
  readonly forks: number;
}

/** An engine's time for a run in each round, nanoseconds. All engines have equally many. */
export type Samples = ReadonlyMap<string, readonly number[]>;

/** Runs of which a round takes the median, after one that brings code and data back into the caches. */
const RUNS = 3;
/** From here on a run is long enough not to care, nanoseconds. */
const LONG_RUN = 100e6;

export async function measure(
  workload: Workload,
  specs: readonly EngineSpec[],
  effort: Effort,
): Promise<Samples> {
  const samples = new Map<string, number[]>(specs.map(({ label }) => [label, []]));
  for (let fork = 0; fork < effort.forks; fork++) {
    const engines: { label: string; engine: Engine }[] = [];
    try {
      for (const spec of specs)
        engines.push({ label: spec.label, engine: await start(spec, workload, effort) });
      for (const each of engines) await check(workload, each);
      const slow = new Set<string>();
      for (const { label, engine } of engines) {
        if ((await warmUp(workload, engine, effort.warmUp)) > LONG_RUN) slow.add(label);
      }
      for (let round = 0; round < effort.rounds; round++) {
        for (const { label, engine } of engines)
          samples.get(label)?.push(await roundOf(workload, engine, slow.has(label)));
      }
    } finally {
      for (const { engine } of engines) engine.close();
    }
  }
  return samples;
}

/** Throws when an engine computes anything else than it should. */
async function check(
  workload: Workload,
  { label, engine }: { label: string; engine: Engine },
): Promise<void> {
  const { checksum } = await runOnce(workload, engine);
  if (checksum !== workload.checksum)
    throw new Error(`${workload.name}: ${label} computes ${checksum}, not ${workload.checksum}`);
}

/** @returns nanoseconds of the last run. */
async function warmUp(workload: Workload, engine: Engine, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let last: number;
  do last = (await runOnce(workload, engine)).nanoseconds;
  while (performance.now() < end);
  return last;
}

async function roundOf(workload: Workload, engine: Engine, once: boolean): Promise<number> {
  if (once) return (await runOnce(workload, engine)).nanoseconds;
  await runOnce(workload, engine);
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) times.push((await runOnce(workload, engine)).nanoseconds);
  return times.sort((a, b) => a - b)[RUNS >> 1];
}

async function runOnce({ name, before, drains }: Workload, engine: Engine) {
  if (drains !== undefined) await engine.drain(drains);
  if (before !== undefined) await engine.run(before);
  return await engine.run(name);
}
