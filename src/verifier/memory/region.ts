import type { Env } from '../env.ts';
import type { Reg } from '../state/reg.ts';
import { MAX_VARIABLE_OFFSET } from './stack-bounds.ts';

/** Memory of a known size, and packets whose size a branch has compared (Linux: check_mem_region_access, check_packet_access). */

const NEGATIVE = 'min value is negative, either use unsigned index or do a if (index >=0) check.';

/** @param off the instruction's offset and the pointer's fixed one; `size` and `memSize` in bytes. */
export function checkRegion(
  env: Env,
  number: number,
  off: number,
  size: number,
  memSize: number,
  zeroAllowed: boolean,
): void {
  const reg = env.reg(number);
  const min = reg.scalar.sminNumber();
  const lowest = min + off;
  if (min < 0 && (min === -(2 ** 63) || lowest !== (lowest | 0) || lowest < 0))
    throw env.reject('EACCES', `R${number} ${NEGATIVE}`);
  const check = (at: number, which: string) => {
    if (isInside(at, size, memSize, zeroAllowed)) return;
    env.say(outside(reg, number, at, size, memSize));
    throw env.reject('EACCES', `R${number} ${which} value is outside of the allowed memory range`);
  };
  check(lowest, 'min');
  const max = reg.scalar.umaxNumber();
  if (max >= MAX_VARIABLE_OFFSET) {
    const advice = 'unbounded memory access, make sure to bounds check any such access';
    throw env.reject('EACCES', `R${number} ${advice}`);
  }
  check(max + off, 'max');
}

function isInside(at: number, size: number, memSize: number, zeroAllowed: boolean): boolean {
  return at >= 0 && (size > 0 || (size === 0 && zeroAllowed)) && at + size <= memSize;
}

function outside(reg: Reg, number: number, off: number, size: number, memSize: number): string {
  switch (reg.kind) {
    case 'map_key':
      return `invalid access to map key, key_size=${memSize} off=${off} size=${size}`;
    case 'map_value':
      return `invalid access to map value, value_size=${memSize} off=${off} size=${size}`;
    case 'pkt':
    case 'pkt_meta':
    case 'pkt_end':
      return `invalid access to packet, off=${off} size=${size}, R${number}(id=${reg.id},off=${off},r=${memSize})`;
    default:
      return `invalid access to memory, mem_size=${memSize} off=${off} size=${size}`;
  }
}

/** A packet access: the range that comparisons proved counts from the pointer's variable part. */
export function checkPacket(env: Env, number: number, off: number, size: number, zeroAllowed: boolean): void {
  const reg = env.reg(number);
  if (reg.scalar.sminNumber() < 0) throw env.reject('EACCES', `R${number} ${NEGATIVE}`);
  if (reg.range >= 0 && isInside(off, size, reg.range, zeroAllowed)) return;
  if (reg.range >= 0) env.say(outside(reg, number, off, size, reg.range));
  throw env.reject(reg.range < 0 ? 'EINVAL' : 'EACCES', `R${number} offset is outside of the packet`);
}
