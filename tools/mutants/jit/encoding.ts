import { type Mutant, mutantsOf } from '../table.ts';

/** Deliberate bugs in how src/jit writes WebAssembly down. */
export const ENCODING: readonly Mutant[] = [
  ...mutantsOf(
    'encode/bytes.ts',
    ['an unsigned integer ends a bit late', 'while (rest >= 0x80)', 'while (rest > 0x80)'],
    [
      'a signed integer forgets its sign',
      '(rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)',
      'rest === 0 || (rest === -1 && (byte & 0x40) !== 0)',
    ],
  ),
  ...mutantsOf(
    'encode/code.ts',
    ['positions stay where they were', 'this.positions[2 * i] += before;', 'this.positions[2 * i] += 0;'],
    [
      'a branch counts from another structure',
      'this.bytes.unsigned(this.#depth + out);',
      'this.bytes.unsigned(this.#depth + out + 1);',
    ],
  ),
  ...mutantsOf(
    'encode/module.ts',
    [
      'functions are numbered without imports',
      'return this.#importCount + this.#functions.push(undefined) - 1;',
      'return this.#functions.push(undefined) - 1;',
    ],
    ['types are numbered from 1', 'this.#types.push(signature) - 1', 'this.#types.push(signature)'],
    ['hints stand a byte off', 'b.unsigned(before + code.hints[i]);', 'b.unsigned(code.hints[i]);'],
  ),
];
