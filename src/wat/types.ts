import type { Reader } from './reader.ts';

/** The types that a module declares things with: of values, functions, tables, memories, globals. */

export interface FunctionType {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

export interface Limits {
  readonly min: number;
  readonly max: number | undefined;
  readonly shared: boolean;
}

export interface TableType {
  readonly type: string;
  readonly limits: Limits;
}

export interface GlobalType {
  readonly type: string;
  readonly mutable: boolean;
}

const VALUE_TYPES: Readonly<Record<number, string>> = {
  127: 'i32',
  126: 'i64',
  125: 'f32',
  124: 'f64',
  112: 'funcref',
  111: 'externref',
};

/** A value type that stands at the reader. */
export function valueType(reader: Reader): string {
  const at = reader.at;
  const code = reader.byte();
  const type = VALUE_TYPES[code];
  if (type !== undefined) return type;
  throw reader.error(`0x${code.toString(16)} is not a value type that is known here`, at);
}

export function referenceType(reader: Reader): string {
  const at = reader.at;
  const type = valueType(reader);
  if (type.endsWith('ref')) return type;
  throw reader.error(`${type} is not a type of references`, at);
}

export function readType(reader: Reader): FunctionType {
  const at = reader.at;
  if (reader.byte() !== 0x60) throw reader.error('only types of functions are known here', at);
  return {
    params: reader.vector(() => valueType(reader)),
    results: reader.vector(() => valueType(reader)),
  };
}

export function readLimits(reader: Reader): Limits {
  const at = reader.at;
  const flags = reader.byte();
  if (flags > 3) throw reader.error(`limits with flags 0x${flags.toString(16)} are not known here`, at);
  const min = reader.u32();
  return { min, max: (flags & 1) !== 0 ? reader.u32() : undefined, shared: (flags & 2) !== 0 };
}

export function readTable(reader: Reader): TableType {
  return { type: referenceType(reader), limits: readLimits(reader) };
}

export function readGlobalType(reader: Reader): GlobalType {
  const type = valueType(reader);
  const at = reader.at;
  const mutable = reader.byte();
  if (mutable > 1) throw reader.error(`a global is mutable (1) or not (0), not ${mutable}`, at);
  return { type, mutable: mutable === 1 };
}
