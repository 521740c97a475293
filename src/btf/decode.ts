/**
 * Decodes one type's record (Documentation/bpf/btf.rst, "Type Encoding"). What it returns can be trusted: names end,
 * referenced ids exist, sizes are ones that the kind can have. Whether a referenced type makes sense there is the
 * reader's concern.
 */

import { FormatError } from '../errors.ts';
import type { BtfKind, BtfLinkage, BtfType } from './types.ts';
import { BTF_INT_BOOL, BTF_INT_SIGNED, BTF_KIND, BTF_LINKAGES } from './types.ts';

/** What a record refers to. */
interface Scope {
  readonly count: number;
  name(offset: number): string;
}

/** One record: name, info, size-or-type, then what its kind adds. */
interface Record {
  readonly scope: Scope;
  readonly view: DataView;
  readonly at: number;
  readonly name: string;
  readonly vlen: number;
  readonly kindFlag: boolean;
}

const KIND_NAMES = Object.keys(BTF_KIND) as BtfKind[];

/**
 * Decodes the record at byte `at`, whose extent has been checked.
 *
 * @throws FormatError naming the field that is wrong
 */
export function decodeType(scope: Scope, view: DataView, at: number): BtfType {
  const info = view.getUint32(at + 4, true);
  const kind = KIND_NAMES[(info >>> 24) & 0x1f];
  const name = scope.name(view.getUint32(at, true));
  const record: Record = { scope, view, at, name, vlen: info & 0xffff, kindFlag: info >>> 31 === 1 };
  const size = view.getUint32(at + 8, true);
  switch (kind) {
    case 'void':
      return { kind, name: '' };
    case 'int':
      return decodeInt(record, size);
    case 'float':
      if (![2, 4, 8, 12, 16].includes(size)) throw sizeError(record, kind, size);
      return { kind, name, size };
    case 'ptr':
      return { kind, name, type: typeAt(record, 8) };
    case 'array':
      return {
        kind,
        name,
        type: typeAt(record, 12),
        indexType: typeAt(record, 16),
        nelems: view.getUint32(at + 20, true),
      };
    case 'struct':
    case 'union':
      return { kind, name, size, members: decodeMembers(record) };
    case 'enum':
    case 'enum64':
      return decodeEnum(record, kind, size);
    case 'fwd':
      return { kind, name, fwdKind: record.kindFlag ? 'union' : 'struct' };
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
      return { kind, name, type: typeAt(record, 8) };
    case 'func':
      return { kind, name, type: typeAt(record, 8), linkage: linkageOf(record, record.vlen, 4) };
    case 'func_proto':
      return { kind, name, type: typeAt(record, 8), params: decodeParams(record) };
    case 'var':
      return {
        kind,
        name,
        type: typeAt(record, 8),
        linkage: linkageOf(record, view.getUint32(at + 12, true), 12),
      };
    case 'datasec':
      return { kind, name, size, variables: decodeVariables(record) };
    case 'decl_tag': {
      const componentIdx = view.getInt32(at + 12, true);
      return { kind, name, type: typeAt(record, 8), componentIdx, attribute: record.kindFlag };
    }
    case 'type_tag':
      return { kind, name, type: typeAt(record, 8), attribute: record.kindFlag };
  }
}

function decodeInt(record: Record, size: number): BtfType {
  const { view, at, name } = record;
  const data = view.getUint32(at + 12, true);
  const encoding = (data >>> 24) & 0xf;
  const bitOffset = (data >>> 16) & 0xff;
  const bits = data & 0xff;
  if (![1, 2, 4, 8, 16].includes(size)) throw sizeError(record, 'int', size);
  if (bitOffset + bits > size * 8) {
    throw new FormatError('.BTF', at + 12, `int ${name}: ${bits} bits at ${bitOffset} of ${size} bytes`);
  }
  const signed = (encoding & BTF_INT_SIGNED) !== 0;
  const bool = (encoding & BTF_INT_BOOL) !== 0;
  return { kind: 'int', name, size, encoding, signed, bool, bitOffset, bits };
}

function decodeMembers(record: Record) {
  const { scope, view, at, vlen, kindFlag } = record;
  return Array.from({ length: vlen }, (_, i) => {
    const offset = 12 + i * 12;
    const packed = view.getUint32(at + offset + 8, true);
    return {
      name: scope.name(view.getUint32(at + offset, true)),
      type: typeAt(record, offset + 4),
      bitOffset: kindFlag ? packed & 0xffffff : packed,
      bitfieldSize: kindFlag ? packed >>> 24 : 0,
    };
  });
}

function decodeEnum(record: Record, kind: 'enum' | 'enum64', size: number): BtfType {
  const { scope, view, at, name, vlen, kindFlag: signed } = record;
  if (![1, 2, 4, 8].includes(size)) throw sizeError(record, kind, size);
  const nameAt = (offset: number): string => scope.name(view.getUint32(offset, true));
  if (kind === 'enum') {
    const values = Array.from({ length: vlen }, (_, i) => {
      const offset = at + 12 + i * 8;
      const value = signed ? view.getInt32(offset + 4, true) : view.getUint32(offset + 4, true);
      return { name: nameAt(offset), value };
    });
    return { kind, name, size, signed, values };
  }
  const values = Array.from({ length: vlen }, (_, i) => {
    const offset = at + 12 + i * 12;
    const value = view.getBigUint64(offset + 4, true);
    return { name: nameAt(offset), value: signed ? BigInt.asIntN(64, value) : value };
  });
  return { kind, name, size, signed, values };
}

function decodeParams(record: Record) {
  const { scope, view, at, vlen } = record;
  return Array.from({ length: vlen }, (_, i) => {
    const offset = 12 + i * 8;
    return { name: scope.name(view.getUint32(at + offset, true)), type: typeAt(record, offset + 4) };
  });
}

function decodeVariables(record: Record) {
  const { view, at, vlen } = record;
  return Array.from({ length: vlen }, (_, i) => {
    const offset = 12 + i * 12;
    return {
      type: typeAt(record, offset),
      offset: view.getUint32(at + offset + 4, true),
      size: view.getUint32(at + offset + 8, true),
    };
  });
}

function typeAt({ scope, view, at }: Record, offset: number): number {
  const id = view.getUint32(at + offset, true);
  if (id >= scope.count)
    throw new FormatError('.BTF', at + offset, `type ${id} of ${scope.count} does not exist`);
  return id;
}

function linkageOf({ at, name }: Record, linkage: number, offset: number): BtfLinkage {
  const known = BTF_LINKAGES[linkage];
  if (known === undefined) throw new FormatError('.BTF', at + offset, `${name}: unknown linkage ${linkage}`);
  return known;
}

function sizeError({ at, name }: Record, kind: BtfKind, size: number): FormatError {
  return new FormatError('.BTF', at + 8, `${kind} ${name}: ${size} bytes is no size for it`);
}
