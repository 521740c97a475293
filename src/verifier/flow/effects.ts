import { slots } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, opcode } from '../../isa/opcodes.ts';
import { subprogramOf } from '../calls/call-kinds.ts';
import type { Env } from '../env.ts';
import { KF, kfuncNamed } from '../kfuncs.ts';

/**
 * What a function may do wherever it is called, itself or through others: callers of global functions, which are not
 * followed, must reckon with it (Linux: merge_callee_effects).
 */
export interface Effects {
  changesPacket: boolean;
  sleeps: boolean;
}

/** Helpers behind which packet pointers are worth nothing (Linux: bpf_helper_changes_pkt_data). */
const CHANGE_PACKETS: readonly number[] = [
  /* skb_store_bytes, l3_csum_replace, l4_csum_replace, tail_call, clone_redirect */ 9, 10, 11, 12, 13,
  /* skb_vlan_push, skb_vlan_pop, skb_change_proto, skb_change_tail, skb_pull_data, skb_change_head */ 18, 19,
  31, 38, 39, 43, /* xdp_adjust_head, skb_adjust_room, xdp_adjust_meta, xdp_adjust_tail */ 44, 50, 54, 65,
  /* msg_pull_data, lwt_push_encap, lwt_seg6_store_bytes, lwt_seg6_adjust_srh, lwt_seg6_action */ 63, 73, 74,
  75, 76, /* msg_push_data, msg_pop_data, store_hdr_opt, reserve_hdr_opt */ 90, 91, 143, 144,
];

/** Helpers that may sleep. */
const SLEEP: readonly number[] = [
  /* copy_from_user, ima_inode_hash, sys_bpf, btf_find_by_name_kind, sys_close, copy_from_user_task, ima_file_hash */ 148,
  161, 166, 167, 168, 191, 193,
];

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
  const effects = subprograms.map((): Effects => ({ changesPacket: false, sleeps: false }));
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
      } else {
        own.sleeps ||= SLEEP.includes(insn.imm);
        own.changesPacket ||= CHANGE_PACKETS.includes(insn.imm);
      }
    }
  });
  for (let changed = true; changed; ) {
    changed = false;
    for (const [caller, callee] of edges) {
      const [to, from] = [effects[caller], effects[callee]];
      if ((to.sleeps || !from.sleeps) && (to.changesPacket || !from.changesPacket)) continue;
      to.sleeps ||= from.sleeps;
      to.changesPacket ||= from.changesPacket;
      changed = true;
    }
  }
  return effects;
}
