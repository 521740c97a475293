import { readFileSync } from 'node:fs';
import { linux } from '../../src/linux/index.ts';
import type { LinuxLoad } from '../../src/linux/load.ts';
import { parseObject } from '../../src/object/object.ts';
import { assembleObject } from '../../src/object/write.ts';

/** The programs of buffers.bpfasm in Linux, and their contexts. */

const FILE = 'buffers.bpfasm';
const OBJECT = parseObject(
  assembleObject(readFileSync(new URL(FILE, import.meta.url), 'utf8'), FILE),
  'buffers',
);

/** Loads them anew. Close the load. */
export function loadBuffers(): Promise<LinuxLoad> {
  return linux().load(OBJECT);
}

export interface Output {
  /** Records. */
  count?: number;
  /** The first one's number. */
  first?: number;
  /** BPF_RB_NO_WAKEUP 1, BPF_RB_FORCE_WAKEUP 2. */
  flags?: number;
}

export function contextOf({ count = 1, first = 0, flags = 0 }: Output): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(count), BigInt(first), BigInt(flags), 0n).buffer);
}

/** Sends records to the ring buffer. @returns how many it had room for. */
export function ringOutput(load: LinuxLoad, output: Output): number {
  return load.programs.ring_output.run({ ctx: contextOf(output) }).retval;
}

/** Sends a record from a CPU to its perf buffer. @returns what bpf_perf_event_output gave. */
export function perfOutput(load: LinuxLoad, number: number, cpu: number): number {
  return load.programs.perf_output.run({ ctx: new Uint8Array(BigUint64Array.of(BigInt(number)).buffer), cpu })
    .retval;
}

/** The u64 at the start of a record. */
export function numberOf(record: Uint8Array): number {
  return Number(new DataView(record.buffer, record.byteOffset).getBigUint64(0, true));
}
