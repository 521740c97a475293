import { BPF_REG_1, BPF_REG_2, BPF_REG_3, BPF_REG_4 } from '../../isa/opcodes.ts';
import { type Code, KERNEL_MEMORY } from '../encode/code.ts';
import { CPU_NUMBER, PROGRAM_TABLE } from '../encode/module.ts';
import { I64_TRUNC_SAT_F64_S, MEMORY_OP, MISC_PREFIX, OP, TYPE } from '../encode/opcodes.ts';
import {
  type ArgumentForm,
  type ArrayElementCall,
  type CallOut,
  type ImportedCall,
  PER_CPU,
  type ResultForm,
  type RoutineCall,
  type TailCall,
} from '../target.ts';
import type { Emitter } from './emitter.ts';

/**
 * Calls of helpers and kfuncs. How each is made the kernel says (target.ts): most are imported functions that take the
 * halves of registers they need, since an i64 would arrive in JavaScript as a BigInt, which costs more than the call;
 * some are done right here.
 */

/** @param at the instruction that calls. */
export function emitCallOut(e: Emitter, call: CallOut, at: number): void {
  switch (call.kind) {
    case 'constant':
      e.code.i64Big(call.value);
      e.set(0);
      return;
    case 'cpu-number':
      e.code.op(OP.global_get);
      e.code.op(CPU_NUMBER);
      e.setLow(0);
      return;
    case 'loop':
      emitLoop(e, call.most, e.program.facts.loopOf(at));
      return;
    case 'copy':
      e.get(call.register);
      e.set(0);
      return;
    case 'tail-call':
      emitTailCall(e, call);
      return;
    case 'array-element':
      emitArrayElement(e, call);
      return;
    case 'import':
      emitFunction(e, call, e.callees.import(call.name));
      return;
    case 'routine':
      emitFunction(e, call, e.callees.routine(call));
  }
}

function emitFunction(e: Emitter, { args, result }: ImportedCall | RoutineCall, index: number): void {
  const { code } = e;
  for (const arg of args) {
    if (arg.form === 'constant') code.i32(arg.value ?? 0);
    else ARGUMENTS[arg.form](e, arg.register);
  }
  code.call(index);
  switch (result) {
    case 'none':
      return;
    case 'double':
      code.op(MISC_PREFIX);
      code.op(I64_TRUNC_SAT_F64_S);
      break;
    case 'low':
      code.op(OP.i64_extend_i32_u);
      break;
    case 'pointer':
      emitPointer(e, e.scratch);
      break;
    case 'wide':
  }
  e.set(0);
}

const ARGUMENTS: Readonly<Record<Exclude<ArgumentForm, 'constant'>, (e: Emitter, register: number) => void>> =
  {
    low: (e, register) => e.getLow(register),
    high(e, register) {
      e.get(register);
      e.code.i64(32);
      e.code.op(OP.i64_shr_u);
      e.code.op(OP.i32_wrap_i64);
    },
    frame: (e) => e.pushFramePointer(e.frame.depth + 1),
    double(e, register) {
      e.get(register);
      e.code.op(OP.f64_convert_i64_u);
    },
    wide: (e, register) => e.get(register),
  };

/** The type that a form has in WebAssembly. */
export const ARGUMENT_TYPE: Readonly<
  Record<ArgumentForm, typeof TYPE.i32 | typeof TYPE.i64 | typeof TYPE.f64>
> = { low: TYPE.i32, high: TYPE.i32, frame: TYPE.i32, constant: TYPE.i32, double: TYPE.f64, wide: TYPE.i64 };

export const RESULT_TYPES: Readonly<
  Record<ResultForm, readonly (typeof TYPE.i32 | typeof TYPE.i64 | typeof TYPE.f64)[]>
> = {
  none: [],
  double: [TYPE.f64],
  low: [TYPE.i32],
  pointer: [TYPE.i32],
  wide: [TYPE.i64],
};

/** Turns the offset on the stack, i32, into a pointer into kernel memory; 0 stays NULL. */
function emitPointer(e: Emitter, scratch: number): void {
  const { code } = e;
  code.tee(scratch);
  code.op(OP.i64_extend_i32_u);
  e.kernelPointer();
  code.i64(0);
  code.get(scratch);
  code.op(OP.select);
}

const E2BIG = 7;
const EINVAL = 22;

/**
 * bpf_loop: calls the function until it returns something else than 0, and gives the number of calls.
 * @param callee the number of the function, where Linux writes a loop in place of the call: then the flags are 0, and -E2BIG
 * has 32 bits.
 */
