/** The BTF room: type information, bytes ⇄ types ⇄ C, TypeScript and JSON, and CO-RE. It knows nothing of ELF. */

export { Btf } from './btf.ts';
export { BtfBuilder, type BtfField, btfInt } from './builder.ts';
export { type CPrototype, CTypes } from './c-declare.ts';
export { CoreResolver, type CoreResult } from './core.ts';
export type { StringSink } from './encode.ts';
export * from './ext.ts';
export { type BtfJsonType, toJson } from './json.ts';
export { MAX_RESOLVE_DEPTH, POINTER_SIZE } from './layout.ts';
export { essentialName } from './names.ts';
export { type PrintCOptions, printC, printTypeC } from './print-c.ts';
export { type PrintTsOptions, printTs } from './print-ts.ts';
export * from './types.ts';
