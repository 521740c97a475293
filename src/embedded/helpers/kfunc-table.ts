import type { Btf } from '../../btf/index.ts';
import type { Cpu } from '../cpu.ts';
import { bpf_arena_alloc_pages, bpf_arena_free_pages, bpf_arena_reserve_pages } from './arena.ts';
import { CPUMASK_KFUNCS } from './cpumask.ts';
import { DEFERRED_KFUNCS } from './deferred.ts';
import { DYNPTR_KFUNCS } from './dynptr.ts';
import { EXCEPTION_KFUNCS } from './exceptions.ts';
import { ITERATOR_KFUNCS } from './iterators.ts';
import { LOCK_KFUNCS } from './locks.ts';
import { COUNT_KFUNCS } from './map-count.ts';
import { OBJECT_KFUNCS } from './objects.ts';
import { PACKET_DYNPTR_KFUNCS } from './packet-dynptrs.ts';
import { PACKET_SIZE_KFUNCS } from './packet-size.ts';
import { PRINT_KFUNCS } from './printk.ts';
import { PROBE_KFUNCS } from './probe.ts';
import { REGION_KFUNCS } from './regions.ts';
import { STRING_KFUNCS } from './strings.ts';
import { TASK_KFUNCS } from './task.ts';

/**
 * What each kfunc does that can be run, by its name. The verifier knows more of them: a program that calls one of the
 * others is verified, and cannot be loaded to run. What a function gets follows from the C prototype in the kernel's types.
 */

type KfuncFunction = (cpu: Cpu, ...args: never[]) => number | bigint | boolean | undefined;

const FUNCTIONS: Readonly<Record<string, KfuncFunction>> = {
  ...EXCEPTION_KFUNCS,
  ...PRINT_KFUNCS,
  ...TASK_KFUNCS,
  // The pointer that it gets: only the verifier sees it otherwise.
  bpf_rdonly_cast: () => undefined,
  ...OBJECT_KFUNCS,
  bpf_arena_alloc_pages,
  bpf_arena_free_pages,
  bpf_arena_reserve_pages,
  ...STRING_KFUNCS,
  ...DYNPTR_KFUNCS,
  ...PACKET_DYNPTR_KFUNCS,
  ...PACKET_SIZE_KFUNCS,
  ...CPUMASK_KFUNCS,
  ...COUNT_KFUNCS,
  ...ITERATOR_KFUNCS,
  ...LOCK_KFUNCS,
  ...PROBE_KFUNCS,
  ...REGION_KFUNCS,
  ...DEFERRED_KFUNCS,
};

/**
 * How a register becomes an argument: a map; a pointer that leads anywhere ({@link Pointer}); the offset in kernel memory of one that
 * was checked, 0 for NULL; a C integer of 32 bits, unsigned or signed; one of 64, rounded above 2^53; the number of a function.
 */
export type KfuncForm = 'map' | 'pointer' | 'offset' | 'u32' | 'int' | 'number' | 'func' | FromLoader;

/**
 * What no register holds: the record of the object's type, as an offset in kernel memory; where in the object its node is; the number of
 * the function that handles exceptions, −1 for none; the kernel's number for the program.
 */
export type FromLoader = 'record' | 'node' | 'handler' | 'program';

/** How the result becomes r0: an offset in kernel memory, 0 for NULL; a C integer; its first argument. */
export type KfuncResult = 'argument' | 'nothing' | 'offset' | 'int' | 'long';

/** A pointer that nobody has checked. */
export interface Pointer {
  /** The low half, unsigned. */
  low: number;
  /** The upper half, signed. */
  high: number;
}

export const isNull = ({ low, high }: Pointer) => low === 0 && high === 0;

/** A kfunc as the caller that reads its prototype at run time sees it. */
export interface Kfunc {
  readonly name: string;
  readonly args: readonly KfuncForm[];
  readonly result: KfuncResult;
  /** It may call a function of the program before it returns. */
  readonly callsBack: boolean;
  readonly call: (...args: unknown[]) => number | bigint | boolean | undefined;
}

/** The kfuncs that can be run. */
export const RUNNABLE_KFUNCS: readonly string[] = Object.keys(FUNCTIONS);

/** The kfuncs that can be run, by their ids in the kernel's types. */
export function kfuncsById(btf: Btf): Map<number, Kfunc> {
  return new Map(RUNNABLE_KFUNCS.map((name) => [btf.idOf(name, 'func') ?? 0, readKfunc(btf, name)]));
}

/** The parameter that Linux's verifier fills in with the record of a type; behind it, `off` is the place of the node. */
const RECORD = 'meta__ign';

function readKfunc(btf: Btf, name: string): Kfunc {
  const func = btf.type(btf.idOf(name, 'func') ?? 0);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto') throw new TypeError(`the kernel's types do not have ${name}`);
  const { params } = proto;
  const ofObject = params.some((param) => param.name === RECORD);
  const args = params.map((param) => (ofObject && param.name === 'off' ? 'node' : formOf(btf, param)));
  const throws = name === 'bpf_throw';
  if (throws) args.push('handler');
  return {
    name,
    args,
    result: resultOf(btf, name, proto.type),
    callsBack: args.includes('func') || throws,
    call: FUNCTIONS[name] as Kfunc['call'],
  };
}

function formOf(btf: Btf, { name, type: id }: { name: string; type: number }): KfuncForm {
  if (name.endsWith('__prog')) return 'program';
  // All 64 bits of it count.
  if (name === 'cookie') return 'pointer';
  if (name === RECORD) return 'record';
  const type = btf.type(btf.resolve(id));
  if (type.kind === 'ptr') {
    const target = btf.type(btf.resolve(type.type));
    if (target.kind === 'func_proto') return 'func';
    if (name.endsWith('__map') || (target.kind === 'struct' && target.name === 'bpf_map')) return 'map';
    return name.endsWith('__ign') ? 'pointer' : 'offset';
  }
  if (type.kind !== 'int') return 'u32';
  return type.size === 8 ? 'number' : type.signed ? 'int' : 'u32';
}

function resultOf(btf: Btf, name: string, id: number): KfuncResult {
  if (name === 'bpf_rdonly_cast') return 'argument';
  if (id === 0) return 'nothing';
  const type = btf.type(btf.resolve(id));
  if (type.kind === 'ptr') return name.startsWith('bpf_arena_') ? 'long' : 'offset';
  return type.kind === 'int' && type.size === 8 ? 'long' : 'int';
}
