import { isLdImm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from '../isa/opcodes.ts';
import type { Env } from './env.ts';
import type { MapInfo } from './input.ts';

/** The one arena that a program may have: the arena map that one of its instructions names. */

export const BPF_MAP_TYPE_ARENA = 33;

const arenas = new WeakMap<Env, MapInfo | null>();

/** The program's arena, or undefined. Throws for two (Linux: check_map_prog_compatibility). */
export function arenaOf(env: Env): MapInfo | undefined {
  let arena = arenas.get(env);
  if (arena === undefined) {
    arena = null;
    env.insns.forEach((insn, index) => {
      if (!isLdImm64(insn) || (insn.src !== BPF_PSEUDO_MAP_FD && insn.src !== BPF_PSEUDO_MAP_VALUE)) return;
      const map = env.mapOf(insn);
      if (map.type !== BPF_MAP_TYPE_ARENA || map === arena) return;
      if (arena !== null) throw env.reject('EBUSY', 'Only one arena per program', index);
      arena = map;
    });
    arenas.set(env, arena);
  }
  return arena ?? undefined;
}
