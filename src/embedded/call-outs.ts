import type { CallOut, ImportedCall } from '../jit/index.ts';
import type { HelperArgument } from '../verifier/helpers.ts';
import type { Cpu } from './cpu.ts';
import type { Kfunc } from './helpers/kfunc-table.ts';
import { MAX_LOOPS } from './helpers/loop.ts';
import { type Helper, helper } from './helpers/table.ts';
import type { KernelOffset } from './layout.ts';
import { ArrayMap } from './maps/array.ts';
import type { EmbeddedMap } from './maps/map.ts';

/**
 * How compiled programs call helpers and kfuncs: which registers they hand over in which form, and the function that
 * WebAssembly imports for it. The interpreter's way is in cpu.ts; both end in the same functions.
 */

/** Calls that the JIT can do without leaving WebAssembly. @param map what the helper is given, where that is known. */
function intrinsic(row: Helper['row'], map: EmbeddedMap | undefined, cpu: Cpu): CallOut | undefined {
  switch (row.name) {
    case 'map_lookup_elem':
      if (!(map instanceof ArrayMap)) return undefined;
      return {
        kind: 'array-element',
        first: map.region.start,
        stride: map.region.stride,
        entries: map.maxEntries,
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
  if (row.name === 'loop') return { kind: 'loop', most: MAX_LOOPS };
  const done = intrinsics ? intrinsic(row, map, cpu) : undefined;
  if (done !== undefined) return done;
  const args = row.args.map((kind: HelperArgument, index) => ({ register: index + 1, form: formOf(kind) }));
  return { kind: 'import', name: `bpf_${row.name}`, args, result: resultOf(row) };
}

function formOf(kind: HelperArgument): ImportedCall['args'][number]['form'] {
  if (kind === 'flags') return 'double';
  return kind === 'anything' || kind === 'scalar' || kind === 'unchecked' ? 'wide' : 'low';
}

function resultOf(row: Helper['row']): ImportedCall['result'] {
  if (row.returns === 'map_value_or_null') return 'pointer';
  // Nanoseconds since the process started are exact in a double, and a BigInt would cost more than the clock.
  return row.returns === 'u64' && row.name !== 'ktime_get_ns' ? 'wide' : 'double';
}

/** How the call of a kfunc is made. */
export function kfuncCall({ name, args, returnsArena }: Kfunc): CallOut {
  const registers = args.flatMap((form, index): ImportedCall['args'] => {
    const register = index + 1;
    if (form === 'u64') return [{ register, form: 'double' }];
    if (form === 'pointer')
      return [
        { register, form: 'low' },
        { register, form: 'null' },
      ];
    return [{ register, form: 'low' }];
  });
  return { kind: 'import', name, args: registers, result: returnsArena ? 'arena' : 'low' };
}

type Imported = (...args: (number | bigint)[]) => number | bigint;

/** The function behind an imported helper: it makes of what WebAssembly hands over what the helper takes. */
export function helperImport(id: number, cpu: Cpu): Imported {
  const { row, call } = helper(id) as Helper;
  const { kernel } = cpu;
  const convert = row.args.map((kind: HelperArgument): ((value: number | bigint) => unknown) => {
    if (kind === 'const_map_ptr') return (value) => kernel.mapAt(((value as number) >>> 0) as KernelOffset);
    return formOf(kind) === 'low' ? (value) => (value as number) >>> 0 : (value) => asUnsigned(value);
  });
  const [first, second, third, fourth, fifth] = convert;
  const result =
    resultOf(row) === 'double'
      ? (value: number | bigint) => Number(value)
      : (value: number | bigint) => value;
  switch (row.args.length) {
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

const asUnsigned = (value: number | bigint) =>
  typeof value === 'bigint' ? BigInt.asUintN(64, value) : value;

/** The function behind an imported kfunc. */
export function kfuncImport(kfunc: Kfunc, cpu: Cpu): Imported {
  const { kernel } = cpu;
  const { args, call } = kfunc;
  return (...given) => {
    let next = 0;
    const values = args.map((form) => {
      const value = given[next++] as number;
      switch (form) {
        case 'map':
          return kernel.mapAt((value >>> 0) as KernelOffset);
        case 'pointer':
          return { low: value >>> 0, isNull: given[next++] !== 0 };
        case 'u32':
          return value >>> 0;
        default:
          return value;
      }
    });
    return call(...values) ?? 0;
  };
}
