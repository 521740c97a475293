/**
 * The path of a CO-RE relocation: parsed against the local type, then followed in a candidate type of the target. Members
 * are found by name, through anonymous structs and unions; array indexes stay what they are (libbpf: bpf_core_parse_spec,
 * bpf_core_spec_match).
 */

import type { ErrnoName } from '../errors.ts';
import { FormatError } from '../errors.ts';
import type { Btf } from './btf.ts';
import type { CoreMatcher } from './core-match.ts';
import type { CoreRelo, CoreReloKind } from './ext.ts';
import { essentialName } from './names.ts';
import type { BtfArray } from './types.ts';

/** Steps of a path, anonymous members included: libbpf's BPF_CORE_SPEC_MAX_LEN. */
const MAX_STEPS = 64;

/** One step that means something: a named member (or enumerator), or an array element when `name` is undefined. */
export interface CoreAccessor {
  /** The struct or union; for elements, the element's type. */
  readonly type: number;
  readonly index: number;
  readonly name?: string;
}

/** A path, resolved in one BTF. */
export interface CoreSpec {
  readonly relo: CoreRelo;
  readonly rootType: number;
  readonly accessors: CoreAccessor[];
  /** Of the field, from the start of the root type. */
  bitOffset: number;
}

export function isTypeRelo(kind: CoreReloKind): boolean {
  return kind.includes('type');
}

export function isEnumRelo(kind: CoreReloKind): boolean {
  return kind.startsWith('enumval');
}

/** A FormatError about one relocation. */
export function failure(relo: CoreRelo, problem: string, code?: ErrnoName): FormatError {
  return new FormatError(
    '.BTF.ext',
    relo.insnOffset,
    `CO-RE relocation ${relo.kind} of type ${relo.type}, path ${relo.access}: ${problem}`,
    { code },
  );
}

/** The path in the local type. @throws FormatError when the type has no such path */
export function parseSpec(btf: Btf, relo: CoreRelo): CoreSpec {
  const spec: CoreSpec = { relo, rootType: relo.type, accessors: [], bitOffset: 0 };
  if (isTypeRelo(relo.kind)) {
    if (relo.access !== '0') throw failure(relo, 'the path of a type must be 0');
    return spec;
  }
  const [first, ...steps] = parseAccess(relo);
  const id = btf.resolve(relo.type);
  const type = btf.type(id);
  if (isEnumRelo(relo.kind)) {
    const values = type.kind === 'enum' || type.kind === 'enum64' ? type.values : [];
    if (steps.length > 0 || first >= values.length) throw failure(relo, 'there is no such enumerator');
    spec.accessors.push({ type: id, index: first, name: values[first].name });
    return spec;
  }
  spec.accessors.push({ type: id, index: first });
  advance(spec, first * btf.sizeOf(id) * 8);
  let at = id;
  for (const index of steps) at = step(btf, spec, at, index);
  return spec;
}

/** `0:1:2` as numbers. */
function parseAccess(relo: CoreRelo): number[] {
  if (!/^\d{1,10}(:\d{1,10})*$/.test(relo.access))
    throw failure(relo, 'the path is not numbers between colons');
  const steps = relo.access.split(':').map(Number);
  if (steps.length > MAX_STEPS) throw failure(relo, `more than ${MAX_STEPS} steps`, 'E2BIG');
  if (steps.some((index) => index > 0x7fffffff)) throw failure(relo, 'an index is beyond 2^31');
  return steps;
}

/** Goes one step down from type `at`. @returns the type it leads to */
function step(btf: Btf, spec: CoreSpec, at: number, index: number): number {
  const id = btf.resolve(at);
  const type = btf.type(id);
  if (type.kind === 'struct' || type.kind === 'union') {
    const member = type.members[index];
    if (member === undefined) throw failure(spec.relo, `type ${id} has no member ${index}`);
    if (member.name !== '') spec.accessors.push({ type: id, index, name: member.name });
    advance(spec, member.bitOffset);
    return member.type;
  }
  if (type.kind === 'array') {
    if (index >= type.nelems && !isFlexible(btf, spec, type)) {
      throw failure(spec.relo, `index ${index} is beyond an array of ${type.nelems}`);
    }
    return enterElement(btf, spec, type, index);
  }
  throw failure(spec.relo, `type ${id}, a ${type.kind}, has neither members nor elements`);
}

function enterElement(btf: Btf, spec: CoreSpec, array: BtfArray, index: number): number {
  const element = btf.resolve(array.type);
  spec.accessors.push({ type: element, index });
  advance(spec, index * btf.sizeOf(element) * 8);
  return element;
}

