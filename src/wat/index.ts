export type { Annotate } from './code.ts';
export { printWat, type WatOptions } from './print.ts';
