import { ERRNO } from '../errors.ts';
import { Violation } from '../interpreter/guard.ts';
import { invoke } from '../interpreter/interpreter.ts';
import { FRAME_BYTES, type Machine } from '../interpreter/machine.ts';
import { helperName } from '../isa/helper-names.ts';
import { BPF_F_RDONLY_PROG } from '../object/map-flags.ts';
import type { HelperArgument } from '../verifier/helpers/arguments.ts';
import type { HelperPrototype } from '../verifier/helpers.ts';
import type { Caller, Cpu } from './cpu.ts';
import { formOf, resultOf } from './helpers/call.ts';
import type { KfuncForm } from './helpers/kfunc-table.ts';
import { helper } from './helpers/table.ts';
import { KERNEL_HIGH, type KernelOffset } from './layout.ts';
import type { EmbeddedMap } from './maps/map.ts';

/**
 * How the interpreter calls helpers and kfuncs: registers become the arguments that their functions take, and what those return
 * becomes r0. Compiled programs' way is in call-outs.ts; both end in the same functions.
 */

const BPF_FUNC_tail_call = 12;
const BPF_FUNC_loop = 181;

/**
 * Calls helper `id` with r1 to r5. In the checked mode, memory that it reads is looked at before.
 * @returns whether it was a tail call: the function that called has ended with it.
 */
export function callHelper(cpu: Cpu, id: number, machine: Machine): boolean {
  if (id === BPF_FUNC_tail_call) return tailCall(cpu, machine);
  const found = helper(id);
  if (found === undefined) {
    const name = helperName(id);
    const problem =
      name === undefined ? `invalid func unknown#${id}` : `bpf_${name}#${id} is not in the embedded kernel`;
    throw new Violation(machine, problem);
  }
  const { args, returns, changesMap, callback }: HelperPrototype = found.row;
  const at = machine.pc;
  const values: unknown[] = [cpu];
  let map: EmbeddedMap | undefined;
  args.forEach((kind, index) => {
    const register = index + 1;
    if (kind === 'const_map_ptr') {
      map = mapIn(cpu, machine, register);
      if (machine.code.checked && changesMap && (map.flags & BPF_F_RDONLY_PROG) !== 0)
        throw new Violation(machine, 'write into map forbidden');
      values.push(map);
      return;
    }
    const size = sizeOf(kind, map, machine, register);
    if (machine.code.checked && size !== undefined) checkMemory(cpu, machine, register, size);
    values.push(argument(machine, kind, register));
  });
  const result =
    callback === undefined
      ? found.call(...values)
      : cpu.callingBack(callerOf(cpu, machine), () => found.call(...values));
  switch (resultOf(returns)) {
    case 'offset':
      machine.wide[0] = cpu.kernelPointer(result as number);
      break;
    case 'nothing':
      machine.wide[0] = 0n;
      break;
    default:
      machine.wide[0] = BigInt(result as number | bigint);
  }
  if (id === BPF_FUNC_loop && result === -ERRNO.E2BIG && machine.code.program.facts.loopOf(at) !== undefined)
    machine.regs[1] = 0;
  return false;
}

function callerOf({ interpreted }: Cpu, machine: Machine): Caller {
  return {
    program: interpreted?.id ?? 0,
    invoke: (number, args) => invoke(machine, number, args),
    unwind: () => machine.unwind(),
  };
}

function tailCall(cpu: Cpu, machine: Machine): boolean {
  const { regs } = machine;
  const ctx = { low: regs[2], high: regs[3] };
  const framePointer = machine.stackTop - (machine.depth - 1) * FRAME_BYTES;
  const budget = machine.limit - machine.executed;
  const r0 = cpu.tailCalls.run(ctx, mapIn(cpu, machine, 2), regs[6] >>> 0, framePointer, budget);
  machine.wide[0] = r0 ?? 0n;
  return r0 !== undefined;
}

/** Calls the kfunc with this BTF id, likewise. */
export function callKfunc(cpu: Cpu, id: number, machine: Machine): void {
  const kfunc = cpu.kernel.kfunc(id);
  if (kfunc === undefined)
    throw new Violation(machine, `calling kernel function with BTF id ${id} is not allowed`);
  const values = kfunc.args.map((form, index) => kfuncArgument(cpu, machine, form, index + 1));
  const result = kfunc.callsBack
    ? cpu.callingBack(callerOf(cpu, machine), () => kfunc.call(cpu, ...values))
    : kfunc.call(cpu, ...values);
  switch (kfunc.result) {
    case 'argument':
      machine.wide[0] = machine.wide[1];
      return;
    case 'offset':
      machine.wide[0] = cpu.kernelPointer(result as number);
      return;
    case 'long':
      machine.wide[0] = BigInt(result as number);
      return;
    default:
      // A C int is returned in the low half; the upper one is clear, also for a negative errno.
      machine.regs[0] = Number(result ?? 0);
      machine.regs[1] = 0;
  }
}

/** A helper's argument, but for maps. */
function argument(machine: Machine, kind: HelperArgument, register: number): unknown {
  const low = machine.regs[2 * register];
  switch (formOf(kind)) {
    case 'bigint':
      return machine.register(register);
    case 'number':
      return unsigned(machine, register);
    case 'int':
      return low;
    default:
      return low >>> 0;
  }
}

const unsigned = ({ regs }: Machine, register: number) =>
  (regs[2 * register + 1] >>> 0) * 2 ** 32 + (regs[2 * register] >>> 0);

function kfuncArgument(cpu: Cpu, machine: Machine, form: KfuncForm, register: number): unknown {
  const low = machine.regs[2 * register];
  switch (form) {
    case 'map':
      return mapIn(cpu, machine, register);
    case 'pointer':
      return { low: low >>> 0, high: machine.regs[2 * register + 1] };
    case 'number':
      return unsigned(machine, register);
    case 'int':
      return low;
    case 'record':
    case 'node':
    case 'handler':
    case 'program':
      return cpu.interpreted?.objectAt?.(machine.pc)?.[form] ?? 0;
    default:
      return low >>> 0;
  }
}

function mapIn(cpu: Cpu, machine: Machine, register: number): EmbeddedMap {
  const low = machine.regs[2 * register] >>> 0;
  const isPointer = machine.regs[2 * register + 1] === KERNEL_HIGH;
  const map = isPointer ? cpu.kernel.mapAt(low as KernelOffset) : undefined;
  if (map === undefined) throw new Violation(machine, `R${register} type=scalar expected=map_ptr`);
  return map;
}

/** Bytes behind an argument that the checked mode looks at. */
function sizeOf(
  kind: HelperArgument,
  map: EmbeddedMap | undefined,
  machine: Machine,
  register: number,
): number | undefined {
  if (kind === 'map_key') return map?.keySize;
  if (kind === 'map_value') return map?.valueSize;
  return kind === 'mem' ? machine.regs[2 * register + 2] >>> 0 : undefined;
}

/** An argument has to point to `size` bytes that the program may read. */
function checkMemory(cpu: Cpu, machine: Machine, register: number, size: number): void {
  const low = machine.regs[2 * register] >>> 0;
  const expected = 'expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_';
  if (machine.regs[2 * register + 1] !== KERNEL_HIGH)
    throw new Violation(machine, `R${register} type=scalar ${expected}`);
  const onStack = low >= machine.stackBottom && low + size <= machine.stackTop;
  const refusal = onStack ? undefined : cpu.refusal(low, size, false);
  if (refusal !== undefined) throw new Violation(machine, `R${register}: ${refusal}`);
}