/** A flexible array has no elements by its type and is the last member of its struct: any index is fine. */
function isFlexible(btf: Btf, spec: CoreSpec, array: BtfArray): boolean {
  const owner = spec.accessors[spec.accessors.length - 1];
  if (owner?.name === undefined || array.nelems > 0) return false;
  const type = btf.type(owner.type);
  return (type.kind === 'struct' || type.kind === 'union') && owner.index === type.members.length - 1;
}

function advance(spec: CoreSpec, bits: number): void {
  spec.bitOffset += bits;
  // libbpf counts bits in 32 bits.
  if (spec.bitOffset > 0xffffffff) throw failure(spec.relo, 'it leads beyond 512 MiB', 'E2BIG');
}

/**
 * The same path in the target's type `id`.
 *
 * @returns undefined when that type does not have it, or not with compatible types
 */
export function matchSpec(matcher: CoreMatcher, local: CoreSpec, id: number): CoreSpec | undefined {
  const { relo } = local;
  const spec: CoreSpec = { relo, rootType: id, accessors: [], bitOffset: 0 };
  if (relo.kind === 'type_matches') return matcher.typesMatch(relo.type, id) ? spec : undefined;
  if (isTypeRelo(relo.kind)) return matcher.typesCompatible(relo.type, id) ? spec : undefined;
  if (isEnumRelo(relo.kind)) return matchEnumerator(matcher, local, spec);
  return matchField(matcher, local, spec);
}

function matchEnumerator(matcher: CoreMatcher, local: CoreSpec, spec: CoreSpec): CoreSpec | undefined {
  const { target } = matcher;
  const id = target.resolve(spec.rootType);
  const type = target.type(id);
  if (type.kind !== 'enum' && type.kind !== 'enum64') return undefined;
  matcher.spend(type.values.length);
  const wanted = essentialName(local.accessors[0].name ?? '');
  const index = type.values.findIndex(({ name }) => essentialName(name) === wanted);
  if (index < 0) return undefined;
  spec.accessors.push({ type: id, index, name: type.values[index].name });
  return spec;
}

function matchField(matcher: CoreMatcher, local: CoreSpec, spec: CoreSpec): CoreSpec | undefined {
  const { target } = matcher;
  let at = spec.rootType;
  let steps = 0;
  for (const [i, accessor] of local.accessors.entries()) {
    const id = target.resolve(at);
    if (accessor.name !== undefined) {
      const found = findMember(matcher, accessor, id, MAX_STEPS - steps);
      if (found === undefined) return undefined;
      spec.accessors.push({ type: found.type, index: found.index, name: accessor.name });
      advance(spec, found.bitOffset);
      steps += found.steps;
      at = found.memberType;
      continue;
    }
    if (++steps > MAX_STEPS) throw failure(spec.relo, `more than ${MAX_STEPS} steps in the target`, 'E2BIG');
    if (i === 0) {
      // The first index is that of the pointer the path starts from: the root itself is the element.
      spec.accessors.push({ type: id, index: accessor.index });
      advance(spec, accessor.index * target.sizeOf(id) * 8);
      at = id;
      continue;
    }
    const array = target.type(id);
    if (array.kind !== 'array') return undefined;
    if (accessor.index >= array.nelems && !isFlexible(target, spec, array)) return undefined;
    at = enterElement(target, spec, array, accessor.index);
  }
  return spec;
}

interface FoundMember {
  /** The struct or union that holds it, which may be an anonymous one inside. */
  readonly type: number;
  readonly index: number;
  readonly memberType: number;
  /** From the start of the type that was searched. */
  readonly bitOffset: number;
  readonly steps: number;
}

/** A member by name, in the type or in its anonymous members (libbpf: bpf_core_match_member). */
function findMember(
  matcher: CoreMatcher,
  accessor: CoreAccessor,
  id: number,
  stepsLeft: number,
): FoundMember | undefined {
  const { local, target } = matcher;
  const owner = local.type(accessor.type);
  const type = target.type(id);
  if (owner.kind !== 'struct' && owner.kind !== 'union') return undefined;
  if (type.kind !== 'struct' && type.kind !== 'union') return undefined;
  if (stepsLeft === 0) throw matcher.tooDeep();
  for (const [index, member] of type.members.entries()) {
    matcher.spend();
    if (member.name === '') {
      const inner = findMember(matcher, accessor, target.resolve(member.type), stepsLeft - 1);
      if (inner === undefined) continue;
      return { ...inner, bitOffset: inner.bitOffset + member.bitOffset, steps: inner.steps + 1 };
    }
    if (member.name !== accessor.name) continue;
    if (!matcher.fieldsCompatible(owner.members[accessor.index].type, member.type)) return undefined;
    return { type: id, index, memberType: member.type, bitOffset: member.bitOffset, steps: 1 };
  }
  return undefined;
}
