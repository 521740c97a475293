/**
 * Encodes types as BTF records, the reverse of decode.ts (Documentation/bpf/btf.rst, "Type Encoding"). A record is a
 * handful of 32-bit words; the caller places them and owns the strings.
 */

import { FormatError } from '../errors.ts';
import type { BtfType } from './types.ts';
import { BTF_KIND, BTF_LINKAGES } from './types.ts';

const MAX_VLEN = 0xffff;
const KIND_FLAG = 0x80000000;

/** Where names go: gives the offset of a string, adding it if it is new. */
export interface StringSink {
  string(text: string): number;
}

/**
 * The words of one type's record.
 *
 * @throws FormatError when the type holds what BTF cannot express: over 65,535 members, a bit field beyond 2 MiB
 */
export function encodeType(type: BtfType, strings: StringSink): number[] {
  const [flag, vlen, sizeOrType, rest] = describe(type, strings);
  if (vlen > MAX_VLEN) {
    throw new FormatError('.BTF', 0, `${type.kind} ${type.name}: ${vlen} members; BTF counts to ${MAX_VLEN}`);
  }
  const info = (BTF_KIND[type.kind] << 24) | vlen | (flag ? KIND_FLAG : 0);
  return [strings.string(type.name), info, sizeOrType, ...rest];
}

type Description = readonly [kindFlag: boolean, vlen: number, sizeOrType: number, rest: readonly number[]];

function describe(type: BtfType, strings: StringSink): Description {
  switch (type.kind) {
    case 'void':
      throw new FormatError('.BTF', 0, 'void has no record; it is id 0');
    case 'int':
      return [false, 0, type.size, [(type.encoding << 24) | (type.bitOffset << 16) | type.bits]];
    case 'float':
      return [false, 0, type.size, []];
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
      return [false, 0, type.type, []];
    case 'array':
      return [false, 0, 0, [type.type, type.indexType, type.nelems]];
    case 'struct':
    case 'union':
      return describeComposite(type, strings);
    case 'enum': {
      const values = type.values.flatMap(({ name, value }) => [strings.string(name), value]);
      return [type.signed, type.values.length, type.size, values];
    }
    case 'enum64': {
      const words = (value: bigint) => [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)];
      const values = type.values.flatMap(({ name, value }) => [strings.string(name), ...words(value)]);
      return [type.signed, type.values.length, type.size, values];
    }
    case 'fwd':
      return [type.fwdKind === 'union', 0, 0, []];
    case 'func':
      return [false, BTF_LINKAGES.indexOf(type.linkage), type.type, []];
    case 'func_proto': {
      const params = type.params.flatMap((param) => [strings.string(param.name), param.type]);
      return [false, type.params.length, type.type, params];
    }
    case 'var':
      return [false, 0, type.type, [BTF_LINKAGES.indexOf(type.linkage)]];
    case 'datasec': {
      const variables = type.variables.flatMap((variable) => [variable.type, variable.offset, variable.size]);
      return [false, type.variables.length, type.size, variables];
    }
    case 'decl_tag':
      return [type.attribute, 0, type.type, [type.componentIdx]];
    case 'type_tag':
      return [type.attribute, 0, type.type, []];
  }
}

function describeComposite(
  type: Extract<BtfType, { kind: 'struct' | 'union' }>,
  strings: StringSink,
): Description {
  const bitFields = type.members.some(({ bitfieldSize }) => bitfieldSize > 0);
  const members = type.members.flatMap(({ name, type: id, bitOffset, bitfieldSize }) => {
    if (bitFields && (bitOffset > 0xffffff || bitfieldSize > 0xff)) {
      throw new FormatError(
        '.BTF',
        0,
        `${type.kind} ${type.name}: member ${name} at bit ${bitOffset} is too far`,
      );
    }
    return [strings.string(name), id, bitFields ? (bitfieldSize << 24) | bitOffset : bitOffset];
  });
  return [bitFields, type.members.length, type.size, members];
}
