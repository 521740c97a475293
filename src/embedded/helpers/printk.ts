import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import { STREAMS } from '../streams.ts';
import { argumentsAt, constantText, formatAt, formatted, putText } from './format.ts';

/** Helpers that print: to whoever listens to the kernel's trace, or into memory. The format language is format.ts. */

/** Linux: MAX_BPRINTF_BUF, with the final 0. */
const MAX_LINE = 1024;

/** Gives a line to the trace. @returns its length, or a negative errno. */
function print(cpu: Cpu, format: string | undefined, values: readonly bigint[] | number): number {
  if (format === undefined) return -ERRNO.EINVAL;
  if (typeof values === 'number') return values;
  const line = formatted(cpu, format, values);
  if (typeof line === 'number') return line;
  cpu.kernel.trace(line.slice(0, MAX_LINE - 1).replace(/\n$/, ''));
  return line.length;
}

function trace_printk(
  cpu: Cpu,
  format: KernelOffset,
  size: number,
  ...values: [bigint, bigint, bigint]
): number {
  return print(cpu, formatAt(cpu, format, size), values);
}

function trace_vprintk(
  cpu: Cpu,
  format: KernelOffset,
  size: number,
  data: KernelOffset,
  dataSize: number,
): number {
  return print(cpu, formatAt(cpu, format, size), argumentsAt(cpu, data, dataSize));
}

/** @returns the length of the whole text with its 0, which may be more than there was room for. */
function snprintf(
  cpu: Cpu,
  to: KernelOffset,
  size: number,
  format: KernelOffset,
  data: KernelOffset,
  dataSize: number,
): number {
  const values = argumentsAt(cpu, data, dataSize);
  if (typeof values === 'number') return values;
  const text = formatted(cpu, constantText(cpu, format), values);
  if (typeof text === 'number') return text;
  if (size > 0) {
    const cut = text.slice(0, size - 1);
    putText(cpu.kernel.memory.bytes, to, cut);
    cpu.kernel.memory.bytes[to + cut.length] = 0;
  }
  return text.length + 1;
}

/** @param program the kernel's number for the one that prints. @returns 0 or a negative errno. */
function bpf_stream_vprintk_impl(
  cpu: Cpu,
  stream: number,
  format: KernelOffset,
  data: KernelOffset,
  dataSize: number,
  program: number,
): number {
  const name = STREAMS[stream];
  if (name === undefined) return -ERRNO.ENOENT;
  const values = argumentsAt(cpu, data, dataSize);
  if (typeof values === 'number') return values;
  const text = formatted(cpu, constantText(cpu, format), values);
  return typeof text === 'number' ? text : cpu.kernel.stream(program, name, text.slice(0, MAX_LINE - 1));
}

export const PRINT_KFUNCS = { bpf_stream_vprintk_impl };

export const PRINT_HELPERS = { trace_printk, trace_vprintk, snprintf };
