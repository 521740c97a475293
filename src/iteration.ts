import { BpfError } from './errors.ts';
import type { FaultReport, IterateOptions, Iteration } from './kernel.ts';

/**
 * What an iterator program writes, as user space reads it, in either kernel: this half makes wholes and loops of single reads, which
 * are the kernel's own.
 */

/** Bytes that Linux sets aside for what is written between two reads: one object's output has to be less. */
export const SEQ_BYTES = 32_768;

/** How often who reads all asks again in a row, where the program or the kernel wants to be asked again. */
const MOST_RETRIES = 10_000;

/** Iterators that want a map. */
const OVER_A_MAP: readonly string[] = ['bpf_map_elem', 'bpf_sk_storage_map', 'sockmap'];

/** Throws EINVAL for a program that is no iterator, or none over a map where one is given. */
export function checkIterator(
  { name, section, attachType, attachTo }: IteratingProgram,
  { map }: IterateOptions,
): void {
  if (attachType !== 'trace_iter')
    throw new BpfError('EINVAL', `program '${name}' (${section}) is no iterator: SEC("iter/…") makes one`);
  if (map === undefined || OVER_A_MAP.includes(attachTo ?? '')) return;
  throw new BpfError('EINVAL', `program '${name}' (${section}) does not iterate over one map: give it none`);
}

/** The error for one that is run as other programs are (Linux: bpf_prog_test_run_tracing). */
export function notRunAlone(name: string): BpfError {
  return new BpfError(
    'EFAULT',
    `program '${name}' is an iterator, and has no context of its own: use iterate`,
  );
}

interface IteratingProgram {
  readonly name: string;
  readonly section: string;
  readonly attachType?: string | undefined;
  readonly attachTo?: string | undefined;
}

export abstract class SeqReader implements Iteration {
  /** What it is the output of, for messages. */
  readonly #what: string;
  #ended = false;

  constructor(what: string) {
    this.#what = what;
  }

  read(size = SEQ_BYTES): Uint8Array | undefined {
    if (!Number.isInteger(size) || size < 1)
      throw new BpfError('EINVAL', `${this.#what}: at least a byte is read, not ${size}`);
    if (this.closed) throw new BpfError('EBADF', `${this.#what} is closed`);
    if (this.#ended) return undefined;
    const bytes = this.take(size);
    this.#ended = bytes.length === 0;
    return this.#ended ? undefined : bytes;
  }

  get faults(): readonly FaultReport[] {
    return [];
  }

  /** Reads once: at most `size` bytes, none at the end. */
  protected abstract take(size: number): Uint8Array;
  protected abstract get closed(): boolean;
  abstract close(): void;

  /** The error for what a read answered. */
  protected failed(code: keyof typeof REASONS): BpfError {
    return new BpfError(code, `${this.#what}: ${REASONS[code]}`);
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let piece = this.#readOn(); piece !== undefined; piece = this.#readOn()) yield piece;
  }

  #readOn(): Uint8Array | undefined {
    for (let retries = 0; ; retries++) {
      try {
        return this.read();
      } catch (error) {
        if (!(error instanceof BpfError) || error.code !== 'EAGAIN' || retries === MOST_RETRIES) throw error;
      }
    }
  }

  bytes(): Uint8Array {
    const pieces = [...this];
    const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const REASONS = {
  EAGAIN:
    'nothing was written, and the program asked for the same object again (it returned 1), or a million were seen',
  E2BIG: `what the program writes of one object is more than ${SEQ_BYTES - 1} bytes`,
} as const;
