import { type Code, KERNEL_MEMORY, type Label } from './code.ts';
import { CPU_NUMBER } from './module.ts';
import { ATOMIC_OP, MEMORY_COPY, MEMORY_OP, MISC_PREFIX, OP, type ValueType } from './opcodes.ts';

/**
 * WebAssembly in the shape of expressions, for functions that are written by hand: each writes the code of its operands, and
 * then its own, so that a routine reads from the outside in. All accesses are to kernel memory. What the JIT makes of a program
 * it writes with {@link Code} directly.
 */

/** Writes code that leaves a value on the stack, or, of a statement, none. */
export type Expression = (code: Code) => void;

const of =
  (opcode: number) =>
  (...operands: Expression[]): Expression =>
  (code) => {
    for (const operand of operands) operand(code);
    code.op(opcode);
  };

export const i32 =
  (value: number): Expression =>
  (code) =>
    code.i32(value);
export const i64 =
  (value: number): Expression =>
  (code) =>
    code.i64(value);

export const add = of(OP.i32_add);
export const sub = of(OP.i32_sub);
export const mul = of(OP.i32_mul);
export const and = of(OP.i32_and);
export const or = of(OP.i32_or);
export const xor = of(OP.i32_xor);
export const shl = of(OP.i32_shl);
export const shrU = of(OP.i32_shr_u);
export const eq = of(OP.i32_eq);
export const ne = of(OP.i32_ne);
export const gtS = of(OP.i32_gt_s);
export const gtU = of(OP.i32_gt_u);
export const ltS = of(OP.i32_lt_s);
export const ltU = of(OP.i32_lt_u);
export const geU = of(OP.i32_ge_u);
export const not = of(OP.i32_eqz);
export const eq64 = of(OP.i64_eq);
export const ne64 = of(OP.i64_ne);
export const gtU64 = of(OP.i64_gt_u);
export const add64 = of(OP.i64_add);
export const and64 = of(OP.i64_and);
export const wrap = of(OP.i32_wrap_i64);
export const extendU = of(OP.i64_extend_i32_u);
export const extendS = of(OP.i64_extend_i32_s);
export const drop = of(OP.drop);
export const returns = of(OP.return);

/** A local variable of a routine, or a parameter. */
export type Local = number;

export const get =
  (local: Local): Expression =>
  (code) =>
    code.get(local);
export const set =
  (local: Local, value: Expression): Expression =>
  (code) => {
    value(code);
    code.set(local);
  };

const access =
  (opcode: number) =>
  (at: Expression, offset = 0): Expression =>
  (code) => {
    at(code);
    code.memory(opcode, KERNEL_MEMORY, offset);
  };
const accessWith =
  (opcode: number) =>
  (at: Expression, value: Expression, offset = 0): Expression =>
  (code) => {
    at(code);
    value(code);
    code.memory(opcode, KERNEL_MEMORY, offset);
  };
const atomic =
  (opcode: number, align: number) =>
  (at: Expression, ...operands: Expression[]): Expression =>
  (code) => {
    at(code);
    for (const operand of operands) operand(code);
    code.atomic(opcode, KERNEL_MEMORY, 0, align);
  };

/** Address, offset. Neither need be aligned. */
export const load8 = access(MEMORY_OP.i32_load8_u);
export const load16 = access(MEMORY_OP.i32_load16_u);
export const load32 = access(MEMORY_OP.i32_load);
export const load64 = access(MEMORY_OP.i64_load);
/** Address, value, offset. */
export const store8 = accessWith(MEMORY_OP.i32_store8);
export const store16 = accessWith(MEMORY_OP.i32_store16);
export const store32 = accessWith(MEMORY_OP.i32_store);
export const store64 = accessWith(MEMORY_OP.i64_store);
/** Address, a multiple of 4; operands. */
export const atomicLoad32 = atomic(ATOMIC_OP.i32_atomic_load, 2);
export const atomicStore32 = atomic(ATOMIC_OP.i32_atomic_store, 2);
export const atomicAdd32 = atomic(ATOMIC_OP.i32_atomic_rmw_add, 2);
export const exchange32 = atomic(ATOMIC_OP.i32_atomic_rmw_xchg, 2);
/** Address, what is expected, what is put there. */
export const compareExchange32 = atomic(ATOMIC_OP.i32_atomic_rmw_cmpxchg, 2);
/** Likewise, a multiple of 8. */
export const atomicStore64 = atomic(ATOMIC_OP.i64_atomic_store, 3);
/** Address, how many are woken at most. */
export const notify = atomic(ATOMIC_OP.memory_atomic_notify, 2);

/** Copies bytes: to, from, how many. */
export const copyMemory =
  (to: Expression, from: Expression, size: Expression): Expression =>
  (code) => {
    for (const each of [to, from, size]) each(code);
    for (const byte of [MISC_PREFIX, MEMORY_COPY, KERNEL_MEMORY, KERNEL_MEMORY]) code.op(byte);
  };

/** The number of the CPU that runs the routine. */
export const cpuNumber: Expression = (code) => code.globalGet(CPU_NUMBER);

/** One statement after the other. */
export const seq =
  (...statements: Expression[]): Expression =>
  (code) => {
    for (const each of statements) each(code);
  };

export const when =
  (condition: Expression, then: Expression, otherwise?: Expression): Expression =>
  (code) => {
    condition(code);
    code.if();
    then(code);
    if (otherwise !== undefined) {
      code.else();
      otherwise(code);
    }
    code.end();
  };

/** One of two values of a type. */
export const either =
  (type: ValueType, condition: Expression, then: Expression, otherwise: Expression): Expression =>
  (code) => {
    condition(code);
    code.if(type);
    then(code);
    code.else();
    otherwise(code);
    code.end();
  };

/** Statements that a branch to the label goes behind. */
export const block =
  (body: (end: Label) => Expression): Expression =>
  (code) => {
    const end = code.block();
    body(end)(code);
    code.end();
  };

/** Statements that a branch to the label starts again. */
export const loop =
  (body: (again: Label) => Expression): Expression =>
  (code) => {
    const again = code.loop();
    body(again)(code);
    code.end();
  };

export const br =
  (label: Label): Expression =>
  (code) =>
    code.br(label);
export const brIf =
  (label: Label, condition: Expression): Expression =>
  (code) => {
    condition(code);
    code.brIf(label);
  };

export const call =
  (index: number, ...args: Expression[]): Expression =>
  (code) => {
    for (const arg of args) arg(code);
    code.call(index);
  };
