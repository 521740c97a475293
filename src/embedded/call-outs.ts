import type { ArgumentForm, CallOut, ImportedCall, ResultForm } from '../jit/index.ts';
import type { HelperArgument, HelperPrototype } from '../verifier/helpers.ts';
import { BPF_MAP_LAYOUT } from './btf.ts';
import type { Caller, Cpu } from './cpu.ts';
import { type Form, formOf, type ResultKind, resultOf } from './helpers/call.ts';
import type { Kfunc, KfuncForm, KfuncResult, Pointer } from './helpers/kfunc-table.ts';
import { MAX_LOOPS } from './helpers/loop.ts';
import { doesNothing } from './helpers/regions.ts';
import { type Helper, helper } from './helpers/table.ts';
import type { KernelOffset } from './layout.ts';
import { ArrayMap } from './maps/array.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { PercpuArrayMap } from './maps/percpu-array.ts';
import { MAX_TAIL_CALLS, PROG_SLOT_BYTES } from './maps/prog-array.ts';
import { ITERATOR_ROUTINES } from './routines/iterators.ts';
import { routineCall, routineFor } from './routines/table.ts';

/**
 * How compiled programs call helpers and kfuncs: which registers they hand over in which form, and the function that
 * WebAssembly imports for it. The interpreter's way is in interpreted-calls.ts; both end in the same functions.
 */

/** Calls that the JIT can do without leaving WebAssembly. @param map what the helper is given, where that is known. */
function intrinsic(row: Helper['row'], map: EmbeddedMap | undefined, cpu: Cpu): CallOut | undefined {
  switch (row.name) {
    case 'map_lookup_elem':
      if (!(map instanceof ArrayMap || map instanceof PercpuArrayMap)) return undefined;
      return {
        kind: 'array-element',
        first: map.region.start,
        stride: map.region.stride,
        entries: map.maxEntries,
        cpuStride: map instanceof PercpuArrayMap ? map.cpuStride : 0,
      };
    case 'get_smp_processor_id':
      return { kind: 'cpu-number' };
    case 'get_current_pid_tgid': {
      const pid = BigInt(cpu.kernel.processId);
      return { kind: 'constant', value: (pid << 32n) | pid };
    }
    default:
      return undefined;
  }
}

/** How the call of helper `id` is made. */
export function helperCall(id: number, map: EmbeddedMap | undefined, cpu: Cpu, intrinsics: boolean): CallOut {
  const { row } = helper(id) as Helper;
  if (row.name === 'tail_call') {
    const { max_entries: entries, size: slots } = BPF_MAP_LAYOUT;
    return { kind: 'tail-call', entries, slots, stride: PROG_SLOT_BYTES, most: MAX_TAIL_CALLS };
  }
  if (row.name === 'loop') return { kind: 'loop', most: MAX_LOOPS };
  const done = intrinsics ? intrinsic(row, map, cpu) : undefined;
  if (done !== undefined) return done;
  const registers: readonly HelperArgument[] = row.args;
  const args = registers.map((kind, index) => ({ register: index + 1, form: WEB_FORMS[formOf(kind)] }));
  const result = row.name === 'ktime_get_ns' ? 'double' : WEB_RESULTS[resultOf(row.returns)];
  const name = `bpf_${row.name}`;
  const imported = { kind: 'import', name, args: [...args, ...frameFor(row)], result } as const;
  return (intrinsics ? routineCall(row.name, map, imported, cpu.kernel.cpus) : undefined) ?? imported;
}

const WEB_FORMS = {
  map: 'low',
  offset: 'low',
  func: 'low',
  u32: 'low',
  int: 'low',
  number: 'double',
  bigint: 'wide',
} as const satisfies Record<Form | 'func', ArgumentForm>;

const WEB_RESULTS = {
  nothing: 'none',
  number: 'double',
  bigint: 'wide',
  offset: 'pointer',
} as const satisfies Record<ResultKind, ResultForm>;

/** Who calls functions of the program needs a place for their frames. */
const FRAME = [{ register: 10, form: 'frame' }] as const;

const frameFor = ({ callback }: HelperPrototype) => (callback === undefined ? [] : FRAME);

const KFUNC_RESULTS = {
  nothing: 'none',
  offset: 'pointer',
  int: 'low',
  long: 'double',
} as const satisfies Record<Exclude<KfuncResult, 'argument'>, ResultForm>;

/** What a kfunc is told that stands in no register. */
export interface ObjectArguments {
  /** The record of its type, as an offset in kernel memory. */
  readonly record: number;
  /** Bytes from its start to its node. */
  readonly node: number;
  /** The number of the program's exception callback; −1: none. */
  readonly handler: number;
  /** The kernel's number for the program. */
  readonly program: number;
}

