import { rawContext } from '../bytes.ts';
import { BpfError } from '../errors.ts';
import type { FaultReport, PreparedRun, PrepareOptions } from '../kernel.ts';
import { showAs } from '../shown.ts';
import { checkContextSize } from './contexts/bytes.ts';
import { contextOfType } from './contexts/table.ts';
import type { Cpu } from './cpu.ts';
import { resultOfThrown } from './helpers/exceptions.ts';
import type { KernelOffset } from './layout.ts';
import type { EmbeddedProgram } from './program.ts';

/**
 * A program that is called many times: its context stays in kernel memory, where user space writes and reads it, so that a
 * call is little more than a call of WebAssembly. With the JIT nothing is allocated. The context's memory is used for nothing
 * else as long as a view of it is left (`KernelMemory.lend`), whatever is closed meanwhile.
 */

const NO_CONTEXT = new Uint8Array();
const NO_FAULTS: readonly FaultReport[] = [];

export class EmbeddedPreparedRun implements PreparedRun {
  readonly #program: EmbeddedProgram;
  readonly #cpu: Cpu;
  /** What to call, where the JIT made it. */
  readonly #call: ((ctx: number, framePointer: number) => number) | undefined;
  readonly #onClose: (run: EmbeddedPreparedRun) => void;
  /** In kernel memory; 0: none. */
  readonly #offset: KernelOffset;
  /** Bytes that the program may reach there; user space sees those that it asked for. */
  readonly #size: number;
  #ctx: Uint8Array | undefined;
  #faults = NO_FAULTS;

  /** Throws EINVAL as `Cpu.run` does. @param onClose told once. */
  constructor(
    program: EmbeddedProgram,
    cpu: Cpu,
    { ctx: given, cpu: id }: PrepareOptions,
    onClose: (run: EmbeddedPreparedRun) => void,
  ) {
    cpu.checkId(id);
    const ctx = rawContext(program.name, given);
    checkContext(program, ctx);
    this.#program = program;
    this.#cpu = cpu;
    this.#onClose = onClose;
    this.#call = program.compiled?.entry(cpu).run;
    const size = sizeOf(ctx);
    this.#size = Math.max(size, contextOfType(program.type).room);
    if (this.#size === 0) {
      this.#offset = 0 as KernelOffset;
      this.#ctx = NO_CONTEXT;
      return;
    }
    const { offset, view } = cpu.kernel.memory.lend(this.#size);
    this.#offset = offset;
    this.#ctx = view.subarray(0, size);
    if (ctx instanceof Uint8Array) view.set(ctx);
  }

  get ctx(): Uint8Array {
    return this.#ctx ?? this.#refuse();
  }

  get faults(): readonly FaultReport[] {
    return this.#faults;
  }

  run(): number {
    if (this.#ctx === undefined) this.#refuse();
    const cpu = this.#cpu;
    const call = this.#call;
    const offset = this.#offset;
    cpu.begin(this.#program, offset, this.#size, offset + this.#size);
    try {
      if (call !== undefined) return call(offset, cpu.stackTop) >>> 0;
      return cpu.interpret(this.#program, offset);
    } catch (thrown) {
      return Number(resultOfThrown(thrown) & 0xffffffffn);
    } finally {
      this.#faults = cpu.reports(this.#program);
      cpu.leave();
    }
  }

  close(): void {
    const view = this.#ctx;
    if (view === undefined) return;
    this.#ctx = undefined;
    this.#onClose(this);
    if (this.#offset !== 0)
      this.#cpu.kernel.memory.takeBack(this.#offset, view as Uint8Array<SharedArrayBuffer>);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #refuse(): never {
    throw new BpfError('EBADF', `the prepared run of program '${this.#program.name}' is closed`);
  }
}

/** Throws EINVAL for what is no context, has not the size of one, and where a program wants a packet. */
function checkContext(
  { name, type, contextBytes }: EmbeddedProgram,
  ctx: Uint8Array | number | undefined,
): void {
  if (contextOfType(type).hasPacket)
    throw new BpfError(
      'EINVAL',
      `program '${name}': it needs a packet, and a prepared run has none; use run`,
    );
  checkContextSize(name, sizeOf(ctx), contextBytes);
}

const sizeOf = (ctx: Uint8Array | number | undefined): number =>
  typeof ctx === 'number' ? ctx : (ctx?.length ?? 0);

showAs(EmbeddedPreparedRun, ({ ctx, faults }) => ({ ctx, faults }));
