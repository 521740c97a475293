import type { Instruction } from '../../isa/instruction.ts';
import type { Env } from '../env.ts';
import { pushAsync, pushBranch } from '../explore/branches.ts';
import { markPrecise } from '../explore/precision.ts';
import type { MapInfo } from '../input.ts';
import { pointer, type Reg, UNKNOWN_SCALAR } from '../state/reg.ts';
import type { Frame } from '../state/state.ts';
import { isNull } from '../values.ts';
import { checkDepth } from './subprogram.ts';

/**
 * Functions that a helper or kfunc calls back (Linux: push_callback_call). How often is not known: where the call is met,
 * one path goes on behind it, another enters the callback, and returns to the call when the callback does. There the
 * rounds are compared until they bring nothing new (see prune.ts). Callbacks that run later start on a stack of their own.
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
  readonly subprog: number;
  /** The map of `for_each_map_elem`, or the one that holds the timer, work queue or task work. */
  readonly map?: MapInfo | undefined;
  /** Tells apart maps inside maps: the `uid` of the register's `of`. */
  readonly mapUid?: number;
  /** Of `rbtree_add`: what the callback's two nodes are. */
  readonly node?: Reg;
}

/** Maps that can be walked by bpf_for_each_map_elem: hashes, arrays, their LRU and per-CPU kinds. */
const WALKABLE: readonly number[] = [1, 2, 5, 6, 9, 10];

/** Of a map's element: what timers and walks hand to their callbacks. */
function elementRegs(meta: CallbackMeta): readonly [map: Reg, key: Reg, value: Reg] {
  const { map, mapUid = 0 } = meta;
  const of = map && ({ kind: 'map', map, uid: mapUid } as const);
  return [pointer('map_ptr', { of }), pointer('map_key', { of }), pointer('map_value', { of })];
}

/** What r1 to r5 hold when the callback begins (Linux: set_loop_callback_state and its neighbours). */
function argumentsOf(env: Env, shape: CallbackShape, meta: CallbackMeta, caller: Frame): readonly Reg[] {
  const { regs } = caller;
  switch (shape) {
    case 'loop':
      return [UNKNOWN_SCALAR, regs[3]];
    case 'for_each_map_elem': {
      if (!WALKABLE.includes(meta.map?.type ?? 0))
        throw env.reject('ENOTSUPP', 'callback function not allowed for map');
      const [, key, value] = elementRegs(meta);
      return [regs[1], key, value, regs[3]];
    }
    case 'timer':
    case 'wq':
    case 'task_work':
      return elementRegs(meta);
    case 'find_vma': {
      const { kernelBtf } = env.program;
      const id = kernelBtf?.idOf('vm_area_struct', 'struct');
      if (kernelBtf === undefined || id === undefined)
        throw env.unsupported('struct vm_area_struct is not known here');
      return [regs[1], pointer('btf_id', { of: { kind: 'btf', btf: kernelBtf, id } }), regs[4]];
    }
    case 'user_ringbuf_drain': {
      const of = { kind: 'dynptr', type: 'local', first: true, readOnly: false } as const;
      return [pointer('dynptr', { of, id: env.newId() }), regs[3]];
    }
    case 'rbtree_add': {
      if (meta.node === undefined) throw env.unsupported('a tree of unknown nodes');
      return [meta.node, meta.node];
    }
  }
}

/** What callbacks may return. Those that run later: see exit.ts. */
const RETURNS = [0, 1] as const;

function isLater(shape: CallbackShape): boolean {
  return shape === 'timer' || shape === 'wq' || shape === 'task_work';
}

/**
 * Call it when the arguments are checked, before r0 to r5 are given up. The path behind the call is the current one
 * afterwards.
 */
export function enterCallback(env: Env, insn: Instruction, shape: CallbackShape, meta: CallbackMeta): void {
  void insn;
  if (isLater(shape)) {
    enterLater(env, shape, meta);
    return;
  }
  const caller = env.frame;
  if (shape === 'loop') {
    // Linux makes a loop of its own of it where the flags are zero on all paths.
    const withoutFlags = isNull(env.reg(4));
    if (withoutFlags) markPrecise(env, 4);
    env.facts.noteLoop(env.at, meta.subprog, withoutFlags);
    // Its first argument decides whether there is another round.
    markPrecise(env, 1);
    if (caller.callbackDepth >= env.reg(1).scalar.umaxNumber()) {
      caller.callbackDepth = 0;
      if (env.log.all) env.say(`frame${caller.number} bpf_loop iteration limit reached`);
      return;
    }
  }
  env.scratchedRegs = -1;
  env.callbacks.add(meta.subprog);
  const { start } = env.subprograms[meta.subprog];
  const queued = pushBranch(env, start, env.at);
  checkDepth(env, queued);
  const callee = env.newFrame(queued.depth + 1, meta.subprog, env.at);
  argumentsOf(env, shape, meta, queued.frame).forEach((reg, index) => {
    callee.regs[index + 1] = reg;
  });
  callee.role = 'callback';
  callee.returns = RETURNS;
  queued.frame.callbackDepth++;
  queued.frames.push(callee);
  queued.callbackUnrollDepth++;
  caller.callbackDepth = 0;
}

/** The callback runs some time later, from nothing that the program holds now (Linux: push_async_cb). */
function enterLater(env: Env, shape: CallbackShape, meta: CallbackMeta): void {
  const { start } = env.subprograms[meta.subprog];
  const callee = env.newFrame(0, meta.subprog, -1);
  callee.role = 'async';
  callee.asyncEntries = env.frame.asyncEntries + 1;
  argumentsOf(env, shape, meta, env.frame).forEach((reg, index) => {
    callee.regs[index + 1] = reg;
  });
  env.scratchedRegs = -1;
  env.callbacks.add(meta.subprog);
  env.asyncCallbacks.add(meta.subprog);
  pushAsync(env, start, callee, shape !== 'timer');
}
