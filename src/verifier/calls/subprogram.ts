import { type Instruction, subprogramTarget } from '../../isa/instruction.ts';
import { BPF_REG_10 } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { pushBranch } from '../explore/branches.ts';
import { isWithin, outOfRange } from '../explore/exit.ts';
import { markPrecise } from '../explore/precision.ts';
import { forgetArguments } from '../explore/registers.ts';
import { checkResourceLeak } from '../explore/resource-leak.ts';
import { findEarlierVisit, widenAgainst } from '../explore/widen.ts';
import { effectsOf } from '../flow/effects.ts';
import { isGlobal } from '../input.ts';
import { forgetPacketPointers } from '../memory/packet-pointers.ts';
import { holdsLock, inSleepableContext } from '../regions.ts';
import { frameText } from '../state/print.ts';
import { NOT_INIT, type Reg, UNKNOWN_SCALAR } from '../state/reg.ts';
import type { Frame, State } from '../state/state.ts';
import { checkGlobalArguments } from './global-arguments.ts';

/**
 * Calls of the program's own functions (Linux: check_func_call). A static function is followed with what its caller
 * knows; a global one is verified by itself, and its calls only need to keep to its prototype.
 */

const MAX_FRAMES = 8;

const all = () => true;

/** The number of the function that a call enters. */
export function calleeOf(env: Env, insn: Instruction): number {
  const target = subprogramTarget(insn, env.at);
  const callee = env.subprograms.findIndex(({ start }) => start === target);
  if (callee < 0) throw env.reject('EFAULT', `verifier bug. No program starts at insn ${target}`);
  return callee;
}

/** Whether a state may enter another function. */
export function checkDepth(env: Env, state: State): void {
  if (state.depth + 1 >= MAX_FRAMES)
    throw env.reject('E2BIG', `the call stack of ${state.depth + 2} frames is too deep`);
}

/** @returns the slot to go on at. */
export function enterSubprogram(env: Env, insn: Instruction): number {
  const callee = calleeOf(env, insn);
  const { name, start } = env.subprograms[callee];
  const { state } = env;
  if (isGlobal(env.program, env.subprograms[callee])) {
    checkGlobalCall(env, callee);
    checkGlobalArguments(env, callee);
    env.say(`Func#${callee} ('${name}') is global and assumed valid.`);
    env.globalCalls.add(callee);
    if (effectsOf(env)[callee].changesPacket) forgetPacketPointers(env);
    forgetArguments(env);
    env.setReg(0, UNKNOWN_SCALAR);
    return env.at + 1;
  }
  checkDepth(env, state);
  const caller = state.frame;
  const frame = env.newFrame(state.depth + 1, callee, env.at);
  for (let number = 1; number <= 5; number++) frame.regs[number] = caller.regs[number];
  forgetArguments(env);
  env.setReg(0, NOT_INIT);
  state.frames.push(frame);
  env.scratchedRegs |= 1 << BPF_REG_10;
  if (env.log.detailed) {
    env.say(`caller:\n${frameText(state, caller, all, all)}`);
    env.say(`callee:\n${frameText(state, frame, all, all)}`);
  }
  return start;
}

/** Where a global function may be called: nobody has looked at what it does in the state at hand. */
function checkGlobalCall(env: Env, callee: number): void {
  const rule = 'global function calls are not allowed while holding a lock';
  if (holdsLock(env)) {
    env.say(`${rule},`);
    throw env.reject('EINVAL', 'use static function instead');
  }
  const { sleeps, throws } = effectsOf(env)[callee];
  // An exception ends the callers, too. (Linux 6.18 does not look, and what they hold is never given back.)
  if (throws) checkResourceLeak(env, 'bpf_throw', { exception: true });
  if (!sleeps || inSleepableContext(env)) return;
  env.say('global functions that may sleep are not allowed in non-sleepable context,');
  env.say('i.e., in a RCU/IRQ/preempt-disabled section, or in');
  throw env.reject('EINVAL', 'a non-sleepable BPF program context');
}

/** The function returns to its caller. @returns the slot to go on at. */
export function leaveSubprogram(env: Env): number {
  const { state } = env;
  const callee = state.frames[state.depth] as Frame;
  const result = callee.regs[0];
  // The stack it points to is gone.
  if (result.kind === 'fp') throw env.reject('EINVAL', 'cannot return stack pointer to the caller');
  const calledBack = callee.role === 'callback';
  if (calledBack) checkCallbackResult(env, callee);
  state.frames.pop();
  if (!calledBack) env.setReg(0, result);
  // A helper that calls back may do so again.
  const next = calledBack ? callee.callsite : callee.callsite + 1;
  if (env.log.detailed) {
    env.say(`returning from callee:\n${frameText(state, callee, all, all)}`);
    env.say(`to caller at ${next}:\n${frameText(state, state.frame, all, all)}`);
  }
  env.scratchedSlots.clear();
  env.scratchedRegs = 0;
  env.fresh = true;
  if (calledBack) {
    const earlier = findEarlierVisit(env, state, next);
    if (earlier !== undefined) widenAgainst(earlier, state);
  }
  return next;
}

/**
 * The instruction may end the function that it is in, or not: a path goes on behind it, and the current one in the caller.
 *
 * @param result what the caller gets.
 * @param packetChanged whether the caller's packet pointers are worth nothing then.
 */
export function returnToo(env: Env, result: Reg, packetChanged = false): number {
  if (env.state.depth === 0) return env.at + 1;
  pushBranch(env, env.at + 1, env.at);
  if (packetChanged) forgetPacketPointers(env);
  env.setReg(0, result);
  const next = leaveSubprogram(env);
  env.scratchedRegs |= 1;
  return next;
}

/** The helper looks at what its callback returns. */
function checkCallbackResult(env: Env, { regs, returns }: Frame): void {
  const [result] = regs;
  if (result.kind !== 'scalar') throw env.reject('EACCES', 'R0 not a scalar value');
  markPrecise(env, 0);
  if (isWithin(result.scalar, returns)) return;
  throw env.reject('EINVAL', outOfRange('At callback return', 'R0', result.scalar, returns));
}
