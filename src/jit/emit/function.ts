import { slots, writtenRegister } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, opcode } from '../../isa/opcodes.ts';
import type { ChooseNode, CodeNode, Graph, InlineNode } from '../cfg.ts';
import type { Label } from '../encode/code.ts';
import { OP, TYPE } from '../encode/opcodes.ts';
import { reducible } from '../reducible.ts';
import { structure } from '../structure.ts';
import { emitAlu } from './alu.ts';
import { emitGroupCheck, type Mode } from './arena.ts';
import { emitAtomic } from './atomic.ts';
import { emitCallOut } from './call.ts';
import type { Emitter } from './emitter.ts';
import { emitBranch, emitCondition, emitIf, emitLeave, emitRefill, lastSlot } from './jump.ts';
import { emitLoad, emitStore } from './memory.ts';
import { emitPacketLoad } from './packet.ts';
import { emitSettle, firstPart } from './page-runs.ts';

/** Third stage: a graph becomes code, token by token of its structure and instruction by instruction of its nodes. */

/** Emits a graph; control never comes out at its end. */
export function emitGraph(e: Emitter, given: Graph): void {
  const { code } = e;
  const graph = reducible(given);
  // A node may open a block and then a loop: who leaves the block does so before the loop begins.
  const labels = new Map<number, Label>();
  for (const token of structure(graph)) {
    switch (token.kind) {
      case 'block':
        labels.set(token.node, code.block());
        break;
      case 'loop':
        labels.set(token.node, code.loop());
        break;
      case 'end':
        code.end();
        break;
      case 'code':
        emitNode(e, graph, token.node);
        break;
      case 'br':
        code.br(labelOf(labels, token.node));
        break;
      case 'br_if':
        emitBranch(e, graph[token.of], token.holds, labelOf(labels, token.node));
        break;
      case 'if':
        emitIf(e, graph[token.of], token.holds);
        break;
      case 'br_table':
        code.get(e.choice);
        code.brTable(token.nodes.map((node) => labelOf(labels, node)));
    }
  }
  code.op(OP.unreachable);
}

function labelOf(labels: ReadonlyMap<number, Label>, node: number): Label {
  const label = labels.get(node);
  if (label === undefined) throw new TypeError(`a jump to node ${node}, which nothing encloses`);
  return label;
}

function emitNode(e: Emitter, graph: Graph, number: number): void {
  const node = graph[number];
  switch (node.kind) {
    case 'enter':
      e.code.i32(node.choice);
      e.code.set(e.choice);
      return;
    case 'inline':
      emitInlineEntry(e, node);
      return;
    case 'refill':
      emitRefill(e, node);
      return;
    case 'settle': {
      e.frame = e.frames[node.frame];
      const { loop } = e.frame;
      if (loop !== undefined) emitSettle(e, loop, node.counter);
      return;
    }
    case 'leave':
      emitLeave(e, node);
      return;
    case 'choose':
      e.frame = e.frames[node.frame];
      emitChoice(e, node);
      return;
    case 'code':
      e.frame = e.frames[node.frame];
      emitCode(e, node);
  }
}

/** Where the code may be left for another version, accesses are checked in groups. */
function emitCode(e: Emitter, node: CodeNode): void {
  const checks = e.exits.isFast ? e.analyses.fastChecks(e.frame.plan) : undefined;
  for (let at = node.start; at < node.end; at += slots(e.insns[at])) {
    e.code.position(at);
    if (opcode(e.insns[at].code)?.kind === 'call') {
      emitCall(e, at);
      continue;
    }
    const group = node.run?.checks.has(at) ? undefined : checks?.groups.get(at);
    if (group !== undefined) emitGroupCheck(e, group);
    const mode = checks === undefined ? 'single' : checks.modeOf(at);
    emitInstruction(e, at, node.run?.members.has(at) && mode !== 'checked' ? 'passed' : mode);
  }
  // After a call that never returns nothing follows.
  if (node.next.length === 0 && opcode(e.insns[lastSlot(e, node)].code)?.kind !== 'exit')
    e.code.op(OP.unreachable);
}

