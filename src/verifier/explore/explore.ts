import { type Instruction, slots } from '../../isa/instruction.ts';
import {
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
  opcode,
} from '../../isa/opcodes.ts';
import { validateInstruction } from '../../isa/validate.ts';
import { BPF_MAP_TYPE_ARENA } from '../arena.ts';
import { subprogramOf } from '../calls/call-kinds.ts';
import { checkHelperCall } from '../calls/helper.ts';
import { checkKfuncCall } from '../calls/kfunc.ts';
import { enterSubprogram, leaveSubprogram } from '../calls/subprogram.ts';
import type { Env } from '../env.ts';
import { checkAccess } from '../memory/access.ts';
import { checkCallUnderLock } from '../regions.ts';
import { constantHalves } from '../scalar/scalar.ts';
import { MEM_RDONLY, pointer, scalarReg, UNKNOWN_SCALAR } from '../state/reg.ts';
import { checkAlu, checkEndian, checkNeg } from './alu.ts';
import { checkAtomic } from './atomic.ts';
import { popBranch, pushBranch } from './branches.ts';
import { checkExit, checkThrow } from './exit.ts';
import { pushHistory } from './history.ts';
import { checkJump } from './jump.ts';
import { logInstruction, logPruned, logState } from './narrate.ts';
import { checkPacketLoad } from './packet-load.ts';
import { isVisited } from './prune.ts';
import { readReg, writeReg } from './registers.ts';
import { findEarlierVisit, widenAgainst } from './widen.ts';

/**
 * Follows every path through a function, instruction by instruction, depth first (Linux: do_check), from the state that
 * env holds. Ends when no path is left; throws when one is unsafe.
 */

/** Instructions on all paths together (Linux: BPF_COMPLEXITY_LIMIT_INSNS). */
export const MAX_PROCESSED = 1_000_000;

export function explore(env: Env): void {
  for (;;) {
    env.historyAt = -1;
    if (++env.processed > MAX_PROCESSED) {
      const advice = `BPF program is too large. Processed ${env.processed} insn`;
      throw env.reject('E2BIG', advice);
    }
    env.state.lastInsn = env.previous;
    env.state.insn = env.at;
    if (env.points.prune[env.at] === 1 && isVisited(env)) {
      logPruned(env);
      if (!popBranch(env)) return;
      continue;
    }
    if (env.points.jump[env.at] === 1) pushHistory(env, env.state);
    if (env.log.detailed) logInstruction(env);
    const next = checkInstruction(env, env.insns[env.at]);
    if (next === END) {
      if (!popBranch(env)) return;
      env.scratchedRegs = -1;
      continue;
    }
    env.previous = env.at;
    env.at = next;
  }
}

const END = -1;

/** @returns the slot to go on at, or END. */
function checkInstruction(env: Env, insn: Instruction): number {
  const row = opcode(insn.code);
  const { at } = env;
  if (env.facts.seen[at] === 0) checkForm(env, at);
  env.facts.seen[at] = 1;
  env.program.observation?.record?.(env);
  switch (row?.kind) {
    case 'alu':
      checkAlu(env, insn, row);
      return at + 1;
    case 'neg':
      checkNeg(env, insn, row);
      return at + 1;
    case 'endian':
      checkEndian(env, insn, row);
      return at + 1;
    case 'load': {
      readReg(env, insn.src);
      writeReg(env, insn.dst);
      const { size, signed } = row;
      const { src, dst, off } = insn;
      checkAccess(env, { access: 'read', base: src, off, size, value: dst, signed });
      return at + 1;
    }
    case 'store': {
      const value = row.source === 'X' ? insn.src : -1;
      if (value >= 0) readReg(env, value);
      readReg(env, insn.dst);
      checkAccess(env, { access: 'write', base: insn.dst, off: insn.off, size: row.size, value });
      return at + 1;
    }
    case 'atomic':
      checkAtomic(env, insn, row);
      return at + 1;
    case 'ld_imm64':
      loadImmediate(env, insn);
      return at + slots(insn);
    case 'jump':
      env.jumpsProcessed++;
      if (!checkJump(env, insn, row)) {
        logState(env);
        return at + 1;
      }
      logState(env);
      return at + 1 + insn.off;
    case 'goto':
      env.jumpsProcessed++;
      return at + 1 + (row.distance === 'off' ? insn.off : insn.imm);
    case 'may_goto':
      env.jumpsProcessed++;
      mayGoto(env);
      return at + 1 + insn.off;
    case 'call':
      env.jumpsProcessed++;
      if (insn.src === BPF_PSEUDO_CALL) return enterSubprogram(env, insn);
      checkCallUnderLock(env, insn);
      if (insn.src !== BPF_PSEUDO_KFUNC_CALL) return checkHelperCall(env, insn);
      return env.callKind(insn) === 'throw' ? checkThrowing(env, insn) : checkKfuncCall(env, insn);
    case 'exit':
      env.jumpsProcessed++;
      checkExit(env);
      if (env.state.depth > 0) return leaveSubprogram(env);
      return END;
    case 'ld_abs':
    case 'ld_ind':
      return checkPacketLoad(env, insn, row);
    default:
      throw env.unsupported(`${row?.name ?? 'this instruction'} is not followed by this verifier`);
  }
}

