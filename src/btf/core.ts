/**
 * CO-RE: what the number in an instruction becomes on a kernel whose types differ from those the program was compiled
 * with. A relocation names a local type and a path in it; the target's types of the same name are tried in turn, and all
 * that fit must agree. The rules are libbpf's (bpf_core_calc_relo_insn); patching the instruction is the caller's work.
 */

import { FormatError } from '../errors.ts';
import type { Btf } from './btf.ts';
import { CoreMatcher, kindsCompatible } from './core-match.ts';
import type { CoreSpec } from './core-spec.ts';
import { failure, isEnumRelo, isTypeRelo, matchSpec, parseSpec } from './core-spec.ts';
import type { CoreRelo, CoreReloKind } from './ext.ts';
import type { BtfMember, BtfType } from './types.ts';

/** What a relocation comes to. */
export interface CoreResult {
  /** What the instruction should hold now, by the local types. As 64 bits; negative enumerators are sign-extended. */
  readonly origValue: bigint;
  /** What it must hold on the target. */
  readonly newValue: bigint;
  /** Nothing on the target fits: the instruction must not be reached, replace it by a call of an invalid helper. */
  readonly poison: boolean;
  /** Check that the instruction holds `origValue` before patching it; compilers disagree on the others. */
  readonly validate: boolean;
  /** Of a load or store through `byte_off`: the field's size in bytes here and there; 0 when it does not matter. */
  readonly origSize: number;
  readonly newSize: number;
  /** The sizes differ and widening would not keep the value: a load or store (not an addition) must be poisoned. */
  readonly failMemsizeAdjust: boolean;
  /** The target type that was chosen; undefined when none fits. */
  readonly targetType: number | undefined;
}

/** The value of one side: local or target. */
interface Value {
  readonly value: bigint;
  readonly validate: boolean;
  readonly size?: number;
  readonly type?: number;
}

const NONE: Value = { value: 0n, validate: true };

/** Resolves the CO-RE relocations of one object against one target; candidates are remembered per local type. */
export class CoreResolver {
  readonly #local: Btf;
  readonly #target: Btf;
  readonly #matcher: CoreMatcher;
  readonly #candidates = new Map<number, number[]>();

  /** @param target the kernel's BTF, or split BTF of a module on it: its own types are tried when the base has none */
  constructor(local: Btf, target: Btf) {
    this.#local = local;
    this.#target = target;
    this.#matcher = new CoreMatcher(local, target);
  }

