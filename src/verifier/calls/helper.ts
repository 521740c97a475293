import { helperName } from '../../isa/helper-names.ts';
import type { Instruction } from '../../isa/instruction.ts';
import { MAP_TYPES } from '../../object/map-types.ts';
import { PROGRAM_TYPES } from '../../object/program-types.ts';
import { type Env, Rejection } from '../env.ts';
import { markPrecise } from '../explore/precision.ts';
import { forgetArguments } from '../explore/registers.ts';
import { ARGUMENTS } from '../helpers/arguments.ts';
import type { HelperPrototype } from '../helpers/prototype.ts';
import { type HelperUser, helperFor, sleeps } from '../helpers.ts';
import { isGplCompatible } from '../license.ts';
import { takesMap } from '../map-rules.ts';
import { releaseDynptr } from '../memory/dynptr.ts';
import { forgetPacketPointers } from '../memory/packet-pointers.ts';
import { fillStack } from '../memory/stack.ts';
import { inRcuSection, sleeplessRegion } from '../regions.ts';
import { dropReference, holdsReference, releaseReference } from '../state/references.ts';
import { MEM_ALLOC, MEM_PERCPU, MEM_RCU, NOT_INIT, UNKNOWN_SCALAR } from '../state/reg.ts';
import { isNull } from '../values.ts';
import { checkArgument } from './argument.ts';
import { enterCallback } from './callbacks.ts';
import { resultOf } from './helper-result.ts';
import { CallMeta } from './meta.ts';
import { checkSpecialHelper } from './special-helpers.ts';
import { returnToo } from './subprogram.ts';

/** Calls of helpers by their prototypes (Linux: check_helper_call). */

/** How many of r1 to r5 a helper call reads. */
export function helperArguments(program: HelperUser, id: number): number {
  const args = helperFor(program, id)?.args;
  if (args === undefined) return 5;
  const unchecked = args.findIndex((each) => ARGUMENTS[each].base === 'unchecked');
  return unchecked < 0 ? args.length : unchecked;
}

/** Numbers beyond are no helper's. */
const MAX_HELPER = 211;
/** What libbpf puts where a weak kfunc is missing, and where a CO-RE relocation finds nothing. */
const MISSING_KFUNC = 2_002_000_000;
const BAD_RELOCATION = 0xbad2310;

const BPF_F_RDONLY_PROG = 1 << 7;

/** @returns the slot to go on at. */
export function checkHelperCall(env: Env, insn: Instruction): number {
  const row = prototypeOf(env, insn.imm);
  checkSleep(env, row);
  const meta = new CallMeta();
  for (let index = 0; index < row.args.length; index++) checkArgument(env, row, index, meta);
  checkMapWrite(env, row, meta);
  env.facts.noteCallMap(env.at, meta.map);
  if (row.name === 'tail_call') noteTailCall(env, meta);
  if (meta.size > 0) fillStack(env, meta.register, meta.size);
  if (meta.releaseRegister > 0) release(env, row, meta);
  const tailCall = row.name === 'tail_call';
  const changesPacket = checkSpecialHelper(env, row, meta) || (row.changesPacket === true && !tailCall);
  if (row.callback !== undefined && meta.subprog >= 0) enterCallback(env, insn, row.callback, meta);
  forgetArguments(env);
  env.setReg(0, NOT_INIT);
  env.setReg(0, resultOf(env, row, meta));
  checkMap(env, row, meta);
  if (row.name === 'get_func_ip' && env.program.type !== 'kprobe') {
    const number = PROGRAM_TYPES[env.program.type ?? 'syscall'];
    const where =
      env.program.type === 'tracing'
        ? 'supported only for fentry/fexit/fmod_ret programs'
        : `not supported for program type ${number}`;
    throw env.reject('ENOTSUPP', `func ${titleOf(row)} ${where}`);
  }
  if (changesPacket) forgetPacketPointers(env);
  // Another program ran, and what it did to the packet the caller sees.
  return tailCall ? returnToo(env, UNKNOWN_SCALAR, true) : env.at + 1;
}

