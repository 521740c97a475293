import { ERRNO } from '../errors.ts';
import type { StreamName } from '../kernel.ts';

/**
 * What a program has written to its two streams (bpf_stream_vprintk) and nobody has read: text on the thread of CPU 0, to
 * which other CPUs send theirs.
 */

/** Linux: BPF_STREAM_MAX_CAPACITY, in bytes. */
const CAPACITY = 100_000;

/** By Linux's numbers: BPF_STREAM_STDOUT, BPF_STREAM_STDERR. */
export const STREAMS: Readonly<Record<number, StreamName>> = { 1: 'stdout', 2: 'stderr' };

export class ProgramStreams {
  readonly #texts: Record<StreamName, string> = { stdout: '', stderr: '' };

  /** Adds to a stream. @returns 0, or −ENOSPC when nobody reads: then nothing is added. */
  write(stream: StreamName, text: string): number {
    if (this.#texts[stream].length + text.length > CAPACITY) return -ERRNO.ENOSPC;
    this.#texts[stream] += text;
    return 0;
  }

  /** Takes what is there. */
  read(stream: StreamName): string {
    const text = this.#texts[stream];
    this.#texts[stream] = '';
    return text;
  }
}
