import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import { structLayout } from '../struct-layout.ts';
import { argumentsAt, formatAt, formatted, putText } from './format.ts';

/**
 * What iterators write with, into the buffer that a struct seq_file names. What does not fit marks it as overflown, and then nothing
 * fits any more (Linux: seq_write, seq_bprintf).
 */

/** Adds bytes. @returns 0 or −EOVERFLOW. */
export function append(
  { kernel }: Cpu,
  seq: KernelOffset,
  size: number,
  write: (to: number) => void,
): number {
  const { view } = kernel.memory;
  const layout = structLayout('seq_file');
  const word = (field: string) => view.getUint32(seq + layout.at(field), true);
  const count = word('count');
  const fits = count + size < word('size');
  if (fits) write(word('buf') + count);
  view.setUint32(seq + layout.at('count'), fits ? count + size : word('size'), true);
  return fits ? 0 : -ERRNO.EOVERFLOW;
}

function seq_write(cpu: Cpu, seq: KernelOffset, data: KernelOffset, size: number): number {
  return append(cpu, seq, size, (to) => cpu.kernel.memory.bytes.copyWithin(to, data, data + size));
}

function seq_printf(
  cpu: Cpu,
  seq: KernelOffset,
  format: KernelOffset,
  size: number,
  data: KernelOffset,
  dataSize: number,
): number {
  const values = argumentsAt(cpu, data, dataSize);
  if (typeof values === 'number') return values;
  const wanted = formatAt(cpu, format, size);
  if (wanted === undefined) return -ERRNO.EINVAL;
  const text = formatted(cpu, wanted, values);
  if (typeof text === 'number') return text;
  return append(cpu, seq, text.length, (to) => putText(cpu.kernel.memory.bytes, to, text));
}

export const SEQ_HELPERS = { seq_write, seq_printf };