/** Does the operations, and gives the registers that they write their old values back where the jump says so. */
function emitChoice(e: Emitter, { jump, holds, start, end }: ChooseNode): void {
  const { code } = e;
  e.code.position(jump);
  const row = opcode(e.insns[jump].code);
  if (row?.kind !== 'jump') throw new TypeError(`instruction ${jump} is no jump to choose by`);
  emitCondition(e, jump, row, holds);
  code.set(e.scratch);
  const written = new Map<number, number>();
  for (let at = start; at < end; at += slots(e.insns[at])) {
    const register = writtenRegister(e.insns[at]);
    if (register === undefined || written.has(register)) continue;
    // Behind the first, which an access may use.
    const old = code.temporary(TYPE.i64, 1 + written.size);
    written.set(register, old);
    e.get(register);
    code.set(old);
  }
  for (let at = start; at < end; at += slots(e.insns[at])) {
    e.code.position(at);
    emitInstruction(e, at, 'single');
  }
  for (const [register, old] of written) {
    e.get(register);
    code.get(old);
    code.get(e.scratch);
    code.op(OP.select);
    e.set(register);
  }
}

/** Sets what is left for the may_goto of the current frame. */
export function emitLoopStart(e: Emitter): void {
  const { loop } = e.frame;
  if (loop === undefined) return;
  const { count, reserve } = firstPart(loop, e.target.loopIterations);
  e.code.i32(count);
  e.bringMemory();
  e.code.set(loop.count);
  if (loop.reserve !== undefined) {
    e.code.i32(reserve);
    e.code.set(loop.reserve);
  }
  e.code.zero(TYPE.f64);
  e.code.set(loop.deadline);
}

/** Hands the arguments of a function over that was put into this one. */
function emitInlineEntry(e: Emitter, { frame, caller }: InlineNode): void {
  const { code } = e;
  const inner = e.frames[frame];
  for (let register = 1; register <= 5; register++) {
    if ((inner.plan.args & (1 << register)) === 0) continue;
    code.get(e.frames[caller].registers[register]);
    code.set(inner.registers[register]);
  }
  e.frame = inner;
  emitLoopStart(e);
}

function emitInstruction(e: Emitter, at: number, mode: Mode): void {
  const insn = e.insns[at];
  const row = opcode(insn.code);
  if (row === undefined) throw new TypeError(`instruction ${at} is none`);
  if (emitAlu(e, at, insn, row, e.program.facts.isArenaArithmetic(at))) return;
  switch (row.kind) {
    case 'load':
      emitLoad(e, at, insn, row, mode);
      return;
    case 'store':
      emitStore(e, at, insn, row, mode);
      return;
    case 'atomic':
      emitAtomic(e, at, insn, row, mode);
      return;
    case 'ld_imm64':
      emitConstant(e, at);
      e.set(insn.dst);
      return;
    case 'exit':
      if (e.frame.depth > 0) return;
      e.get(0);
      e.code.op(OP.return);
      return;
    case 'ld_abs':
    case 'ld_ind':
      emitPacketLoad(e, insn, row);
      return;
    // Jumps are tokens of the structure.
    case 'jump':
    case 'goto':
    case 'may_goto':
      return;
    default:
      throw new TypeError(`instruction ${at}, ${row.name}, is not for the JIT`);
  }
}

function emitConstant(e: Emitter, at: number): void {
  const value = e.target.constant(at);
  if (!e.target.isArenaAddress(at)) {
    e.code.i64Big(value);
    return;
  }
  e.code.i64Big(value & 0xffffffffn);
  if (!e.isNarrow(at)) e.userPointer();
}

function emitCall(e: Emitter, at: number): void {
  const insn = e.insns[at];
  if (insn.src !== BPF_PSEUDO_CALL) {
    emitCallOut(e, e.callees.callOut(at), at);
    return;
  }
  const callee = e.plans[e.program.calleeOf(at) ?? 0];
  for (let register = 1; register <= 5; register++)
    if ((callee.args & (1 << register)) !== 0) e.get(register);
  if (callee.needsFrame) e.pushFramePointer(e.frame.depth + 1);
  e.code.call(e.callees.subprogram(callee.number));
  e.set(0);
}
