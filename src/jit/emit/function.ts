import { slots } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, opcode } from '../../isa/opcodes.ts';
import type { CodeNode } from '../cfg.ts';
import type { Label } from '../encode/code.ts';
import { OP, TYPE } from '../encode/opcodes.ts';
import { type Group, groupsOf } from '../groups.ts';
import type { FunctionPlan } from '../plan.ts';
import { emitAlu } from './alu.ts';
import { emitGroupCheck, lookupOf, type Mode } from './arena.ts';
import { emitAtomic } from './atomic.ts';
import { emitCallOut } from './call.ts';
import type { Emitter, Frame } from './emitter.ts';
import { emitBranch, emitIf, lastSlot } from './jump.ts';
import { emitLoad, emitStore } from './memory.ts';

/**
 * Third stage: the tokens of a function become code. Between two calls the instructions of a node stand twice where
 * accesses are checked in groups: once as they run when the checks have passed, once for when one of them has failed, with
 * every access checked in full; the two meet again at the end.
 */

/** Emits the body of the function that the emitter's frame is of. */
export function emitFunction(e: Emitter): void {
  const { plan } = e.frame;
  const { code } = e;
  startFrame(e);
  const labels = new Map<number, Label>();
  for (const token of plan.tokens) {
    switch (token.kind) {
      case 'block':
        labels.set(token.node, code.block());
        break;
      case 'loop':
        // A block to the same node would have the same name: a header that several edges reach stands in its block.
        labels.set(token.node, code.loop());
        break;
      case 'end':
        code.end();
        break;
      case 'code':
        emitNode(e, token.node);
        break;
      case 'br':
        code.br(labelOf(labels, token.node));
        break;
      case 'br_if':
        emitBranch(
          e,
          lastSlot(e, plan.graph[token.of] as CodeNode),
          token.holds,
          labelOf(labels, token.node),
        );
        break;
      case 'if':
        emitIf(e, lastSlot(e, plan.graph[token.of] as CodeNode), token.holds);
        break;
      case 'br_table':
        code.get(choiceOf(e));
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

/** Sets the frame's loop budget. */
function startFrame(e: Emitter): void {
  const { loop } = e.frame;
  if (loop === undefined) return;
  e.code.i32(e.target.loopIterations);
  e.code.set(loop.count);
  e.code.op(OP.f64_const);
  for (let i = 0; i < 8; i++) e.code.op(0);
  e.code.set(loop.deadline);
}

function choiceOf(e: Emitter): number {
  e.frame.choice ??= e.code.local(TYPE.i32);
  return e.frame.choice;
}

function emitNode(e: Emitter, number: number): void {
  const node = e.frame.plan.graph[number];
  if (node.kind === 'enter') {
    e.code.i32(node.choice);
    e.code.set(choiceOf(e));
  }
  if (node.kind !== 'code') return;
  let start = node.start;
  for (let at = node.start; at < node.end; at += slots(e.insns[at])) {
    if (opcode(e.insns[at].code)?.kind !== 'call') continue;
    emitRun(e, start, at);
    e.code.position(at);
    emitCall(e, at);
    start = at + 1;
  }
  emitRun(e, start, node.end);
  // After a call that never returns nothing follows.
  if (node.next.length === 0 && opcode(e.insns[lastSlot(e, node)].code)?.kind !== 'exit')
    e.code.op(OP.unreachable);
}

/** Instructions without calls, in order. */
function emitRun(e: Emitter, start: number, end: number): void {
  const isArena = (at: number) => e.program.facts.reachesArena(at);
  const groups = e.options.grouping === false ? [] : worthwhile(e, groupsOf(e.insns, start, end, isArena));
  groups.sort((a, b) => a.first.at - b.first.at);
  const modes = new Map<number, Mode>();
  if (groups.length === 0) {
    emitRange(e, start, end, modes);
    return;
  }
  const { code } = e;
  for (const { members } of groups) for (const { at } of members) modes.set(at, 'checked');
  emitRange(e, start, groups[0].first.at, modes);
  const done = code.block();
  // The last one is opened first: falling out of one leads into what the next one is for.
  const slow = groups.map(() => code.block()).reverse();
  groups.forEach((group, i) => {
    code.position(group.first.at);
    emitGroupCheck(e, group, slow[i]);
    emitRange(e, group.first.at, groups[i + 1]?.first.at ?? end, modes);
  });
  code.br(done);
  for (const at of modes.keys()) modes.set(at, 'slow');
  groups.forEach((group, i) => {
    code.end();
    emitRange(e, group.first.at, groups[i + 1]?.first.at ?? end, modes);
  });
  code.end();
}

/** Groups that save something: accesses that need no check on their own are better off alone. */
function worthwhile(e: Emitter, groups: Group[]): Group[] {
  return groups.filter(({ members }) => {
    let alone = 0;
    for (const access of members) {
      const { at, base, off, size } = access;
      const bits = e.options.ranges === false ? 0 : e.zeroBits(at, base);
      if (((off | (1 << bits)) & (size - 1)) !== 0) alone += off === 0 ? 1 : 2;
      if (lookupOf(e, [access]) !== 'none') alone += 2;
    }
    return alone > (lookupOf(e, members) === 'none' ? 2 : 4);
  });
}

function emitRange(e: Emitter, start: number, end: number, modes: ReadonlyMap<number, Mode>): void {
  for (let at = start; at < end; at += slots(e.insns[at])) {
    e.code.position(at);
    emitInstruction(e, at, modes.get(at) ?? 'single');
  }
}

function emitInstruction(e: Emitter, at: number, mode: Mode): void {
  const insn = e.insns[at];
  const row = opcode(insn.code);
  if (row === undefined) throw new TypeError(`instruction ${at} is none`);
  if (emitAlu(e, insn, row, e.program.facts.isArenaArithmetic(at))) return;
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
      emitExit(e);
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
  e.userPointer();
}

function emitExit(e: Emitter): void {
  const { exit } = e.frame;
  if (exit !== undefined) {
    e.code.br(exit);
    return;
  }
  e.get(0);
  e.code.op(OP.return);
}

function emitCall(e: Emitter, at: number): void {
  const insn = e.insns[at];
  if (insn.src !== BPF_PSEUDO_CALL) {
    emitCallOut(e, e.callees.callOut(at));
    return;
  }
  const callee = e.plans[e.program.calleeOf(at) ?? 0];
  if (callee.inlined) {
    emitInlined(e, callee);
    return;
  }
  for (let register = 1; register <= 5; register++)
    if ((callee.args & (1 << register)) !== 0) e.get(register);
  if (callee.needsFrame) e.pushFramePointer(e.frame.depth + 1);
  e.code.call(e.callees.subprogram(callee.number));
  e.set(0);
}

function emitInlined(e: Emitter, plan: FunctionPlan): void {
  const { code } = e;
  const outer = e.frame;
  const inner = newFrame(e, plan, outer, code.block());
  for (let register = 1; register <= 5; register++) {
    if ((plan.args & (1 << register)) === 0) continue;
    e.get(register);
    code.set(inner.registers[register]);
  }
  e.frame = inner;
  emitFunction(e);
  code.end();
  e.frame = outer;
}

/** A frame inside another one. Locals of its own: a loop around it must not see what an earlier round left. */
function newFrame(e: Emitter, plan: FunctionPlan, outer: Frame, exit: Label): Frame {
  const { code } = e;
  return {
    plan,
    registers: [outer.registers[0], ...Array.from({ length: 9 }, () => code.local(TYPE.i64))],
    cells: new Map(),
    depth: outer.depth + 1,
    exit,
    loop: plan.hasMayGoto ? { count: code.local(TYPE.i32), deadline: code.local(TYPE.f64) } : undefined,
    choice: undefined,
  };
}
