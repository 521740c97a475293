import { clock } from './clock.ts';
import { type Callback, type Deferred, DeferredField } from './deferred.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { type KernelOffset, kernelPointer } from './layout.ts';

/**
 * What shall run later, on the thread of CPU 0: the platform's timers wake it up, and it looks whether what was started is still
 * wanted. They keep no process alive.
 */

/** The longest time that the platform's timers know, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

type Handle = ReturnType<typeof setTimeout>;

export class Deferrals {
  readonly #kernel: EmbeddedKernel;
  readonly #waiting = new Set<Handle>();

  constructor(kernel: EmbeddedKernel) {
    this.#kernel = kernel;
  }

  /** Runs it when its time has come, soon when that is past. */
  add(deferred: Deferred): void {
    const milliseconds = Math.max(0, deferred.at / 1e6 - clock());
    const handle = setTimeout(
      () => {
        this.#waiting.delete(handle);
        if (milliseconds > LONGEST || deferred.at / 1e6 > clock()) this.add(deferred);
        else this.#run(deferred);
      },
      Math.min(LONGEST, Math.ceil(milliseconds)),
    );
    (handle as { unref?: () => void }).unref?.();
    this.#waiting.add(handle);
  }

  /** Nothing runs any more. */
  close(): void {
    for (const handle of this.#waiting) clearTimeout(handle);
    this.#waiting.clear();
  }

  #run({ field: offset, map, generation }: Deferred): void {
    // Where the map is gone, anybody's bytes are there by now, and may look like a timer's.
    if (this.#kernel.mapById(map)?.valueAround(offset) === undefined) return;
    const field = new DeferredField(this.#kernel.memory, offset);
    const callback = field.fire(generation);
    if (callback === undefined) return;
    try {
      this.#call(offset, callback);
    } finally {
      field.done(generation);
    }
  }

  /** Calls what was started, unless its map or program is closed. */
  #call(offset: KernelOffset, { map: id, program: number, function: called }: Callback): void {
    const kernel = this.#kernel;
    const map = kernel.mapById(id);
    const program = kernel.programById(number);
    const value = map?.valueAround(offset);
    if (map === undefined || program === undefined || value === undefined) return;
    const key = map.keyOf(value);
    const pointers: readonly KernelOffset[] = [map.header, key, value];
    try {
      kernel.cpu.giving([{ start: key, bytes: map.keySize, writes: false }], () =>
        kernel.cpu.callBack(program, called, pointers.map(kernelPointer)),
      );
    } catch (error) {
      // Nobody waits for it: an exception would end the process.
      kernel.trace(`a function that program '${program.name}' started failed: ${(error as Error).message}`);
    }
  }
}
