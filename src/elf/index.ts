/** The ELF room: relocatable BPF objects, bytes ⇄ records. It knows nothing of BTF, instructions or programs. */

export * from './constants.ts';
export { readElf } from './read.ts';
export type * from './types.ts';
export { writeElf } from './write.ts';
