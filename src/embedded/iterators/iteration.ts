import { BpfError } from '../../errors.ts';
import { SEQ_BYTES, SeqReader } from '../../iteration.ts';
import type { FaultReport } from '../../kernel.ts';
import type { EmbeddedKernel } from '../kernel.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { EmbeddedProgram } from '../program.ts';
import { structLayout } from '../struct-layout.ts';
import { setPointer } from './records.ts';
import { WALKS, type Walk } from './walks.ts';

/**
 * An iterator program at work (Linux: bpf_seq_read): it is shown one object after the other and writes into a file's buffer, until
 * that has as much as is wanted; then it waits to be read again. What is written of an object that does not fit is taken back, and the
 * program is shown it again. In kernel memory, one piece: struct seq_file, struct bpf_iter_meta, the context, an index, a link.
 */

/** Linux: MAX_ITER_OBJECTS, between two reads. */
const MAX_OBJECTS = 1_000_000;
/** Words of the largest context. */
const CTX_WORDS = 4;

export class EmbeddedIteration extends SeqReader {
  /** Its number as a link. */
  readonly id: number;
  readonly program: EmbeddedProgram;
  readonly #kernel: EmbeddedKernel;
  readonly #onClose: (iteration: EmbeddedIteration) => void;
  readonly #piece: KernelOffset;
  readonly #buffer: KernelOffset;
  readonly #walk: Walk;
  readonly #seq = structLayout('seq_file');
  readonly #meta = structLayout('bpf_iter_meta');
  /** By program and instruction. */
  readonly #faults = new Map<string, FaultReport>();
  #sequence = 0;
  /** The program has seen the end. */
  #done = false;
  #reading = false;
  #closed = false;

