import type { RawRunOptions } from '../bytes.ts';
import { BpfError } from '../errors.ts';
import type { RunResult } from '../kernel.ts';
import type { ProgramType } from '../object/program-types.ts';
import { bpf, withoutSignals } from './bpf.ts';
import { linuxError } from './fd.ts';
import { syscall } from './ffi.ts';
import type { Attributes } from './layouts.ts';

/**
 * BPF_PROG_TEST_RUN. What it takes depends on the program's type: some want a packet, `syscall` a context that it may
 * change, raw tracepoints a CPU. This file knows which, so that every program is run the same way.
 */

/** Bytes that a program may add to a packet: Linux lets no socket buffer grow larger (BPF_SKB_MAX_LEN). */
const DATA_ROOM = 16_384;
/** Bytes of the largest structure that comes back as a context, struct __sk_buff; Linux wants room for all of it. */
const CONTEXT_ROOM = 192;
const MAX_SYSCALL_CONTEXT = 65_535;
const BPF_F_TEST_RUN_ON_CPU = 1;
const CPU_MASK_BYTES = 128;

/** Program types that are run once, without packet, duration or repetition of the kernel's own. */
const SINGLE: readonly ProgramType[] = ['syscall', 'raw_tracepoint', 'raw_tracepoint_writable', 'tracing'];

/** Runs a program. Throws what the kernel answers: EINVAL for options its type does not take, ENOTSUPP for no test run. */
export function testRun(fd: number, name: string, type: ProgramType, options: RawRunOptions): RunResult {
  const { ctx, data, repeat = 1, cpu } = options;
  if (!Number.isInteger(repeat) || repeat < 1 || repeat > 0x7fffffff)
    throw new BpfError('EINVAL', `program '${name}': repeat is ${repeat}, not a number of runs`);
  checkContextSize(name, type, ctx);
  if (SINGLE.includes(type) && data !== undefined)
    throw new BpfError('EINVAL', `program '${name}': programs of type ${type} see no packet`);
  const pinned = cpu !== undefined && !type.startsWith('raw_tracepoint');
  const run = () =>
    SINGLE.includes(type) ? runSingle(fd, name, type, options) : runPacket(fd, name, type, options);
  return pinned ? onCpu(cpu, run) : run();
}

/** Throws EINVAL for a context that is larger than Linux's largest. */
export function checkContextSize(name: string, type: ProgramType, ctx: Uint8Array | undefined): void {
  if (type === 'syscall' && ctx !== undefined && ctx.length > MAX_SYSCALL_CONTEXT)
    throw new BpfError('EINVAL', `program '${name}': a context of ${ctx.length} bytes is more than 65,535`);
}

/**
 * The attributes of a run that gets a context and no more, which comes back in the same place.
 * @returns them, and whether it is the calling thread that must be on the CPU.
 */
export function contextAttributes(
  fd: number,
  type: ProgramType,
  ctx: Uint8Array | undefined,
  cpu: number | undefined,
): { attributes: Attributes<'prog_test_run'>; pinned: boolean } {
  const context = { prog_fd: fd, ctx_in: ctx ?? 0, ctx_size_in: ctx?.length ?? 0 };
  const onCpuFlag = cpu !== undefined && type.startsWith('raw_tracepoint');
  const attributes = SINGLE.includes(type)
    ? { ...context, ...(onCpuFlag && { flags: BPF_F_TEST_RUN_ON_CPU, cpu }) }
    : { ...context, repeat: 1, ctx_out: ctx ?? 0, ctx_size_out: ctx?.length ?? 0 };
  return { attributes, pinned: cpu !== undefined && !onCpuFlag };
}

function runSingle(
  fd: number,
  name: string,
  type: ProgramType,
  { ctx, repeat = 1, cpu }: RawRunOptions,
): RunResult {
  const context = ctx?.slice();
  const { attributes } = contextAttributes(fd, type, context, cpu);
  const start = process.hrtime.bigint();
  let answer = bpf('prog_test_run', attributes);
  for (let i = 1; i < repeat && answer.result >= 0; i++) answer = bpf('prog_test_run', attributes);
  const durationNs = Number(process.hrtime.bigint() - start) / repeat;
  if (answer.result < 0) throw refusal(answer.result, name, type);
  return {
    retval: answer.field('retval'),
    durationNs,
    ...(type === 'syscall' && context && { ctxOut: context }),
    faults: [],
  };
}

function runPacket(
  fd: number,
  name: string,
  type: ProgramType,
  { ctx, data, repeat = 1 }: RawRunOptions,
): RunResult {
  const dataOut = data && new Uint8Array(data.length + DATA_ROOM);
  const ctxOut = ctx && new Uint8Array(Math.max(ctx.length, CONTEXT_ROOM));
  const attributes = {
    prog_fd: fd,
    repeat,
    data_in: data ?? 0,
    data_size_in: data?.length ?? 0,
    data_out: dataOut ?? 0,
    data_size_out: dataOut?.length ?? 0,
    ctx_in: ctx ?? 0,
    ctx_size_in: ctx?.length ?? 0,
    ctx_out: ctxOut ?? 0,
    ctx_size_out: ctxOut?.length ?? 0,
  };
  const answer = withoutSignals(() => bpf('prog_test_run', attributes));
  if (answer.result < 0) throw refusal(answer.result, name, type);
  return {
    retval: answer.field('retval'),
    durationNs: answer.field('duration'),
    ...(ctxOut && { ctxOut: ctxOut.subarray(0, answer.field('ctx_size_out')) }),
    ...(dataOut && { dataOut: dataOut.subarray(0, answer.field('data_size_out')) }),
    faults: [],
  };
}

/** The error for what the kernel answers to a run. */
export function refusal(result: number, name: string, type: ProgramType): BpfError {
  const advice =
    result === -524
      ? `Linux cannot test-run programs of type ${type}: attach it`
      : 'context, data, repeat or cpu may not suit its type';
  return linuxError(result, `running program '${name}' (${type})`, advice);
}

/** The CPUs that the calling thread may run on. */
export function allowedCpus(): number[] {
  const mask = new Uint8Array(CPU_MASK_BYTES);
  syscall('sched_getaffinity', 0, CPU_MASK_BYTES, mask);
  return [...Array(CPU_MASK_BYTES * 8).keys()].filter((cpu) => ((mask[cpu >>> 3] >>> (cpu & 7)) & 1) !== 0);
}

/** Runs `work` with the calling thread on one CPU. Throws EINVAL for a CPU that is not there. */
export function onCpu<Result>(cpu: number, work: () => Result): Result {
  const before = new Uint8Array(CPU_MASK_BYTES);
  const wanted = new Uint8Array(CPU_MASK_BYTES);
  if (!Number.isInteger(cpu) || cpu < 0 || cpu >= CPU_MASK_BYTES * 8)
    throw new BpfError('EINVAL', `${cpu} is no CPU`);
  wanted[cpu >>> 3] = 1 << (cpu & 7);
  syscall('sched_getaffinity', 0, CPU_MASK_BYTES, before);
  const moved = syscall('sched_setaffinity', 0, CPU_MASK_BYTES, wanted);
  if (moved < 0) throw linuxError(moved, `moving to CPU ${cpu}`, 'there is no such CPU, or it is not for us');
  try {
    return work();
  } finally {
    syscall('sched_setaffinity', 0, CPU_MASK_BYTES, before);
  }
}
