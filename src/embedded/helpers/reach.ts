import { ERRNO } from '../../errors.ts';
import { KERNEL_HIGH, MEMORY_BYTES } from '../layout.ts';
import type { Pointer } from './kfunc-table.ts';

/**
 * Where a pointer leads that nobody has checked, as Linux sees it: into kernel space, where something is or not, or into user
 * space, which is the arena here. One that leads nowhere becomes an offset behind kernel memory, where every byte is `undefined`:
 * so a reader notices when it gets there, and not before.
 */

/** The upper halves of x86-64's kernel space. */
const KERNEL_SPACE = 0xffff8000;
/** Nothing is in the first pages of kernel memory. */
const FIRST_BYTE = 0x10000;
const NOWHERE = MEMORY_BYTES;

/** The offset in kernel memory that a pointer leads to, where it is read, or −ERANGE for one that is not the kernel's. */
export function reach({ low, high }: Pointer): number {
  if (high === KERNEL_HIGH) return low < FIRST_BYTE ? NOWHERE : low;
  return high >>> 0 >= KERNEL_SPACE ? NOWHERE : -ERRNO.ERANGE;
}
