import { type Instruction, subprogramTarget } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, opcode } from '../../isa/opcodes.ts';

/**
 * Calls that exploration must know before it follows them: those that call back, those that step an iterator, and the one
 * that throws (Linux: is_sync_callback_calling_insn and its neighbours).
 */

/**
 * `callback` calls a function of the program zero or more times before it returns; `async` arranges for one to be called
 * later; `iter_next` steps an open-coded iterator; `throw` leaves the program; `call` is any other helper or kfunc.
 */
export type CallKind = 'subprogram' | 'callback' | 'async' | 'iter_next' | 'throw' | 'call';

const HELPERS: Readonly<Record<number, CallKind>> = {
  /* for_each_map_elem */ 164: 'callback',
  /* timer_set_callback */ 170: 'async',
  /* find_vma */ 180: 'callback',
  /* loop */ 181: 'callback',
  /* user_ringbuf_drain */ 209: 'callback',
};

const KFUNCS: Readonly<Record<string, CallKind>> = {
  bpf_rbtree_add_impl: 'callback',
  bpf_wq_set_callback_impl: 'async',
  bpf_task_work_schedule_signal_impl: 'async',
  bpf_task_work_schedule_resume_impl: 'async',
  bpf_throw: 'throw',
};

/** Linux insists on this form of name (btf_check_iter_kfuncs). */
const ITER_NEXT = /^bpf_iter_\w+_next$/;

/** What an instruction calls; undefined where it is no call. */
export type CallKindOf = (insn: Instruction) => CallKind | undefined;

/** @param kernelBtf names kfuncs by their ids. */
export function callKinds(kernelBtf: { nameOf(id: number): string } | undefined): CallKindOf {
  const names = new Map<number, CallKind>();
  return (insn) => {
    if (opcode(insn.code)?.kind !== 'call') return undefined;
    if (insn.src === BPF_PSEUDO_CALL) return 'subprogram';
    if (insn.src !== BPF_PSEUDO_KFUNC_CALL) return HELPERS[insn.imm] ?? 'call';
    let kind = names.get(insn.imm);
    if (kind === undefined) {
      const name = kernelBtf?.nameOf(insn.imm) ?? '';
      kind = Object.hasOwn(KFUNCS, name) ? KFUNCS[name] : ITER_NEXT.test(name) ? 'iter_next' : 'call';
      names.set(insn.imm, kind);
    }
    return kind;
  };
}

/** The number of the function that an instruction calls or takes the address of; −1 when none starts there. */
export function subprogramOf(
  subprograms: readonly { start: number }[],
  insn: Instruction,
  at: number,
): number {
  const target = subprogramTarget(insn, at);
  return subprograms.findIndex(({ start }) => start === target);
}
