import { rawContext } from '../bytes.ts';
import { BpfError } from '../errors.ts';
import type { FaultReport, PreparedRun, PrepareOptions } from '../kernel.ts';
import type { ProgramType } from '../object/program-types.ts';
import { showAs } from '../shown.ts';
import { type BpfAnswer, bpfAgain } from './bpf.ts';
import type { Fd } from './fd.ts';
import { checkContextSize, contextAttributes, onCpu, refusal } from './test-run.ts';

/**
 * A program in Linux that is called many times: the context is a buffer that BPF_PROG_TEST_RUN reads and writes, the call's
 * attributes are encoded once. The kernel still copies the context, and the system call is most of the time.
 */

export class LinuxPreparedRun implements PreparedRun {
  readonly faults: readonly FaultReport[] = [];
  readonly #fd: Fd;
  readonly #name: string;
  readonly #type: ProgramType;
  readonly #call: () => BpfAnswer<'prog_test_run'>;
  #ctx: Uint8Array | undefined;

  /** Throws EBADF when the program is closed, EINVAL for a context that is too large. */
  constructor(fd: Fd, name: string, type: ProgramType, { ctx, cpu }: PrepareOptions) {
    this.#fd = fd;
    this.#name = name;
    this.#type = type;
    const given = rawContext(name, ctx);
    const context = typeof given === 'number' ? sized(given) : given?.slice();
    checkContextSize(name, type, context);
    this.#ctx = context ?? new Uint8Array();
    const { attributes, pinned } = contextAttributes(fd.number, type, context, cpu);
    const call = bpfAgain('prog_test_run', attributes);
    this.#call = pinned && cpu !== undefined ? () => onCpu(cpu, call) : call;
  }

  get ctx(): Uint8Array {
    return this.#ctx ?? this.#refuse();
  }

  run(): number {
    if (this.#ctx === undefined) this.#refuse();
    // Asked each time: it throws when the program is closed.
    if (!this.#fd.open) void this.#fd.number;
    const answer = this.#call();
    if (answer.result < 0) throw refusal(answer.result, this.#name, this.#type);
    return answer.field('retval');
  }

  close(): void {
    this.#ctx = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #refuse(): never {
    throw new BpfError('EBADF', `the prepared run of program '${this.#name}' is closed`);
  }
}

function sized(size: number): Uint8Array {
  if (Number.isInteger(size) && size >= 0) return new Uint8Array(size);
  throw new BpfError('EINVAL', `a context has at least 0 bytes, not ${size}`);
}

showAs(LinuxPreparedRun, ({ ctx, faults }) => ({ ctx, faults }));
