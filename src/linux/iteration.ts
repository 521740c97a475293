import { BpfError, ERRNO } from '../errors.ts';
import { checkIterator, SeqReader } from '../iteration.ts';
import type { IterateOptions } from '../kernel.ts';
import { bpfFd } from './bpf.ts';
import { type Fd, linuxError } from './fd.ts';
import { syscall } from './ffi.ts';
import { attach, type Link } from './links/index.ts';
import { LinuxMap } from './map.ts';
import type { LinuxProgram } from './program.ts';

/** An iterator program at work in Linux: a link of its own, and the file of one iteration (BPF_ITER_CREATE), which read(2) drives. */

export class LinuxIteration extends SeqReader {
  readonly #name: string;
  readonly #link: Link;
  readonly #file: Fd;
  readonly #onClose: (iteration: LinuxIteration) => void;

  /** Throws as `LoadedProgram.iterate`. @param onClose told once. */
  constructor(program: LinuxProgram, options: IterateOptions, onClose: (iteration: LinuxIteration) => void) {
    super(`the iteration of program '${program.name}'`);
    const { attachType, attachTo } = program.spec;
    checkIterator({ name: program.name, section: program.section, attachType, attachTo }, options);
    const { map } = options;
    if (map !== undefined && !(map instanceof LinuxMap)) {
      const problem = 'what it shall iterate over is no map of its kernel';
      throw new BpfError('EINVAL', `program '${program.name}': ${problem}`);
    }
    this.#name = program.name;
    this.#onClose = onClose;
    this.#link = attach(program, { kind: 'iter', ...(map && { map }) });
    try {
      this.#file = bpfFd(
        'iter_create',
        { link_fd: this.#link.fdNumber },
        `the iteration of program '${program.name}'`,
      );
    } catch (error) {
      this.#link.close();
      throw error;
    }
  }

  protected get closed(): boolean {
    return !this.#file.open;
  }

  protected take(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    const result = syscall('read', this.#file.number, bytes, size);
    if (result >= 0) return bytes.subarray(0, result);
    if (result === -ERRNO.EAGAIN) throw this.failed('EAGAIN');
    if (result === -ERRNO.E2BIG) throw this.failed('E2BIG');
    throw linuxError(result, `reading what program '${this.#name}' writes`);
  }

  close(): void {
    if (!this.#file.open) return;
    this.#file.close();
    this.#link.close();
    this.#onClose(this);
  }
}
