import type { ArenaMap, BpfMap, LoadedProgram } from './kernel.ts';
import { mapTypeName } from './object/map-types.ts';

/** The few facts by which console.log shows maps and programs, the same for both kernels (shown.ts). */

export function mapFacts({ name, type, keySize, valueSize, maxEntries }: BpfMap): object {
  return { name, type: mapTypeName(type), keySize, valueSize, maxEntries };
}

export function programFacts({ name, type, section, insnCount, engine }: LoadedProgram): object {
  return { name, type, section, insnCount, ...(engine && { engine }) };
}

/** Of an arena: instead of keys and values, where it is and how full. */
export function arenaFacts({ name, userVmStart, statistics }: ArenaMap): object {
  return { name, type: 'arena', userVmStart: `0x${userVmStart.toString(16)}`, ...statistics };
}