/** How the call of a kfunc is made. @param object what stands in no register. */
export function kfuncCall(
  { name, args, result, callsBack }: Kfunc,
  object: ObjectArguments,
  intrinsics: boolean,
): CallOut {
  if (result === 'argument') return { kind: 'copy', register: 1 };
  if (doesNothing(name)) return { kind: 'constant', value: 0n };
  const routine = intrinsics ? ITERATOR_ROUTINES[name] : undefined;
  if (routine !== undefined) return routineFor(name, routine);
  const registers = args.flatMap((form, index): ImportedCall['args'] => {
    const register = index + 1;
    if (form === 'record' || form === 'node' || form === 'handler' || form === 'program')
      return [{ register: 0, form: 'constant', value: object[form] }];
    if (form !== 'pointer') return [{ register, form: WEB_FORMS[form] }];
    return [
      { register, form: 'low' },
      { register, form: 'high' },
    ];
  });
  const all = callsBack ? [...registers, ...FRAME] : registers;
  return { kind: 'import', name, args: all, result: KFUNC_RESULTS[result] };
}

type Given = number | bigint;
type Imported = (...args: Given[]) => Given | undefined;

/** The program that calls, where a helper may call its functions, with frames from an offset of kernel memory down. */
export type Callbacks = (framePointer: number) => Caller;

/** The function behind an imported helper: it makes of what WebAssembly hands over what the helper takes. */
export function helperImport(id: number, cpu: Cpu, callbacks: Callbacks): Imported {
  const { row, call } = helper(id) as Helper;
  const args: readonly HelperArgument[] = row.args;
  const [first, second, third, fourth, fifth] = args.map((kind) => converter(formOf(kind), cpu));
  const kind = resultOf(row.returns);
  const result: (value: Given | undefined) => Given | undefined =
    kind === 'bigint' && row.name !== 'ktime_get_ns' ? (value) => BigInt(value as Given) : (value) => value;
  if (frameFor(row).length > 0) {
    return (...given) => {
      const frame = given[args.length] as number;
      const values = args.map((each, index) => converter(formOf(each), cpu)(given[index]));
      return result(cpu.callingBack(callbacks(frame), () => call(cpu, ...values)));
    };
  }
  switch (args.length) {
    case 0:
      return () => result(call(cpu));
    case 1:
      return (a) => result(call(cpu, first(a)));
    case 2:
      return (a, b) => result(call(cpu, first(a), second(b)));
    case 3:
      return (a, b, c) => result(call(cpu, first(a), second(b), third(c)));
    case 4:
      return (a, b, c, d) => result(call(cpu, first(a), second(b), third(c), fourth(d)));
    default:
      return (a, b, c, d, e) => result(call(cpu, first(a), second(b), third(c), fourth(d), fifth(e)));
  }
}

/** Makes of an i32, f64 or i64 what a form says. */
function converter(form: Form, { kernel }: Cpu): (value: Given) => unknown {
  switch (form) {
    case 'map':
      return (value) => kernel.mapAt(((value as number) >>> 0) as KernelOffset);
    case 'bigint':
      return (value) => BigInt.asUintN(64, value as bigint);
    case 'int':
    case 'number':
      return (value) => value;
    default:
      return (value) => (value as number) >>> 0;
  }
}

/** Forms that a helper's argument may have, too. */
const PLAIN: ReadonlySet<KfuncForm> = new Set(['map', 'offset', 'u32', 'int', 'number']);

/** The function behind an imported kfunc. */
export function kfuncImport(kfunc: Kfunc, cpu: Cpu, callbacks: Callbacks): Imported {
  const { kernel } = cpu;
  const { args, call, callsBack } = kfunc;
  if (!callsBack && args.every((form) => PLAIN.has(form))) return plainKfuncImport(kfunc, cpu);
  return (...given) => {
    let next = 0;
    const values = args.map((form) => {
      const value = given[next++] as number;
      switch (form) {
        case 'map':
          return kernel.mapAt((value >>> 0) as KernelOffset);
        case 'pointer':
          return { low: value >>> 0, high: given[next++] as number } satisfies Pointer;
        case 'int':
        case 'number':
        // −1 is none.
        case 'handler':
          return value;
        default:
          return value >>> 0;
      }
    });
    const result = callsBack
      ? cpu.callingBack(callbacks(given[next] as number), () => call(cpu, ...values))
      : call(cpu, ...values);
    return Number(result ?? 0);
  };
}

/** Likewise, where each argument is in one register: most kfuncs, among them those that loops are made of. */
function plainKfuncImport({ args, call }: Kfunc, cpu: Cpu): Imported {
  const [first, second, third, fourth, fifth] = args.map((form) => converter(form as Form, cpu));
  switch (args.length) {
    case 0:
      return () => Number(call(cpu) ?? 0);
    case 1:
      return (a) => Number(call(cpu, first(a)) ?? 0);
    case 2:
      return (a, b) => Number(call(cpu, first(a), second(b)) ?? 0);
    case 3:
      return (a, b, c) => Number(call(cpu, first(a), second(b), third(c)) ?? 0);
    case 4:
      return (a, b, c, d) => Number(call(cpu, first(a), second(b), third(c), fourth(d)) ?? 0);
    default:
      return (a, b, c, d, e) => Number(call(cpu, first(a), second(b), third(c), fourth(d), fifth(e)) ?? 0);
  }
}
