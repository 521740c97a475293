import type { Env } from '../env.ts';
import { markSlotPrecise } from '../explore/precision.ts';
import type { MapInfo } from '../input.ts';
import { isArrayType } from '../map-rules.ts';
import { slotOf } from '../memory/stack-bounds.ts';
import { SPILL, ZERO_BYTE } from '../state/slot.ts';

/**
 * An array element whose index is known is there: its lookup needs no check for NULL (Linux: get_constant_map_key).
 * @returns the key that register `number` points to, when it is a known number on the stack.
 */
export function constantKey(env: Env, map: MapInfo, number: number): number | undefined {
  const key = env.reg(number);
  if (!isArrayType(map.type) || map.keySize !== 4 || key.kind !== 'fp' || !key.scalar.isConst())
    return undefined;
  const off = key.off + key.scalar.sminNumber();
  const frame = env.state.frames[key.frame];
  const at = slotOf(off);
  const slot = frame.stack[at];
  if (slot === undefined || (off % 8 !== 0 && off % 8 !== -4)) return undefined;
  // Byte 7 is the lowest address of the slot; a key in its upper half begins with byte 3.
  const first = off % 8 === 0 ? 7 : 3;
  const four = (type: number) => [0, 1, 2, 3].every((i) => slot.byte(first - i) === type);
  if (four(ZERO_BYTE)) return 0;
  if (first !== 7 || !slot.isScalarSpill || !four(SPILL) || slot.byte(3) === SPILL) return undefined;
  const { reg } = slot;
  if (reg === undefined || !reg.scalar.isConst()) return undefined;
  markSlotPrecise(env, frame.number, at);
  return reg.scalar.uminNumber();
}
