import type { Instruction } from '../../isa/instruction.ts';
import type { Env } from '../env.ts';
import type { MapInfo } from '../input.ts';
import type { Reg } from '../state/reg.ts';

/**
 * Functions that a helper or kfunc calls back (Linux: push_callback_call). How often is not known: where the call is met,
 * one path goes on behind it, another enters the callback, and returns to the call when the callback does.
 */

/** Who calls back: what the callback's arguments are, and what it may return. */
export type CallbackShape =
  | 'loop'
  | 'for_each_map_elem'
  | 'timer'
  | 'wq'
  | 'task_work'
  | 'find_vma'
  | 'user_ringbuf_drain'
  | 'rbtree_add';

/** What the arguments of the call came to. */
export interface CallbackMeta {
  /** The function that is called back: `of.subprog` of the argument, a register of kind `func`. */
  readonly callback: number;
  /** The map of `for_each_map_elem`, or the one that holds the timer, work queue or task work. */
  readonly map?: MapInfo | undefined;
  /** Tells apart maps inside maps: the `uid` of the register's `of`. */
  readonly mapUid?: number;
  /** Of `rbtree_add`: what the callback's two nodes are. */
  readonly node?: Reg;
}

/**
 * Call it when the arguments are checked, before r0 to r5 are given up. The path behind the call is the current one
 * afterwards.
 */
export function enterCallback(env: Env, insn: Instruction, shape: CallbackShape, meta: CallbackMeta): void {
  void insn;
  void meta;
  throw env.unsupported(`callbacks of ${shape} are not followed by this verifier`);
}
