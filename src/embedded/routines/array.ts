import {
  add,
  and64,
  cpuNumber,
  get,
  geU,
  i32,
  i64,
  load32,
  mul,
  ne64,
  returns,
  seq,
  set,
  when,
} from '../../jit/encode/expressions.ts';
import { TYPE } from '../../jit/encode/opcodes.ts';
import { BPF_EXIST } from '../../object/map-flags.ts';
import type { ArrayMap } from '../maps/array.ts';
import type { PercpuArrayMap } from '../maps/percpu-array.ts';
import { copyBytes } from './bytes.ts';
import { FLAGS, KEY, MAP_ARGS, type Routine, VALUE } from './routine.ts';

/** Update of an element of an array, or of this CPU's of a per-CPU array. Lookups are done in place (src/jit/emit/call.ts). */
export function arrayRoutine(map: ArrayMap | PercpuArrayMap, cpuStride: number): Routine | undefined {
  if (map.valueFields.fields.length > 0) return undefined;
  const { start, stride } = map.region;
  const { maxEntries, valueSize } = map;
  return {
    variant: `array_${map.id}`,
    args: MAP_ARGS.update,
    result: 'wide',
    write(code, otherwise) {
      const index = code.local(TYPE.i32);
      const element = add(mul(get(index), i32(stride)), mul(cpuNumber, i32(cpuStride)));
      seq(
        set(index, load32(get(KEY))),
        // Other flags, and indexes that are too large: what is wrong with them the function says.
        when(ne64(and64(get(FLAGS), i64(~BPF_EXIST)), i64(0)), returns(otherwise)),
        when(geU(get(index), i32(maxEntries)), returns(otherwise)),
        set(index, add(i32(start), element)),
        copyBytes(get(index), 0, get(VALUE), valueSize),
        i64(0),
      )(code);
    },
  };
}
