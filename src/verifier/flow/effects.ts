import { slots } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, opcode } from '../../isa/opcodes.ts';
import { subprogramOf } from '../calls/call-kinds.ts';
import type { Env } from '../env.ts';
import { helperFor, sleeps } from '../helpers.ts';
import { KF, kfuncNamed } from '../kfuncs.ts';

/**
 * What a function may do wherever it is called, itself or through others: callers of global functions, which are not
 * followed, must reckon with it (Linux: merge_callee_effects).
 */
export interface Effects {
  changesPacket: boolean;
  sleeps: boolean;
  throws: boolean;
}

const EFFECTS = ['changesPacket', 'sleeps', 'throws'] as const satisfies (keyof Effects)[];

/** Kfuncs that change packets (Linux: is_kfunc_pkt_changing). */
const PACKET_KFUNCS: readonly string[] = ['bpf_xdp_pull_data'];

const known = new WeakMap<Env, readonly Effects[]>();

/** The effects of each function of the program. */
export function effectsOf(env: Env): readonly Effects[] {
  let effects = known.get(env);
  if (effects === undefined) {
    effects = findEffects(env);
    known.set(env, effects);
  }
  return effects;
}

function findEffects(env: Env): Effects[] {
  const { insns, subprograms } = env;
  const effects = subprograms.map((): Effects => ({ changesPacket: false, sleeps: false, throws: false }));
  const edges: (readonly [caller: number, callee: number])[] = [];
  subprograms.forEach(({ start, end }, caller) => {
    const own = effects[caller];
    for (let at = start; at < end; at += slots(insns[at])) {
      const insn = insns[at];
      const callee = subprogramOf(subprograms, insn, at);
      if (callee >= 0) edges.push([caller, callee]);
      if (opcode(insn.code)?.kind !== 'call' || insn.src === BPF_PSEUDO_CALL) continue;
      if (insn.src === BPF_PSEUDO_KFUNC_CALL) {
        const row = kfuncNamed(env.program.kernelBtf?.nameOf(insn.imm) ?? '');
        if (row === undefined) continue;
        own.sleeps ||= (row.flags & KF.KF_SLEEPABLE) !== 0;
        own.changesPacket ||= PACKET_KFUNCS.includes(row.name);
        own.throws ||= row.name === 'bpf_throw';
      } else {
        const row = helperFor(env.program, insn.imm);
        own.sleeps ||= row !== undefined && sleeps(env, row);
        own.changesPacket ||= row?.changesPacket === true;
      }
    }
  });
  for (let changed = true; changed; ) {
    changed = false;
    for (const [caller, callee] of edges) {
      const [to, from] = [effects[caller], effects[callee]];
      if (EFFECTS.every((effect) => to[effect] || !from[effect])) continue;
      for (const effect of EFFECTS) to[effect] ||= from[effect];
      changed = true;
    }
  }
  return effects;
}