/** Fields that must be zero and registers that do not exist; r10 is looked at when it is written. */
function checkForm(env: Env, at: number): void {
  const problem = validateInstruction(env.insns, at);
  if (problem !== undefined && problem !== 'frame pointer is read only') throw env.reject('EINVAL', problem);
}

/** The loop's budget ends here, or somewhere later: both ways are followed (Linux: check_cond_jmp_op, BPF_JCOND). */
function mayGoto(env: Env): void {
  // The checkpoint that was made just now is no round.
  const { parent } = env.state;
  const earlier = parent && findEarlierVisit(env, parent, env.at);
  const queued = pushBranch(env, env.at + 1, env.at);
  queued.mayGotoDepth++;
  if (earlier !== undefined) widenAgainst(earlier, queued);
}

function checkThrowing(env: Env, insn: Instruction): number {
  const cookie = env.reg(1);
  checkKfuncCall(env, insn);
  checkThrow(env, cookie);
  return END;
}

function loadImmediate(env: Env, insn: Instruction): void {
  const { dst, imm, src } = insn;
  writeReg(env, dst);
  const high = env.insns[env.at + 1].imm;
  switch (src) {
    case 0:
      env.setReg(dst, scalarReg(constantHalves(imm, high)));
      return;
    case BPF_PSEUDO_MAP_FD: {
      const map = env.mapOf(insn);
      env.setReg(dst, pointer('map_ptr', { of: { kind: 'map', map, uid: 0 } }));
      return;
    }
    case BPF_PSEUDO_MAP_VALUE: {
      const map = env.mapOf(insn);
      const of = { kind: 'map', map, uid: 0 } as const;
      // An arena's memory is named by its user address: a number, to be cast.
      env.setReg(
        dst,
        map.type === BPF_MAP_TYPE_ARENA ? UNKNOWN_SCALAR : pointer('map_value', { off: high, of }),
      );
      return;
    }
    case BPF_PSEUDO_BTF_ID:
      // A function's address only tells that the function is there.
      if (env.program.kernelBtf?.kindOf(imm) !== 'func')
        throw env.unsupported('a variable of the kernel is not exposed here');
      env.setReg(dst, pointer('mem', { flags: MEM_RDONLY, of: { kind: 'mem', size: 0 } }));
      return;
    case BPF_PSEUDO_FUNC: {
      const subprog = subprogramOf(env.subprograms, insn, env.at);
      if (!env.subprograms[subprog]?.type) throw env.reject('EINVAL', 'missing btf func_info');
      if (env.subprograms[subprog].linkage === 'global')
        throw env.reject('EINVAL', 'callback function not static');
      env.setReg(dst, pointer('func', { of: { kind: 'func', subprog } }));
      return;
    }
    default:
      throw env.reject('EINVAL', 'unrecognized bpf_ld_imm64 insn');
  }
}
