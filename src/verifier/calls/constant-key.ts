import { BPF_F_INNER_MAP } from '../../object/map-flags.ts';
import type { Env } from '../env.ts';
import { markSlotPrecise } from '../explore/precision.ts';
import type { MapInfo } from '../input.ts';
import { isArrayType } from '../map-rules.ts';
import { byteOf, slotOf } from '../memory/stack-bounds.ts';
import { SPILL, ZERO_BYTE } from '../state/slot.ts';

/**
 * An array element whose index is known is there: its lookup needs no check for NULL (Linux: get_constant_map_key).
 * @returns the key that register `number` points to, when it is a known number on the stack.
 */
export function constantKey(env: Env, map: MapInfo, number: number): number | undefined {
  const key = env.reg(number);
  // With this flag a map may be inside another one in place of this, with fewer elements.
  if ((map.flags & BPF_F_INNER_MAP) !== 0) return undefined;
  if (!isArrayType(map.type) || map.keySize !== 4 || key.kind !== 'fp' || !key.scalar.isConst())
    return undefined;
  const off = key.off + key.scalar.sminNumber();
  const frame = env.state.frames[key.frame];
  const at = slotOf(off);
  const slot = frame.stack[at];
  if (slot === undefined) return undefined;
  // Byte 7 is the lowest address of the slot; a key in its upper half begins with byte 3.
  const first = byteOf(off);
  const run = (type: number) => {
    let bytes = 0;
    while (bytes <= first && slot.byte(first - bytes) === type) bytes++;
    return bytes;
  };
  if (run(ZERO_BYTE) >= map.keySize) return 0;
  // Of a register that fills the slot the upper half alone will do: where the number is an index, that half is 0.
  const { reg } = slot;
  if (!slot.isScalarSpill || run(SPILL) !== map.keySize || !reg?.scalar.isConst()) return undefined;
  markSlotPrecise(env, frame.number, at);
  return reg.scalar.uminNumber();
}
