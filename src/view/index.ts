/**
 * The view room: BTF-typed views of memory. A kernel gives memories ({@link ViewMemory}); users get objects whose
 * properties are the fields, elements and variables, read and written in place.
 */

export { ArrayView } from './array.ts';
export {
  type GlobalSection,
  type GlobalVariable,
  globalsView,
  type NamedType,
  viewNamed,
  viewOf,
  writeValue,
} from './globals.ts';
export type { ViewMemory } from './memory.ts';
export { addressOf, castView, containerOf, elementAt, samePlace, sizeOf } from './operations.ts';
export { type Plain, type PlainOptions, toPlain } from './plain.ts';
export { PlainMemory } from './plain-memory.ts';
export { Pointer } from './pointer.ts';
export { INSPECT, type StructView, type Value, type ViewOptions } from './view.ts';
