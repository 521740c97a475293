import type { Instruction } from '../../isa/instruction.ts';
import type { JumpOp, JumpOpcode } from '../../isa/opcodes.ts';
import { type Env, eachReg } from '../env.ts';
import { mayHoldLock } from '../record-of.ts';
import { branchTaken, refine } from '../scalar/compare.ts';
import { constant } from '../scalar/scalar.ts';
import { MAYBE_NULL, type Reg, type RegKind, scalarReg, ZERO_SCALAR } from '../state/reg.ts';
import { STACK_DST, STACK_SRC, type State } from '../state/state.ts';
import { isNotNull } from '../values.ts';
import { pushBranch } from './branches.ts';
import { pushHistory } from './history.ts';
import { collectLinked, syncLinked } from './linked.ts';
import { comparePacket, packetBranchTaken } from './packet-compare.ts';
import { markPrecise } from './precision.ts';
import { readReg } from './registers.ts';

/**
 * Conditional jumps (Linux: check_cond_jmp_op). Where what is known decides, only that way is followed; else both are,
 * each with what the comparison tells there. The jump waits, the way straight on is followed first.
 *
 * @returns whether to jump now.
 */
export function checkJump(env: Env, insn: Instruction, row: JumpOpcode): boolean {
  const { dst, src, imm } = insn;
  const { op, width } = row;
  const byReg = row.source === 'X';
  if (byReg) readReg(env, src);
  readReg(env, dst);
  const left = env.reg(dst);
  const right = byReg ? env.reg(src) : scalarReg(constant(imm));
  const stackRegs = (left.kind === 'fp' ? STACK_DST : 0) | (right.kind === 'fp' ? STACK_SRC : 0);
  if (stackRegs !== 0) pushHistory(env, env.state, { stackRegs });
  const taken = decided(op, row, left, right);
  if (taken !== undefined) {
    if (left.kind === 'scalar') markPrecise(env, dst);
    if (byReg && right.kind === 'scalar') markPrecise(env, src);
    return taken;
  }
  const links: number[] = [];
  if (byReg && right.kind === 'scalar' && right.id !== 0) collectLinked(env, env.state, right.id, links);
  if (left.kind === 'scalar' && left.id !== 0) collectLinked(env, env.state, left.id, links);
  if (links.length > 1) pushHistory(env, env.state, { linked: links });
  const other = pushBranch(env, env.at + insn.off + 1, env.at, 'EFAULT');
  const sides = [
    { state: env.state, jumps: false },
    { state: other, jumps: true },
  ];
  if (left.kind === 'scalar' && right.kind === 'scalar') {
    for (const { state, jumps } of sides) {
      const { regs } = state.frame;
      const { a, b } = refine(op, width, left.scalar, right.scalar, jumps, byReg && dst === src);
      regs[dst] = regs[dst].withScalar(a);
      if (byReg) regs[src] = regs[src].withScalar(b);
      if (byReg && regs[src].id !== 0) syncLinked(state, regs[src], links);
      if (regs[dst].id !== 0) syncLinked(state, regs[dst], links);
    }
    env.scratchedRegs |= (1 << dst) | (byReg ? 1 << src : 0);
  }
  if (width === 64) comparePointers(env, insn, row, left, right, other);
  return false;
}

function decided(op: JumpOp, { width }: JumpOpcode, a: Reg, b: Reg): boolean | undefined {
  if (a.kind === 'scalar' && b.kind === 'scalar') return branchTaken(op, width, a.scalar, b.scalar);
  const packet = width === 64 ? packetBranchTaken(op, a, b) : undefined;
  if (packet !== undefined) return packet;
  // A pointer that is not NULL against zero.
  const [pointer, number] = a.kind === 'scalar' ? [b, a] : [a, b];
  if (number.kind !== 'scalar' || (op !== 'jeq' && op !== 'jne')) return undefined;
  const zero =
    (width === 32 ? number.scalar.t.maskLo === 0 : number.scalar.isConst()) && isZero(number, width);
  return zero && isNotNull(pointer) ? op === 'jne' : undefined;
}

function isZero({ scalar }: Reg, width: number): boolean {
  return scalar.t.valueLo === 0 && (width === 32 || scalar.t.valueHi === 0);
}

function comparePointers(
  env: Env,
  insn: Instruction,
  { op, source }: JumpOpcode,
  left: Reg,
  right: Reg,
  other: State,
): void {
  const { dst, src } = insn;
  const equality = op === 'jeq' || op === 'jne';
  const pointers = left.kind !== 'scalar' && right.kind !== 'scalar';
  if (source === 'X' && equality && pointers && left.maybeNull !== right.maybeNull) {
    // Equal to a pointer that is not NULL.
    if (left.kind !== 'btf_id' && right.kind !== 'btf_id') {
      const { regs } = (op === 'jeq' ? other : env.state).frame;
      const number = left.maybeNull ? dst : src;
      regs[number] = notNull(regs[number]);
    }
  }
  if (source === 'K' && insn.imm === 0 && equality && left.maybeNull) {
    resolveNull(env, env.state, left, op === 'jne');
    resolveNull(env, other, left, op === 'jeq');
    return;
  }
  if (source === 'X') comparePacket(env, insn, op, left, right, other);
}

/** A pointer of which it is known now that it is not NULL (Linux: mark_ptr_not_null_reg). */
function notNull(reg: Reg): Reg {
  const flags = reg.flags & ~MAYBE_NULL;
  const map = reg.kind === 'map_value' ? reg.map : undefined;
  if (map?.inner !== undefined) {
    const timed = map.inner.fields?.fields.some(({ kind }) => TIMED.includes(kind));
    const uid = timed ? reg.id : 0;
    return reg.with({ kind: 'map_ptr', flags, of: { kind: 'map', map: map.inner, uid } });
  }
  // The values of these maps are sockets.
  const socket = map === undefined ? undefined : SOCKET_MAPS[map.type];
  return socket === undefined ? reg.with({ flags }) : reg.with({ kind: socket, flags, of: undefined });
}

/** What belongs to one map, so that lookups of inner maps must be told apart. */
const TIMED: readonly string[] = ['timer', 'wq', 'task_work'];

/** By BPF_MAP_TYPE_*: xskmap, sockmap, sockhash. */
const SOCKET_MAPS: Readonly<Record<number, RegKind>> = { 17: 'xdp_sock', 15: 'sock', 18: 'sock' };

/** All copies of an or-null pointer become NULL, or the pointer (Linux: mark_ptr_or_null_regs). */
function resolveNull(env: Env, state: State, pointer: Reg, isNull: boolean): void {
  const { id, refId } = pointer;
  if (isNull && refId !== 0 && refId === id) state.held = state.held.filter((held) => held.id !== refId);
  eachReg(state, (reg) => {
    if (!reg.maybeNull || reg.id !== id) return reg;
    if (isNull) return ZERO_SCALAR;
    const found = notNull(reg);
    // Locks are told apart by the pointers to what they are in.
    return mayHoldLock(env, found) ? found : found.withId(0);
  });
}
