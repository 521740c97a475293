import type { Module } from './module.ts';
import { floatText, integerText } from './numbers.ts';
import { accessBytes, type Opcode, type Operands } from './opcodes.ts';
import type { Reader } from './reader.ts';
import { nameOf, reference } from './scope.ts';
import { referenceType, valueType } from './types.ts';

/** What follows an opcode, as text: one function for each form that operands have. */

/** Names that only mean something inside a function. */
export interface Locals {
  /** The local with this index. Throws FormatError when there is none. */
  local(reader: Reader): string;
  /** The label that a branch leads to. Throws likewise. */
  label(reader: Reader): string;
}

/** There is neither outside of functions. */
export const NO_LOCALS: Locals = {
  local: (reader) => {
    throw reader.error('there are no locals here');
  },
  label: (reader) => {
    throw reader.error('there is nothing to branch to here');
  },
};

type Form = (reader: Reader, module: Module, locals: Locals, name: string) => string;

const one =
  (space: Parameters<typeof reference>[2]): Form =>
  (reader, module) =>
    reference(reader, module, space);

/** Bit 6 of a memory access's first number: the memory's index follows. */
const HAS_MEMORY = 0x40;

const FORMS: { readonly [Form_ in Exclude<Operands, 'block'>]: Form } = {
  none: () => '',
  zero: (reader) => {
    if (reader.byte() !== 0) throw reader.error('a byte that must be 0 is not', reader.at - 1);
    return '';
  },
  label: (reader, _, locals) => locals.label(reader),
  labels: (reader, _, locals) => {
    const labels = reader.vector(() => locals.label(reader));
    return [...labels, locals.label(reader)].join(' ');
  },
  local: (reader, _, locals) => locals.local(reader),
  func: one('func'),
  global: one('global'),
  data: one('data'),
  elem: one('elem'),
  table: (reader, module) => only(module.tables, reference(reader, module, 'table')),
  memory: (reader, module) => only(module.memories, reference(reader, module, 'memory')),
  indirect: (reader, module) => {
    const type = reference(reader, module, 'type');
    const table = only(module.tables, reference(reader, module, 'table'));
    return words(table, `(type ${type})`);
  },
  types: (reader) => words(...reader.vector(() => `(result ${valueType(reader)})`)),
  reftype: (reader) => referenceType(reader).replace('ref', ''),
  access,
  'memory memory': (reader, module) => {
    const to = reference(reader, module, 'memory');
    const from = reference(reader, module, 'memory');
    return module.memories.length > 1 ? words(to, from) : '';
  },
  'table table': (reader, module) => {
    const to = reference(reader, module, 'table');
    const from = reference(reader, module, 'table');
    return module.tables.length > 1 ? words(to, from) : '';
  },
  // In the binary format the segment comes first, in the text it comes last.
  'memory data': (reader, module) => {
    const data = reference(reader, module, 'data');
    return words(only(module.memories, reference(reader, module, 'memory')), data);
  },
  'table elem': (reader, module) => {
    const elem = reference(reader, module, 'elem');
    return words(only(module.tables, reference(reader, module, 'table')), elem);
  },
  i32: (reader) => integerText(reader.signed(32), 32),
  i64: (reader) => integerText(reader.signed(64), 64),
  f32: (reader) => floatText(bytesOf(reader.part(4))),
  f64: (reader) => floatText(bytesOf(reader.part(8))),
};

/** The operands that stand at the reader. Those of structures, whose text has more than operands, are not for here. */
export function operandText(
  { operands, name }: Opcode,
  reader: Reader,
  module: Module,
  locals: Locals,
): string {
  if (operands === 'block') throw reader.error(`${name} is not for here`);
  return FORMS[operands](reader, module, locals, name);
}

/** The type of a block, loop or if: nothing, one result, or a function type. */
export function blockType(reader: Reader, module: Module): string {
  const EMPTY = 0x40;
  const code = reader.bytes[reader.at];
  if (code === EMPTY) {
    reader.byte();
    return '';
  }
  if ((code & 0xc0) === EMPTY) return `(result ${valueType(reader)})`;
  const at = reader.at;
  const index = Number(reader.signed(33));
  if (index < 0) throw reader.error('a block has a type that is not known here', at);
  const name = nameOf(module, 'type', index, reader, at);
  const { params, results } = module.types[index];
  return words(`(type ${name})`, listed('param', params), listed('result', results));
}

/** `(param i64 i64)`, or nothing. */
export function listed(keyword: 'param' | 'result', types: readonly string[]): string {
  return types.length === 0 ? '' : `(${keyword} ${types.join(' ')})`;
}

/** Words with blanks between them; empty ones are left out. */
export function words(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}

/** A load, store or atomic: which memory where there are several, the offset, and an alignment that is not its size. */
function access(reader: Reader, module: Module, _: Locals, name: string): string {
  const at = reader.at;
  const flags = reader.u32();
  const index = (flags & HAS_MEMORY) !== 0 ? reader.u32() : 0;
  const log2 = flags & ~HAS_MEMORY;
  if (log2 > 31) throw reader.error(`an alignment of 2^${log2} is not known here`, at);
  const memory = only(module.memories, nameOf(module, 'memory', index, reader, at));
  const offset = reader.u32();
  const align = 2 ** log2;
  return words(
    memory,
    offset === 0 ? '' : `offset=${offset}`,
    align === accessBytes(name) ? '' : `align=${align}`,
  );
}

/** What needs not be said where there is only one. */
function only(all: readonly unknown[], name: string): string {
  return all.length > 1 ? name : '';
}

function bytesOf({ bytes, at, end }: Reader): Uint8Array {
  return bytes.subarray(at, end);
}
