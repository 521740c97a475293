import { BpfError } from '../errors.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, opcode, type PacketOpcode } from '../isa/opcodes.ts';
import { aluHandler, type Handler } from './alu.ts';
import { guarded, Violation } from './guard.ts';
import { jumpHandler } from './jump.ts';
import type { Code, Machine } from './machine.ts';
import { contextFieldHandler, memoryHandler, probedHandler } from './memory.ts';

/**
 * Runs verified programs one instruction at a time: the reference for what every instruction means. A table derived
 * from the opcodes gives each code byte its handler, one for each memory where it can reach both; a step is one call of
 * the slot's handler, and between steps the whole machine can be looked at. That programs stay inside their memory is
 * proven; the checked mode (guard.ts) looks whether it is true.
 */

function ldImm64(machine: Machine, pc: number): number {
  const { regs, code } = machine;
  const dst = code.dst[pc];
  const src = 2 * code.src[pc];
  regs[2 * dst] = regs[src];
  regs[2 * dst + 1] = regs[src + 1];
  return pc + 2;
}

function call(machine: Machine, pc: number): number {
  const { code, environment } = machine;
  const kind = code.src[pc];
  if (kind === BPF_PSEUDO_CALL) return machine.enter(code.target[pc], pc + 1);
  if (kind === BPF_PSEUDO_KFUNC_CALL) environment.callKfunc(code.imm[pc], machine);
  else if (environment.callHelper(code.imm[pc], machine)) return exit(machine, pc);
  machine.forgetArguments();
  return pc + 1;
}

function exit(machine: Machine, pc: number): number {
  const next = machine.leave();
  return next < 0 ? pc : next;
}

/** A load by BPF_ABS or BPF_IND; where the packet is too short the function ends with 0. */
function packetLoad({ kind, size }: PacketOpcode): Handler {
  return (machine, pc) => {
    const { regs, code } = machine;
    const index = kind === 'ld_ind' ? regs[2 * code.src[pc]] : 0;
    const offset = (index + code.imm[pc]) | 0;
    const value = machine.environment.loadPacket(regs[2 * 6] >>> 0, offset, size);
    regs[0] = value < 0 ? 0 : value | 0;
    regs[1] = 0;
    if (value < 0) return exit(machine, pc);
    machine.forgetArguments();
    return pc + 1;
  };
}

function unsupported(machine: Machine): number {
  const row = opcode(machine.code.codes[machine.pc]);
  throw new Violation(machine, `the interpreter does not know ${row?.name ?? 'this instruction'}`);
}

/** No path leads here, the verifier says (Linux makes such instructions jump to themselves). */
function unreached(machine: Machine): number {
  throw new Violation(machine, 'the verifier found no way to this instruction');
}

function otherHandler(code: number): Handler {
  const row = opcode(code);
  switch (row?.kind) {
    case 'ld_abs':
    case 'ld_ind':
      return packetLoad(row);
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

const tableOf = (arena: boolean): readonly Handler[] =>
  Array.from(
    { length: 256 },
    (_, code) =>
      aluHandler(code, arena) ?? jumpHandler(code) ?? memoryHandler(code, arena) ?? otherHandler(code),
  );

const KERNEL_HANDLERS = tableOf(false);
const ARENA_HANDLERS = tableOf(true);

/** What executes each slot of a program, by what the verifier learnt of it. */
function handlersOf(code: Code): readonly Handler[] {
  if (code.handlers !== undefined) return code.handlers;
  const { facts } = code.program;
  const handlers = Array.from(code.codes, (byte, at) => {
    if (facts.seen[at] === 0) return unreached;
    if (facts.reachesArena(at) || facts.isArenaArithmetic(at)) return ARENA_HANDLERS[byte];
    const probed = facts.probes.has(at) ? probedHandler(byte, code.imm[at]) : undefined;
    if (probed !== undefined) return probed;
    const field = facts.insns[at]?.contextField;
    const plain = KERNEL_HANDLERS[byte];
    const handler = field === undefined ? plain : contextFieldHandler(field, plain);
    return code.checked ? guarded(byte, code.imm[at], handler) : handler;
  });
  code.handlers = handlers;
  return handlers;
}

/** Executes one instruction. The machine must not be finished. */
export function step(machine: Machine): void {
  const { pc } = machine;
  machine.pc = handlersOf(machine.code)[pc](machine, pc);
  machine.executed++;
}

/** Runs a function of the program to its end, from within a helper. @returns r0, unsigned. */
export function invoke(machine: Machine, subprogram: number, args: readonly bigint[]): bigint {
  const { pc, depth } = machine;
  const { start } = machine.code.program.subprograms[subprogram];
  args.forEach((value, index) => {
    machine.wide[1 + index] = value;
  });
  machine.pc = machine.enter(start, pc);
  while (machine.depth > depth) stepOf(machine);
  machine.pc = pc;
  return machine.register(0);
}

/** One step within the budget. */
function stepOf(machine: Machine): void {
  if (machine.executed++ >= machine.limit) throw timedOut(machine);
  const { pc } = machine;
  machine.pc = handlersOf(machine.code)[pc](machine, pc);
}

function timedOut(machine: Machine): BpfError {
  const where = `${machine.code.program.name} was stopped after ${machine.limit} instructions`;
  return new BpfError('ETIMEDOUT', `${where}, at instruction ${machine.pc}`);
}

/**
 * Runs a program to its end.
 * @param budget instructions after which it is stopped.
 * @returns r0. Throws ETIMEDOUT when the budget is used up, a {@link Violation} when the verifier was wrong.
 */
export function run(machine: Machine, budget: number): bigint {
  const handlers = handlersOf(machine.code);
  const last = machine.executed + budget;
  machine.limit = last;
  while (!machine.finished) {
    if (machine.executed++ >= last) throw timedOut(machine);
    const { pc } = machine;
    machine.pc = handlers[pc](machine, pc);
  }
  return machine.register(0);
}
