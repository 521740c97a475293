/** The DWARF room: the types in an object's debug information, where its BTF lacks them. */

export { completeTypes } from './complete.ts';
export type { DwarfSections } from './entries.ts';