/** A helper as Linux's messages name it: `bpf_loop#181`. */
function titleOf({ id, name }: HelperPrototype): string {
  return `bpf_${name}#${id}`;
}

/** The prototype of a helper that this program may call here. */
function prototypeOf(env: Env, id: number): HelperPrototype {
  const name = helperName(id);
  if (id >= MISSING_KFUNC) throw env.unsupported('it calls a kfunc that is not in the embedded kernel');
  if (id === BAD_RELOCATION)
    throw env.unsupported('it relies on a kernel type or field that the embedded kernel does not have');
  if (id < 0 || id > MAX_HELPER) throw env.reject('EINVAL', `invalid func unknown#${id}`);
  const row = helperFor(env.program, id);
  if (row === undefined) {
    const title = `bpf_${name ?? 'unspec'}#${id}`;
    throw env.reject('EINVAL', `program of this type cannot use helper ${title}`);
  }
  if (row.gplOnly && !isGplCompatible(env.program.license)) {
    const rule = 'cannot call GPL-restricted function from non-GPL compatible program';
    throw env.reject('EINVAL', rule);
  }
  if (row.forbidden) throw env.reject('EINVAL', 'helper call is not allowed in probe');
  return row;
}

/** Whether a helper that may sleep may do so here. */
function checkSleep(env: Env, row: HelperPrototype): void {
  if (!sleeps(env, row)) return;
  if (!env.sleepable) throw env.reject('EINVAL', 'helper call might sleep in a non-sleepable prog');
  const region = sleeplessRegion(env);
  if (region !== undefined) throw env.reject('EINVAL', `sleepable helper ${titleOf(row)} in ${region}`);
}

/** Linux: record_func_map. */
function checkMapWrite(env: Env, { changesMap }: HelperPrototype, { map }: CallMeta): void {
  if (changesMap && map !== undefined && (map.flags & BPF_F_RDONLY_PROG) !== 0)
    throw env.reject('EACCES', 'write into map forbidden');
}

/** A tail call whose index is known is made a jump: the index must be the same on every path (Linux: record_func_key). */
function noteTailCall(env: Env, { map }: CallMeta): void {
  if (map !== undefined && map.type !== MAP_TYPES.prog_array) {
    const problem = 'expected prog array map for tail call';
    // Linux forgets to end the line.
    env.log.write(problem);
    throw new Rejection('EINVAL', problem, env.at);
  }
  const { kind, scalar } = env.reg(3);
  if (kind === 'scalar' && scalar.isConst() && map !== undefined && scalar.uminNumber() < map.maxEntries)
    markPrecise(env, 3);
}

/** The object that an argument gives back. */
function release(env: Env, row: HelperPrototype, meta: CallMeta): void {
  const number = meta.releaseRegister;
  if (ARGUMENTS[row.args[number - 1]].base === 'dynptr') releaseDynptr(env, number);
  else if (meta.refId !== 0 && holdsReference(env, meta.refId)) {
    if (meta.kptr === undefined) releaseReference(env, meta.refId);
    else handOver(env, meta.refId);
  } else if (meta.refId !== 0 || !isNull(env.reg(number)))
    throw env.reject('EINVAL', `func ${titleOf(row)} reference has not been acquired before`);
}

/** An object goes into a map: per-CPU memory may be read on while RCU keeps it. */
function handOver(env: Env, refId: number): void {
  const inRcu = inRcuSection(env);
  dropReference(env, refId);
  env.eachReg((reg) => {
    if (reg.refId !== refId) return reg;
    const stays = inRcu && reg.has(MEM_ALLOC) && reg.has(MEM_PERCPU);
    return stays ? reg.with({ refId: 0, flags: (reg.flags & ~MEM_ALLOC) | MEM_RCU }) : UNKNOWN_SCALAR;
  });
}

function checkMap(env: Env, row: HelperPrototype, { map }: CallMeta): void {
  if (map === undefined) return;
  const type = env.program.type ?? 'syscall';
  if (takesMap(type, map.type, row.name, (line) => env.say(line))) return;
  throw env.reject('EINVAL', `cannot pass map_type ${map.type} into func ${titleOf(row)}`);
}
