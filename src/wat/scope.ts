import type { Module } from './module.ts';
import type { Names } from './names.ts';
import type { Reader } from './reader.ts';

/** What an index in the code refers to, as text: `$name` where the name section has one, else the number. */

/** The index spaces of a module. */
export type Space = 'type' | 'func' | 'table' | 'memory' | 'global' | 'elem' | 'data';

const SIZES: { readonly [Name in Space]: (module: Module) => number } = {
  type: ({ types }) => types.length,
  func: ({ funcs }) => funcs.length,
  table: ({ tables }) => tables.length,
  memory: ({ memories }) => memories.length,
  global: ({ globals }) => globals.length,
  elem: ({ elements }) => elements.length,
  // Code comes before data, and says beforehand how many segments there will be.
  data: ({ dataCount, data }) => dataCount ?? data.length,
};

/** Reads an index, and gives what it refers to. Throws FormatError when there is no such thing. */
export function reference(reader: Reader, module: Module, space: Space): string {
  const at = reader.at;
  return nameOf(module, space, reader.u32(), reader, at);
}

/** As {@link reference}, of an index that was read already. */
export function nameOf(module: Module, space: Space, index: number, reader: Reader, at = reader.at): string {
  if (index >= SIZES[space](module)) throw reader.error(`there is no ${space} ${index}`, at);
  return ownName(module.names, space, index) ?? String(index);
}

/** The name that stands where a thing is declared; a comment with its number when it has none. */
export function declared(module: Module, space: Space, index: number): string {
  return ownName(module.names, space, index) ?? `(;${index};)`;
}

function ownName(names: Names, space: Space, index: number): string | undefined {
  return names[space].get(index);
}
