import { BpfError } from '../errors.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, opcode } from '../isa/opcodes.ts';
import { aluHandler, type Handler } from './alu.ts';
import { Violation } from './guard.ts';
import { jumpHandler } from './jump.ts';
import { type Machine, SCALAR } from './machine.ts';
import { memoryHandler } from './memory.ts';

/**
 * Runs verified programs one instruction at a time: the reference for what every instruction means. A table derived
 * from the opcodes gives each code byte its handler; a step is one call through that table, and between steps the whole
 * machine can be looked at. Until the verifier tracks values, the guard in memory.ts keeps programs inside their
 * memory.
 */

function ldImm64(machine: Machine, pc: number): number {
  const { regs, code } = machine;
  const dst = code.dst[pc];
  const src = 2 * code.src[pc];
  regs[2 * dst] = regs[src];
  regs[2 * dst + 1] = regs[src + 1];
  machine.tags[dst] = SCALAR;
  return pc + 2;
}

function call(machine: Machine, pc: number): number {
  const { code, environment } = machine;
  const kind = code.src[pc];
  if (kind === BPF_PSEUDO_CALL) return machine.enter(code.target[pc], pc + 1);
  machine.tags[0] = SCALAR;
  if (kind === BPF_PSEUDO_KFUNC_CALL) environment.callKfunc(code.imm[pc], machine);
  else environment.callHelper(code.imm[pc], machine);
  machine.forgetArguments();
  return pc + 1;
}

function exit(machine: Machine, pc: number): number {
  const next = machine.leave();
  return next < 0 ? pc : next;
}

function unsupported(machine: Machine): number {
  const row = opcode(machine.code.codes[machine.pc]);
  throw new Violation(machine, `the interpreter does not know ${row?.name ?? 'this instruction'}`);
}

function otherHandler(code: number): Handler {
  switch (opcode(code)?.kind) {
    case 'ld_imm64':
      return ldImm64;
    case 'call':
      return call;
    case 'exit':
      return exit;
    default:
      return unsupported;
  }
}

const HANDLERS: readonly Handler[] = Array.from(
  { length: 256 },
  (_, code) => aluHandler(code) ?? jumpHandler(code) ?? memoryHandler(code) ?? otherHandler(code),
);

/** Executes one instruction. The machine must not be finished. */
export function step(machine: Machine): void {
  const { pc } = machine;
  machine.pc = HANDLERS[machine.code.codes[pc]](machine, pc);
  machine.executed++;
}

/**
 * Runs a program to its end.
 * @param budget instructions after which it is stopped.
 * @returns r0. Throws ETIMEDOUT when the budget is used up, a {@link Violation} when the guard stops the program.
 */
export function run(machine: Machine, budget: number): bigint {
  const { codes } = machine.code;
  const last = machine.executed + budget;
  while (!machine.finished) {
    if (machine.executed++ >= last) {
      const { name } = machine.code.program;
      throw new BpfError(
        'ETIMEDOUT',
        `${name} was stopped after ${budget} instructions, at instruction ${machine.pc}`,
      );
    }
    const { pc } = machine;
    machine.pc = HANDLERS[codes[pc]](machine, pc);
  }
  return machine.register(0);
}
