import type { ImportedCall, RoutineCall } from '../../jit/index.ts';
import { ArrayMap } from '../maps/array.ts';
import { HashTable } from '../maps/hash-table.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import { HashOfMaps } from '../maps/outer-map.ts';
import { PercpuArrayMap } from '../maps/percpu-array.ts';
import { RingBufferMap } from '../maps/ring-buffer.ts';
import { arrayRoutine } from './array.ts';
import { hashRoutine } from './hash.ts';
import { lockRoutine, unlockRoutine } from './locks.ts';
import { commitRoutine, ringRoutine } from './ring-buffer.ts';
import type { Routine } from './routine.ts';

/** Which helpers have routines, and for which maps. */

function routineOf(helper: string, map: EmbeddedMap | undefined, cpus: number): Routine | undefined {
  switch (helper) {
    case 'spin_lock':
      return lockRoutine(cpus);
    case 'spin_unlock':
      return unlockRoutine(cpus);
    case 'ringbuf_submit':
      return commitRoutine(false, cpus);
    case 'ringbuf_discard':
      return commitRoutine(true, cpus);
  }
  // What stands in a map of maps is not what a program finds.
  if (map instanceof HashOfMaps) return undefined;
  if (map instanceof HashTable) return hashRoutine(helper, map);
  if (map instanceof RingBufferMap) return ringRoutine(helper, map);
  if (helper !== 'map_update_elem') return undefined;
  if (map instanceof ArrayMap) return arrayRoutine(map, 0);
  if (map instanceof PercpuArrayMap) return arrayRoutine(map, map.cpuStride);
  return undefined;
}

/**
 * The routine for a helper's call. @param map what the helper is given, where that is known.
 * @param imported how it is called without one. @param cpus that the kernel has.
 */
export function routineCall(
  helper: string,
  map: EmbeddedMap | undefined,
  imported: ImportedCall,
  cpus: number,
): RoutineCall | undefined {
  const routine = routineOf(helper, map, cpus);
  return routine && routineFor(helper, routine, imported);
}

/** A routine as a way to make a call. @param imported how that is done without it, unless it is complete. */
export function routineFor(helper: string, routine: Routine, imported?: ImportedCall): RoutineCall {
  const { variant, args, result, complete, write } = routine;
  const name = variant === '' ? `routine.${helper}` : `routine.${helper}.${variant}`;
  return { kind: 'routine', name, args, result, otherwise: complete ? undefined : imported, write };
}
