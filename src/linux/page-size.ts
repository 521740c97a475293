import { readFileSync } from 'node:fs';

/** Bytes of a page of this machine, which is what buffers shared with the kernel are laid out by. */

const AT_PAGESZ = 6n;
let known: number | undefined;

/** From the auxiliary vector, as getpagesize(3) has it. */
export function pageSize(): number {
  known ??= readPageSize();
  return known;
}

function readPageSize(): number {
  const bytes = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (bytes.readBigUInt64LE(at) === AT_PAGESZ) return Number(bytes.readBigUInt64LE(at + 8));
  }
  return 4096;
}
