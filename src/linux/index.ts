import { LinuxKernel, type LinuxOptions } from './kernel.ts';

/** The Linux kernel's room, `bpf-arena/linux`: make a kernel with {@link linux}, open maps that exist, read
 * what programs send, {@link attach} programs. */

export type { PerfBufferOptions, PerfRecord } from '../perf-ring.ts';
export { LinuxArena } from './arena.ts';
export { arenaGlobals } from './arena-globals.ts';
export { linuxUnavailable } from './available.ts';
export { type IdKind, idsOf } from './bpf.ts';
export type { BufferMap, ReadOptions } from './buffer-reader.ts';
export { type OpenMapOptions, openMapById, openMapPinned } from './create-map.ts';
export { linuxFeatures } from './features.ts';
export {
  type AttachableProgram,
  type AttachTarget,
  attach,
  Link,
  type LinkInfo,
} from './links/index.ts';
export type { LiveFrames } from './live-frames.ts';
export { LinuxLoad } from './load.ts';
export { LinuxMap } from './map.ts';
export { PerfBuffer } from './perf-buffer.ts';
export { LinuxProgram } from './program.ts';
export { RingBuffer } from './ring-buffer.ts';
export { LinuxKernel, type LinuxOptions };

/**
 * The Linux kernel that this process runs on. Needs Linux, koffi, and root or CAP_BPF with what programs need besides.
 * @throws BpfError EOPNOTSUPP with the reason when that is not given; {@link linuxUnavailable} gives it alone
 */
export function linux(options?: LinuxOptions): LinuxKernel {
  return new LinuxKernel(options);
}