  /**
   * Computes one relocation.
   *
   * @throws FormatError when the record is damaged, or the target's candidates fit but disagree
   */
  resolve(relo: CoreRelo): CoreResult {
    this.#matcher.start(relo);
    const localSpec = parseSpec(this.#local, relo);
    if (relo.kind === 'local_type_id') {
      const value = BigInt(relo.type);
      return { ...toResult({ value, validate: false }, { value, validate: false }), targetType: undefined };
    }
    const name = this.#local.nameOf(relo.type);
    if (name === '') throw failure(relo, `type ${relo.type} has no name to look for`, 'EOPNOTSUPP');

    const candidates = this.#candidatesOf(relo.type, name);
    const fitting: { id: number; spec: CoreSpec; result: CoreResult }[] = [];
    for (const id of candidates) {
      const spec = matchSpec(this.#matcher, localSpec, id);
      if (spec === undefined) continue;
      const found = { id, spec, result: this.#compute(relo, localSpec, spec) };
      const first = fitting[0] ?? found;
      if (spec.bitOffset !== first.spec.bitOffset || !agree(found.result, first.result)) {
        throw failure(
          relo,
          `types ${first.id} and ${id} of the target are both called ${name} and give different answers (${first.result.newValue}, ${found.result.newValue})`,
        );
      }
      fitting.push(found);
    }
    if (fitting.length === 0) return this.#compute(relo, localSpec, undefined);
    // As in libbpf, later relocations of this type try only what fitted before.
    this.#candidates.set(
      relo.type,
      fitting.map(({ id }) => id),
    );
    return fitting[0].result;
  }

  /** Target types with the local type's name, flavours ignored, and its kind. */
  #candidatesOf(type: number, name: string): readonly number[] {
    const known = this.#candidates.get(type);
    if (known !== undefined) return known;
    const { kind } = this.#local.type(type);
    const chain: Btf[] = [];
    for (let btf: Btf | undefined = this.#target; btf !== undefined; btf = btf.base) chain.unshift(btf);
    let found: number[] = [];
    for (const btf of chain) {
      found = btf.ownIdsWithEssentialName(name).filter((id) => kindsCompatible(kind, btf.kindOf(id)));
      if (found.length > 0) break;
    }
    this.#candidates.set(type, found);
    return found;
  }

  #compute(relo: CoreRelo, local: CoreSpec, target: CoreSpec | undefined): CoreResult {
    const orig = evaluate(this.#local, relo, local);
    const next = evaluate(this.#target, relo, target);
    if (orig === undefined || next === undefined) {
      return { ...toResult(orig ?? NONE, NONE), poison: true, targetType: target?.rootType };
    }
    const result = toResult(orig, next);
    const fails = result.origSize !== result.newSize && !this.#mayResize(orig.type, next.type);
    return { ...result, failMemsizeAdjust: fails, targetType: target?.rootType };
  }

  /** Reading fewer or more bytes keeps the value of unsigned integers, which extend with zeroes. Pointers are all of a size. */
  #mayResize(localType: number | undefined, targetType: number | undefined): boolean {
    if (localType === undefined || targetType === undefined) return false;
    const a = this.#local.type(localType);
    const b = this.#target.type(targetType);
    return a.kind === 'int' && b.kind === 'int' && !a.signed && !b.signed;
  }
}

function toResult(orig: Value, next: Value): CoreResult {
  return {
    origValue: orig.value,
    newValue: next.value,
    poison: false,
    validate: orig.validate,
    origSize: orig.size ?? 0,
    newSize: next.size ?? 0,
    failMemsizeAdjust: false,
    targetType: undefined,
  };
}

function agree(a: CoreResult, b: CoreResult): boolean {
  return a.poison === b.poison && a.newValue === b.newValue;
}

/** The value of a relocation on one side; undefined asks for the instruction to be poisoned. */
function evaluate(btf: Btf, relo: CoreRelo, spec: CoreSpec | undefined): Value | undefined {
  if (isTypeRelo(relo.kind)) return typeValue(btf, relo.kind, spec);
  if (isEnumRelo(relo.kind)) return enumValue(btf, relo.kind, spec);
  return fieldValue(btf, relo, spec);
}

/** libbpf: bpf_core_calc_type_relo. */
function typeValue(btf: Btf, kind: CoreReloKind, spec: CoreSpec | undefined): Value {
  if (spec === undefined) return NONE;
  switch (kind) {
    case 'target_type_id':
      return { value: BigInt(spec.rootType), validate: false };
    case 'type_size':
      return { value: BigInt(btf.sizeOf(spec.rootType)), validate: true };
    default:
      return { value: 1n, validate: true };
  }
}

/** libbpf: bpf_core_calc_enumval_relo. */
function enumValue(btf: Btf, kind: CoreReloKind, spec: CoreSpec | undefined): Value | undefined {
  if (kind === 'enumval_exists') return { value: spec === undefined ? 0n : 1n, validate: true };
  if (spec === undefined) return undefined;
  const { type: id, index } = spec.accessors[0];
  const type = btf.type(id);
  if (type.kind === 'enum64') return { value: type.values[index].value, validate: true };
  if (type.kind !== 'enum') return undefined;
  // libbpf sign-extends the 32 bits, whatever the enum's signedness.
  return { value: BigInt(type.values[index].value | 0), validate: true };
}

/** libbpf: bpf_core_calc_field_relo. */
function fieldValue(btf: Btf, relo: CoreRelo, spec: CoreSpec | undefined): Value | undefined {
  if (relo.kind === 'field_exists') return { value: spec === undefined ? 0n : 1n, validate: true };
  if (spec === undefined) return undefined;
  const last = spec.accessors[spec.accessors.length - 1];
  if (last.name === undefined) return elementValue(btf, relo, spec, last.type);
  const parent = btf.type(last.type);
  if (parent.kind !== 'struct' && parent.kind !== 'union') return undefined;
  return memberValue(btf, relo, spec.bitOffset, parent.members[last.index]);
}

/** The path ends in an array element: `a[n]`. */
function elementValue(btf: Btf, relo: CoreRelo, spec: CoreSpec, type: number): Value {
  switch (relo.kind) {
    case 'byte_off': {
      const value = BigInt(Math.floor(spec.bitOffset / 8));
      return { value, validate: true, size: elementSize(btf, type), type };
    }
    case 'byte_sz':
      return { value: BigInt(btf.sizeOf(type)), validate: true };
    default:
      throw failure(relo, 'it ends in an array element, which has no such property');
  }
}

/** The path ends in a named member, maybe a bit field. */
function memberValue(btf: Btf, relo: CoreRelo, bitOffset: number, member: BtfMember): Value | undefined {
  const id = btf.resolve(member.type);
  const type = btf.type(id);
  const isBitfield = member.bitfieldSize > 0;
  const { byteOffset, byteSize } = isBitfield
    ? bitfieldUnit(relo, bitOffset, member.bitfieldSize, btf.sizeOf(id))
    : { byteOffset: Math.floor(bitOffset / 8), byteSize: btf.sizeOf(id) };
  const bits = isBitfield ? member.bitfieldSize : byteSize * 8;
  // Which bytes hold a bit field is the compiler's choice, so the instruction may hold another number than ours.
  const validate = !isBitfield;
  switch (relo.kind) {
    case 'byte_off': {
      const value = BigInt(byteOffset);
      return isBitfield ? { value, validate } : { value, validate, size: elementSize(btf, id), type: id };
    }
    case 'byte_sz':
      return { value: BigInt(byteSize), validate };
    case 'signed':
      return { value: isSigned(type) ? 1n : 0n, validate: true };
    case 'lshift_u64':
      return { value: wrap(64 - (bitOffset + bits - byteOffset * 8)), validate };
    case 'rshift_u64':
      return { value: wrap(64 - bits), validate: true };
    default:
      return undefined;
  }
}

/** The smallest aligned integer that holds the whole bit field, starting from the field's own type. */
function bitfieldUnit(relo: CoreRelo, bitOffset: number, bits: number, size: number) {
  for (let byteSize = Math.max(size, 1); byteSize <= 8; byteSize *= 2) {
    const byteOffset = Math.floor(bitOffset / 8 / byteSize) * byteSize;
    if (bitOffset + bits <= (byteOffset + byteSize) * 8) return { byteOffset, byteSize };
  }
  throw failure(relo, 'the bit field cannot be read with one 64-bit load', 'E2BIG');
}

/** What a load of the field reads: of arrays, one element. */
function elementSize(btf: Btf, type: number): number {
  let id = btf.resolve(type);
  for (let depth = 0; ; depth++) {
    const array = btf.type(id);
    if (array.kind !== 'array') return btf.sizeOf(id);
    if (depth > 32) throw new FormatError('.BTF', btf.offsetOf(id), `type ${type}: arrays nested too deeply`);
    id = btf.resolve(array.type);
  }
}

function isSigned(type: BtfType): boolean {
  return (type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64') && type.signed;
}

/** Shifts wrap as C's unsigned 32-bit arithmetic does. */
function wrap(value: number): bigint {
  return BigInt.asUintN(32, BigInt(value));
}
