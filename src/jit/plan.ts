import { isLdImm64, slots } from '../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_REG_10, opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { controlFlow, type Graph } from './cfg.ts';
import { type Cell, ownStackAccess, promotedCells } from './stack-slots.ts';
import type { JitOptions } from './target.ts';

/**
 * What is decided about each function of a program before any code is made: its control flow, which stack slots become
 * locals, whether it needs a stack frame, and whether it is put into its callers instead of being called.
 */

export interface FunctionPlan {
  readonly number: number;
  readonly name: string;
  readonly graph: Graph;
  readonly cells: ReadonlyMap<number, Cell>;
  /** Which of r1 to r5 it reads: a bit a register. */
  readonly args: number;
  readonly hasMayGoto: boolean;
  /** Functions that it calls, one entry a call. */
  readonly callees: readonly number[];
  /** Instructions that can be reached. */
  readonly size: number;
  /** It, or what it calls, has something on the stack. */
  needsFrame: boolean;
  /** Every call of it is replaced by its body. */
  inlined: boolean;
}

/** Instructions up to which a function is inlined wherever it is called. */
const SMALL = 40;
/** And up to which when there is one call only. */
const ONCE = 400;
/** Instructions that a function may have with all that was put into it. */
const LARGEST = 2_000;
/**
 * And locals, which V8 keeps on its stack of less than a megabyte: of eight functions that call each other, or of all those that 33 tail
 * calls may leave there.
 */
const MOST_LOCALS = 900;
const MOST_LOCALS_PILED = 200;

/** Locals of a function for its registers, and for its may_goto. */
const REGISTERS = 10;
const LOOP_LOCALS = 3;

/**
 * @param tailCalls the calls that may leave a function for another program.
 * @param framed whether a call hands the place of its frame on, for functions that are called from there.
 */
export function planFunctions(
  program: VerifiedProgram,
  options: JitOptions,
  tailCalls: ReadonlySet<number> = new Set(),
  framed = false,
): readonly FunctionPlan[] {
  const plans = program.subprograms.map((_, number) => planFunction(program, options, number));
  const order = calleesFirst(plans);
  const calls = new Int32Array(plans.length);
  for (const { callees } of plans) for (const callee of callees) calls[callee]++;
  const referenced = addressTaken(program);
  /** Instructions of a function with all that is put into it. */
  const grown = plans.map(({ size }) => size);
  const locals = plans.map(
    ({ cells, hasMayGoto }) => REGISTERS + cells.size + (hasMayGoto ? LOOP_LOCALS : 0),
  );
  const mostLocals = tailCalls.size > 0 ? MOST_LOCALS_PILED : MOST_LOCALS;
  for (const number of order) {
    const plan = plans[number];
    for (const callee of plan.callees) {
      const inner = plans[callee];
      plan.needsFrame ||= inner.needsFrame;
      if (!inner.inlined) continue;
      grown[number] += grown[callee];
      locals[number] += locals[callee];
    }
    const limit = calls[number] === 1 ? ONCE : SMALL;
    plan.inlined =
      options.inlining !== false &&
      number !== 0 &&
      calls[number] > 0 &&
      !referenced.has(number) &&
      // What it leaves by a tail call is itself alone.
      !leaves(program, number, tailCalls) &&
      !loadsPacket(program, number) &&
      grown[number] <= limit;
    if (grown[number] > LARGEST || locals[number] > mostLocals)
      for (const callee of plan.callees) undoInlining(plans, callee);
  }
  // Who calls a helper that calls back, or another program, hands the frame on.
  if (framed || referenced.size > 0 || tailCalls.size > 0) for (const plan of plans) plan.needsFrame = true;
  return plans;
}

function leaves(program: VerifiedProgram, number: number, tailCalls: ReadonlySet<number>): boolean {
  const { start, end } = program.subprograms[number];
  return [...tailCalls].some((at) => start <= at && at < end);
}

/** Too much was put into a function: this one is called after all. */
function undoInlining(plans: readonly FunctionPlan[], number: number): void {
  plans[number].inlined = false;
}

function planFunction(program: VerifiedProgram, options: JitOptions, number: number): FunctionPlan {
  const { insns, facts, subprograms } = program;
  const { name, start, end } = subprograms[number];
  const graph = controlFlow(insns, facts.seen, start, end);
  const cells =
    options.promotion === false ? new Map<number, Cell>() : promotedCells(graph, insns, facts, number);
  const callees: number[] = [];
  let hasMayGoto = false;
  let needsFrame = false;
  let size = 0;
  for (let at = start; at < end; at += slots(insns[at])) {
    if (facts.seen[at] === 0) continue;
    size++;
    const { code, src, dst } = insns[at];
    const row = opcode(code);
    hasMayGoto ||= row?.kind === 'may_goto';
    if (row?.kind === 'call' && src === BPF_PSEUDO_CALL) callees.push(program.calleeOf(at) ?? 0);
    const access = ownStackAccess(insns, facts, at);
    // Where the access itself is a local, its base is not used, but what a store stores is.
    const inMemory = access === undefined || !cells.has(access.offset);
    const base = row?.kind === 'load' ? src : dst;
    const stored = row?.kind === 'load' ? dst : src;
    if (row === undefined || row.kind === 'call' || row.kind === 'ld_imm64') continue;
    needsFrame ||= (inMemory && base === BPF_REG_10) || stored === BPF_REG_10;
    needsFrame ||= access !== undefined && inMemory;
  }
  return {
    number,
    name,
    graph,
    cells,
    args: program.argumentsRead(number),
    hasMayGoto,
    callees,
    size,
    needsFrame,
    inlined: false,
  };
}

/** Functions that a helper calls: the program takes their addresses, or names them as its exception callback. */
export function addressTaken(program: VerifiedProgram): Set<number> {
  const found = new Set<number>();
  program.insns.forEach((insn, at) => {
    if (isLdImm64(insn) && insn.src === BPF_PSEUDO_FUNC) found.add(program.calleeOf(at) ?? 0);
  });
  const { exceptionCallback } = program.facts;
  if (exceptionCallback !== undefined) found.add(exceptionCallback);
  return found;
}

/** Functions in an order in which callees come before their callers; BPF has no recursion. */
function calleesFirst(plans: readonly FunctionPlan[]): number[] {
  const order: number[] = [];
  const done = new Set<number>();
  const visit = (number: number) => {
    if (done.has(number)) return;
    done.add(number);
    for (const callee of plans[number].callees) visit(callee);
    order.push(number);
  };
  for (const { number } of plans) visit(number);
  return order;
}

/** Whether a function loads by BPF_ABS or BPF_IND, which may end it. */
function loadsPacket({ insns, subprograms }: VerifiedProgram, number: number): boolean {
  const { start, end } = subprograms[number];
  for (let at = start; at < end; at += slots(insns[at])) {
    const kind = opcode(insns[at].code)?.kind;
    if (kind === 'ld_abs' || kind === 'ld_ind') return true;
  }
  return false;
}
