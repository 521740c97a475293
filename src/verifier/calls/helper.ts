import { helperName } from '../../isa/helper-names.ts';
import type { Instruction } from '../../isa/instruction.ts';
import type { Env } from '../env.ts';
import { forgetArguments, readReg } from '../explore/registers.ts';
import { HELPERS, type HelperPrototype } from '../helpers.ts';
import type { MapInfo } from '../input.ts';
import { isArrayType } from '../map-rules.ts';
import { fromSignedRange } from '../scalar/scalar.ts';
import { MAYBE_NULL, NOT_INIT, pointer, type Reg, UNKNOWN_SCALAR } from '../state/reg.ts';
import { constantKey } from './constant-key.ts';
import { checkMemoryArgument, checkSizeArgument, wrongType } from './memory-argument.ts';

/** Calls of helpers by their prototypes (Linux: check_helper_call). */

const BY_ID = new Map<number, HelperPrototype>(HELPERS.map((row) => [row.id, row]));

/** How many of r1 to r5 a helper call reads. */
export function helperArguments(id: number): number {
  return BY_ID.get(id)?.args.length ?? 5;
}

const BPF_F_RDONLY_PROG = 1 << 7;

/** What libbpf puts where a weak kfunc is missing. */
const MISSING_KFUNC = 2_002_000_000;

/** CPUs that there may be (CONFIG_NR_CPUS of the embedded kernel). */
const MAX_CPUS = 64;

/** @returns the slot to go on at. */
export function checkHelperCall(env: Env, insn: Instruction): number {
  const row = BY_ID.get(insn.imm);
  if (row === undefined) {
    if (insn.imm >= MISSING_KFUNC)
      throw env.unsupported('it calls a kfunc that is not in the embedded kernel');
    const name = helperName(insn.imm);
    if (name === undefined) throw env.reject('EINVAL', `invalid func unknown#${insn.imm}`);
    throw env.unsupported(`helper bpf_${name} is not in the embedded kernel`);
  }
  const map = checkArguments(env, row);
  const key = row.name === 'map_lookup_elem' && map !== undefined ? constantKey(env, map) : undefined;
  forgetArguments(env);
  env.setReg(0, NOT_INIT);
  env.setReg(0, resultOf(env, row, map, key));
  return env.at + 1;
}

/** @returns the map argument, when there is one. */
function checkArguments(env: Env, row: HelperPrototype): MapInfo | undefined {
  let map: MapInfo | undefined;
  row.args.forEach((kind, index) => {
    const number = index + 1;
    // What a format string may name, or not.
    if (kind === 'value') return;
    readReg(env, number);
    switch (kind) {
      case 'const_map_ptr': {
        const reg = env.reg(number);
        if (reg.kind !== 'map_ptr') throw wrongType(env, number, 'map_ptr');
        map = reg.map;
        if (map !== undefined) checkMap(env, row, map);
        return;
      }
      case 'map_key':
        checkMemoryArgument(env, number, map?.keySize ?? 0, false);
        return;
      case 'map_value':
        checkMemoryArgument(env, number, map?.valueSize ?? 0, false);
        return;
      case 'size':
        checkSizeArgument(env, number);
        return;
      case 'mem': {
        const { kind: type, maybeNull } = env.reg(number);
        if (type === 'scalar' || type === 'arena' || maybeNull) checkMemoryArgument(env, number, 1, false);
        return;
      }
      default:
    }
  });
  return map;
}

/** Whether the helper may be called on this map (Linux: record_func_map). */
function checkMap(env: Env, { changesMap }: HelperPrototype, map: MapInfo): void {
  if (changesMap && (map.flags & BPF_F_RDONLY_PROG) !== 0)
    throw env.reject('EACCES', 'write into map forbidden');
}

function resultOf(env: Env, row: HelperPrototype, map: MapInfo | undefined, key: number | undefined): Reg {
  switch (row.returns) {
    case 'map_value_or_null': {
      if (map === undefined) return UNKNOWN_SCALAR;
      const there = key !== undefined && isArrayType(map.type) && key < map.maxEntries;
      const id = env.newId();
      const of = { kind: 'map', map, uid: 0 } as const;
      if (there && map.inner === undefined) return pointer('map_value', { of });
      return pointer('map_value', { flags: MAYBE_NULL, id, of });
    }
    default:
      if (row.name === 'get_smp_processor_id')
        return UNKNOWN_SCALAR.withScalar(fromSignedRange(0, MAX_CPUS - 1));
      return UNKNOWN_SCALAR;
  }
}