  /** Use {@link Iterations.begin}. Throws what it throws. @param session a number that no other has. */
  constructor(
    kernel: EmbeddedKernel,
    program: EmbeddedProgram,
    map: EmbeddedMap | undefined,
    { id, session }: { id: number; session: number },
    onClose: (iteration: EmbeddedIteration) => void,
  ) {
    super(`the iteration of program '${program.name}'`);
    this.#kernel = kernel;
    this.program = program;
    this.id = id;
    this.#onClose = onClose;
    const { memory } = kernel;
    this.#piece = memory.heap.allocate(this.#bytes);
    if (this.#piece === 0) throw new BpfError('ENOMEM', 'no kernel memory is left for an iteration');
    try {
      const begin = WALKS[program.attachTo as keyof typeof WALKS] as NonNullable<(typeof WALKS)['bpf_map']>;
      this.#walk = begin({ kernel, program, map, key: this.#keyAt });
      this.#buffer = this.#allocate();
    } catch (error) {
      memory.heap.free(this.#piece, this.#bytes);
      throw error;
    }
    setPointer(memory, this.#piece + this.#seq.at('buf'), this.#buffer);
    memory.view.setUint32(this.#piece + this.#seq.at('size'), SEQ_BYTES, true);
    setPointer(memory, this.#metaAt + this.#meta.at('seq'), this.#piece);
    memory.view.setBigUint64(this.#metaAt + this.#meta.at('session_id'), BigInt(session), true);
    setPointer(memory, this.#ctxAt, this.#metaAt);
  }

  /** Where it stands as a link. */
  get linkAt(): KernelOffset {
    return (this.#keyAt + 8) as KernelOffset;
  }

  get closed(): boolean {
    return this.#closed;
  }

  override get faults(): readonly FaultReport[] {
    return [...this.#faults.values()];
  }

  protected take(size: number): Uint8Array {
    this.#reading = true;
    try {
      if (this.#count === 0) this.#fill(size);
      return this.#give(size);
    } finally {
      this.#reading = false;
      if (this.#closed) this.#release();
    }
  }

  /** Runs the program until there is as much as is wanted, or nothing more. Throws E2BIG, EAGAIN. */
  #fill(size: number): void {
    this.#from = 0;
    const walk = this.#walk;
    let there = walk.start();
    if (there) {
      this.#show(0);
      for (let objects = 1; ; objects++) {
        const before = this.#count;
        there = walk.next();
        if (!there) break;
        this.#sequence++;
        if (this.#count >= size || objects >= MAX_OBJECTS) break;
        if (!this.#show(before)) break;
      }
    }
    if (there || this.#done) return;
    const before = this.#count;
    this.#run(true);
    // What it wrote of the end waits for the next read, and so does the end.
    if (!this.#overflowed) this.#done = true;
    else if (before === 0) throw this.#refuse('E2BIG');
    else this.#count = before;
  }

  /** @param before bytes that are there already. @returns whether what the program wrote of the object is there, too. */
  #show(before: number): boolean {
    const again = this.#run(false);
    if (!again && !this.#overflowed) return true;
    if (before === 0) throw this.#refuse(again ? 'EAGAIN' : 'E2BIG');
    this.#count = before;
    return false;
  }

  #refuse(code: 'EAGAIN' | 'E2BIG'): BpfError {
    this.#count = 0;
    return this.failed(code);
  }

  /** Shows the program what the walk stands at. @returns whether it wants to see it again. */
  #run(end: boolean): boolean {
    const { memory, cpu } = this.#kernel;
    memory.view.setBigUint64(this.#metaAt + this.#meta.at('seq_num'), BigInt(this.#sequence), true);
    const shown = this.#walk.shown(end);
    for (let index = 0; index < shown.length; index++)
      setPointer(memory, this.#ctxAt + 8 * (index + 1), shown[index]);
    const bytes = 8 * (shown.length + 1);
    const run = () => cpu.runAt(this.program, this.#ctxAt, bytes) !== 0;
    // Only the checked mode asks what a program was given.
    const again = this.#kernel.checked ? cpu.giving(end ? [] : this.#walk.given, run) : run();
    if (this.#kernel.faults === 'report') this.#note(cpu.reports(this.program));
    return again;
  }

  #note(faults: readonly FaultReport[]): void {
    for (const fault of faults) {
      const site = `${fault.program} ${fault.insn}`;
      const known = this.#faults.get(site);
      if (known === undefined) this.#faults.set(site, fault);
      else known.count += fault.count;
    }
  }

  #give(size: number): Uint8Array {
    const from = this.#from;
    const bytes = Math.min(this.#count, size);
    this.#from = from + bytes;
    this.#count -= bytes;
    return this.#kernel.memory.bytes.slice(this.#buffer + from, this.#buffer + from + bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this);
    // A program on this thread may be what closes it, by what it prints.
    if (!this.#reading) this.#release();
  }

  #release(): void {
    this.#walk.close();
    const { memory } = this.#kernel;
    memory.free(this.#buffer);
    memory.heap.free(this.#piece, this.#bytes);
  }

  #allocate(): KernelOffset {
    try {
      return this.#kernel.memory.allocate(SEQ_BYTES);
    } catch (error) {
      this.#walk.close();
      throw error;
    }
  }

  get #metaAt(): KernelOffset {
    return (this.#piece + this.#seq.size) as KernelOffset;
  }

  get #ctxAt(): KernelOffset {
    return (this.#metaAt + this.#meta.size) as KernelOffset;
  }

  get #keyAt(): KernelOffset {
    return (this.#ctxAt + 8 * CTX_WORDS) as KernelOffset;
  }

  /** Of the piece. */
  get #bytes(): number {
    return this.#seq.size + this.#meta.size + 8 * CTX_WORDS + 8 + structLayout('bpf_link').size;
  }

  /** Bytes in the buffer that are not read, and where they begin. */
  get #count(): number {
    return this.#kernel.memory.view.getUint32(this.#piece + this.#seq.at('count'), true);
  }

  set #count(count: number) {
    this.#kernel.memory.view.setUint32(this.#piece + this.#seq.at('count'), count, true);
  }

  get #from(): number {
    return this.#kernel.memory.view.getUint32(this.#piece + this.#seq.at('from'), true);
  }

  set #from(from: number) {
    this.#kernel.memory.view.setUint32(this.#piece + this.#seq.at('from'), from, true);
  }

  /** Linux: seq_has_overflowed. */
  get #overflowed(): boolean {
    return this.#count === SEQ_BYTES;
  }
}
