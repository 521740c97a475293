import type { Btf, BtfMember } from '../btf/index.ts';
import type { ErrnoName } from '../errors.ts';
import { MEM_PERCPU, MEM_RCU, MEM_USER, PTR_UNTRUSTED } from './state/reg.ts';

/**
 * What lies at an offset of a structure (Linux: btf_struct_walk): a number, a pointer to another structure, or a structure
 * inside of it, at whose first byte the walk stops.
 */

export type Walked =
  | { readonly found: 'scalar' }
  /** To something that is no structure. */
  | { readonly found: 'other pointer' }
  | {
      readonly found: 'pointer';
      readonly id: number;
      /** By its tag, and PTR_UNTRUSTED for what was reached through a union. */
      readonly flags: number;
      readonly field: string;
    }
  | { readonly found: 'struct'; readonly id: number; readonly flags: number }
  | { readonly found: 'nothing'; readonly code: ErrnoName; readonly message: string };

/** Linux: btf_name_by_offset. */
const ANONYMOUS = '(anon)';

const TAGS: Readonly<Record<string, number>> = { user: MEM_USER, percpu: MEM_PERCPU, rcu: MEM_RCU };

/** An array's elements, however many dimensions it has. */
function elementOf(btf: Btf, id: number): { id: number; count: number; isArray: boolean } {
  let element = btf.resolve(id);
  let count = 1;
  let isArray = false;
  for (let type = btf.type(element); type.kind === 'array'; type = btf.type(element)) {
    isArray = true;
    count *= type.nelems;
    element = btf.resolve(type.type);
  }
  return { id: element, count, isArray };
}

function refuse(message: string, code: ErrnoName = 'EACCES'): Walked {
  return { found: 'nothing', code, message };
}

/** @param flexible whether arrays of no size at a structure's end go on behind it. */
export function walkStruct(
  btf: Btf,
  structId: number,
  offset: number,
  size: number,
  flexible: boolean,
  untrusted = 0,
): Walked {
  let id = btf.resolve(structId);
  let off = offset;
  let flags = untrusted;
  again: for (;;) {
    const type = btf.type(id);
    const name = type.name || ANONYMOUS;
    if (type.kind !== 'struct' && type.kind !== 'union')
      return refuse(`Type '${name}' is not a struct`, 'EINVAL');
    // One of a union's members was stored, and nobody knows which.
    if (type.kind === 'union' && type.members.length !== 1) flags |= PTR_UNTRUSTED;
    if (off + size > type.size) {
      const behind = flexible ? behindEnd(btf, type.members, off) : undefined;
      if (behind === undefined) return refuse(`access beyond struct ${name} at off ${off} size ${size}`);
      if (behind === 'scalar') return { found: 'scalar' };
      id = behind.id;
      off = behind.off;
      continue;
    }
    for (const member of type.members) {
      let at = Math.floor(member.bitOffset / 8);
      if (off + size <= at) break;
      if (member.bitfieldSize > 0) {
        const end = Math.ceil((member.bitOffset + member.bitfieldSize) / 8);
        if (off <= at && end <= off + size) return { found: 'scalar' };
        continue;
      }
      if (off < at) break;
      const bytes = btf.sizeOf(member.type);
      const end = at + bytes;
      if (off >= end) continue;
      const element = elementOf(btf, member.type);
      let each = bytes;
      if (element.isArray) {
        if (bytes === 0) continue;
        each = bytes / element.count;
        at += Math.floor((off - at) / each) * each;
      }
      const inner = btf.type(element.id);
      if (inner.kind === 'struct' || inner.kind === 'union') {
        if (off === at) return { found: 'struct', id: element.id, flags };
        off -= at;
        id = element.id;
        continue again;
      }
      if (inner.kind === 'ptr') {
        if (each !== size || off !== at) {
          const where = `${member.name || ANONYMOUS} with moff ${at} in struct ${name} with off ${off} size ${size}`;
          return refuse(`cannot access ptr member ${where}`);
        }
        const target = btf.resolve(inner.type);
        const kind = btf.kindOf(target);
        if (kind !== 'struct' && kind !== 'union') return { found: 'other pointer' };
        const tag = btf.type(inner.type);
        const tagged = tag.kind === 'type_tag' && Object.hasOwn(TAGS, tag.name) ? TAGS[tag.name] : 0;
        return { found: 'pointer', id: target, flags: flags | tagged, field: member.name };
      }
      if (off + size > end && (flags & PTR_UNTRUSTED) === 0) {
        const where = `${member.name || ANONYMOUS} (mend:${end}) in struct ${name} with off ${off} size ${size}`;
        return refuse(`access beyond the end of member ${where}`);
      }
      return { found: 'scalar' };
    }
    return refuse(`struct ${name} doesn't have field at offset ${off}`, 'EINVAL');
  }
}

/** An offset behind a structure's end, as one into an element of the array that it ends with. */
function behindEnd(
  btf: Btf,
  members: readonly BtfMember[],
  off: number,
): { id: number; off: number } | 'scalar' | undefined {
  const last = members.at(-1);
  const type = last && btf.type(btf.resolve(last.type));
  if (last === undefined || type?.kind !== 'array' || type.nelems !== 0) return undefined;
  const at = last.bitOffset / 8;
  if (off < at) return undefined;
  const element = btf.resolve(type.type);
  const inner = btf.type(element);
  if (inner.kind === 'int') return 'scalar';
  if ((inner.kind !== 'struct' && inner.kind !== 'union') || inner.size === 0) return undefined;
  return { id: element, off: (off - at) % inner.size };
}

/** A structure's type; unlike other types, it is compared by what it is. */
export interface StructType {
  readonly btf: Btf;
  readonly id: number;
}

/**
 * Whether a pointer to one structure, plus an offset, is one to another (Linux: btf_struct_ids_match): the same, or one that
 * lies there. @param strict only the same will do.
 */
export function matchesStruct(
  { btf, id }: StructType,
  off: number,
  needed: StructType,
  strict: boolean,
  flexible: boolean,
): boolean {
  const wanted = (each: number) => btf === needed.btf && each === needed.id;
  if (off === 0 && wanted(id)) return true;
  if (strict) return false;
  let at = off;
  for (let current = id; ; at = 0) {
    const walked = walkStruct(btf, current, at, 1, flexible);
    if (walked.found !== 'struct') return false;
    if (wanted(walked.id)) return true;
    current = walked.id;
  }
}
