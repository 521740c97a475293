import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { kernelPointer } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/** bpf_for_each_map_elem. @returns how many elements the function saw, the one at which it stopped among them, or an errno. */
export function for_each_map_elem(
  cpu: Cpu,
  map: EmbeddedMap,
  callback: number,
  ctx: bigint,
  flags: number,
): number {
  if (flags !== 0) return -ERRNO.EINVAL;
  const header = kernelPointer(map.header);
  return map.each(
    (key, value) =>
      cpu.giving([{ start: key, bytes: map.keySize, writes: false }], () => {
        return cpu.invoke(callback, [header, kernelPointer(key), kernelPointer(value), ctx]) === 0n;
      }),
    cpu.id,
  );
}
