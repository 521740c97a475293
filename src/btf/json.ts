/** BTF as plain JSON, in the form of `bpftool btf dump -j` (its documentation: bpftool-btf(8)), so that its users' tools work on ours. */

import type { Btf } from './btf.ts';
import type { BtfType } from './types.ts';
import { BTF_INT_BOOL, BTF_INT_CHAR, BTF_INT_SIGNED } from './types.ts';

/** One type: `id`, `kind` in capitals, `name`, and what the kind adds under bpftool's keys. */
export interface BtfJsonType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly [key: string]: unknown;
}

/**
 * The own types of `btf` in the order of their ids; void is left out. Holds only what JSON.stringify takes: 64-bit
 * enumerators beyond 2^53 become decimal strings.
 *
 * @throws FormatError when a type is damaged
 */
export function toJson(btf: Btf): { types: BtfJsonType[] } {
  const types: BtfJsonType[] = [];
  for (let id = btf.startId; id < btf.count; id++) {
    const type = btf.type(id);
    types.push({ id, kind: type.kind.toUpperCase(), name: named(type.name), ...details(type) });
  }
  return { types };
}

function details(type: BtfType): Record<string, unknown> {
  switch (type.kind) {
    case 'void':
      return {};
    case 'int':
      return {
        size: type.size,
        bits_offset: type.bitOffset,
        nr_bits: type.bits,
        encoding: encodingName(type.encoding),
      };
    case 'float':
      return { size: type.size };
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return { type_id: type.type };
    case 'array':
      return { type_id: type.type, index_type_id: type.indexType, nr_elems: type.nelems };
    case 'struct':
    case 'union':
      return { size: type.size, vlen: type.members.length, members: memberList(type) };
    case 'enum':
    case 'enum64':
      return {
        encoding: type.signed ? 'SIGNED' : 'UNSIGNED',
        size: type.size,
        vlen: type.values.length,
        values: type.values.map(({ name, value }) => ({ name: named(name), val: plain(value) })),
      };
    case 'fwd':
      return { fwd_kind: type.fwdKind };
    case 'func':
    case 'var':
      return { type_id: type.type, linkage: type.linkage };
    case 'func_proto':
      return {
        ret_type_id: type.type,
        vlen: type.params.length,
        params: type.params.map((param) => ({ name: named(param.name), type_id: param.type })),
      };
    case 'datasec':
      return {
        size: type.size,
        vlen: type.variables.length,
        vars: type.variables.map((entry) => ({
          type_id: entry.type,
          offset: entry.offset,
          size: entry.size,
        })),
      };
    case 'decl_tag':
      return { type_id: type.type, component_idx: type.componentIdx };
  }
}

function memberList({ members }: Extract<BtfType, { kind: 'struct' | 'union' }>): object[] {
  const bitFields = members.some(({ bitfieldSize }) => bitfieldSize > 0);
  return members.map(({ name, type, bitOffset, bitfieldSize }) => ({
    name: named(name),
    type_id: type,
    bits_offset: bitOffset,
    ...(bitFields ? { bitfield_size: bitfieldSize } : {}),
  }));
}

function named(name: string): string {
  return name === '' ? '(anon)' : name;
}

function encodingName(encoding: number): string {
  switch (encoding) {
    case 0:
      return '(none)';
    case BTF_INT_SIGNED:
      return 'SIGNED';
    case BTF_INT_CHAR:
      return 'CHAR';
    case BTF_INT_BOOL:
      return 'BOOL';
    default:
      return 'UNKN';
  }
}

function plain(value: number | bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