function emitLoop(e: Emitter, most: number, callee: number | undefined): void {
  const { code } = e;
  const rounds = code.temporary(TYPE.i32, 0);
  const done = code.temporary(TYPE.i32, 1);
  const out = code.block();
  const refuse = (result: bigint) => {
    code.if();
    code.i64Big(result);
    e.set(0);
    code.br(out);
    code.end();
  };
  if (callee === undefined) {
    e.get(BPF_REG_4);
    code.i64(0);
    code.op(OP.i64_ne);
    refuse(BigInt(-EINVAL));
  }
  e.getLow(BPF_REG_1);
  code.tee(rounds);
  code.i32(most);
  code.op(OP.i32_gt_u);
  refuse(BigInt(-E2BIG) & (callee === undefined ? -1n : 0xffffffffn));
  code.i32(0);
  code.set(done);
  const end = code.block();
  const again = code.loop();
  code.get(done);
  code.get(rounds);
  code.op(OP.i32_ge_u);
  code.brIf(end);
  // A function that no path enters has no code.
  const plan = callee !== undefined && e.plans[callee].size > 0 ? e.plans[callee] : undefined;
  for (let register = 1; register <= 5; register++) {
    if (plan !== undefined && (plan.args & (1 << register)) === 0) continue;
    if (register === 1) {
      code.get(done);
      code.op(OP.i64_extend_i32_u);
    } else if (register === 2) e.get(BPF_REG_3);
    else code.i64(0);
  }
  if (plan?.needsFrame !== false) e.pushFramePointer(e.frame.depth + 1);
  code.get(done);
  code.i32(1);
  code.op(OP.i32_add);
  code.set(done);
  if (plan === undefined) {
    e.getLow(BPF_REG_2);
    code.callIndirect(e.callees.callbackType(), e.callees.callbackTable());
  } else code.call(e.callees.subprogram(plan.number));
  code.op(OP.i64_eqz);
  code.brIf(again);
  code.end();
  code.end();
  code.get(done);
  e.setLow(0);
  code.end();
}

/** bpf_tail_call: leaves the function for another program's, or goes on behind the call. */
function emitTailCall(e: Emitter, { entries, slots, stride, most }: TailCall): void {
  const { code } = e;
  const index = e.scratch;
  const count = code.temporary(TYPE.i32);
  const loadAt = (offset: number) => code.memory(MEMORY_OP.i32_load, KERNEL_MEMORY, offset);
  const pushCounter = () => pushTailCallCounter(code);
  const fail = code.block();
  const failWhen = (comparison: number) => {
    code.op(comparison);
    code.brIf(fail);
  };
  e.getLow(BPF_REG_3);
  code.tee(index);
  e.getLow(BPF_REG_2);
  loadAt(entries);
  failWhen(OP.i32_ge_u);
  pushCounter();
  loadAt(e.target.tailCalls);
  code.tee(count);
  code.i32(most);
  failWhen(OP.i32_ge_u);
  e.getLow(BPF_REG_2);
  loadAt(slots);
  code.get(index);
  code.i32(stride);
  code.op(OP.i32_mul);
  code.op(OP.i32_add);
  loadAt(0);
  code.tee(index);
  code.tableSize(PROGRAM_TABLE);
  failWhen(OP.i32_ge_u);
  code.get(index);
  code.tableGet(PROGRAM_TABLE);
  failWhen(OP.ref_is_null);
  pushCounter();
  code.get(count);
  code.i32(1);
  code.op(OP.i32_add);
  code.memory(MEMORY_OP.i32_store, KERNEL_MEMORY, e.target.tailCalls);
  e.getLow(BPF_REG_1);
  e.pushFramePointer(e.frame.depth);
  code.get(index);
  code.returnCallIndirect(e.callees.programType(), PROGRAM_TABLE);
  code.end();
}

/** Pushes where this CPU's counter lies, to be counted from the first one's. */
export function pushTailCallCounter(code: Code): void {
  code.op(OP.global_get);
  code.op(CPU_NUMBER);
  code.i32(PER_CPU);
  code.op(OP.i32_mul);
}

/** bpf_map_lookup_elem of an array: r2 points to the index, which is compared, multiplied and added. */
function emitArrayElement(e: Emitter, { first, stride, entries, cpuStride }: ArrayElementCall): void {
  const { code } = e;
  const index = e.scratch;
  e.getLow(BPF_REG_2);
  code.memory(MEMORY_OP.i32_load, KERNEL_MEMORY, 0);
  code.tee(index);
  code.i32(entries);
  code.op(OP.i32_lt_u);
  code.if(TYPE.i64);
  code.get(index);
  code.i32(stride);
  code.op(OP.i32_mul);
  code.i32(first);
  code.op(OP.i32_add);
  if (cpuStride > 0) {
    code.globalGet(CPU_NUMBER);
    code.i32(cpuStride);
    code.op(OP.i32_mul);
    code.op(OP.i32_add);
  }
  code.op(OP.i64_extend_i32_u);
  e.kernelPointer();
  code.else();
  code.i64(0);
  code.end();
  e.set(0);
}
