/** Prints the body of an enum. C gives enums the size of an int; the others need to be told theirs. */

import { INDENT, type PrintC } from './c-declarator.ts';
import type { BtfEnum, BtfEnum64 } from './types.ts';

/** GCC's machine modes, by bytes. */
const MODES: Readonly<Record<number, string>> = { 1: 'byte', 2: 'HI', 8: 'DI' };

export function enumBody(printer: PrintC, type: BtfEnum | BtfEnum64, indent: number): string {
  const tabs = INDENT.repeat(indent);
  const lines = [...type.values.entries()].map(([i, { name, value }]) => {
    const line = `${tabs}${INDENT}${printer.names.enumerator(type, i, name)} = ${literal(BigInt(value))},\n`;
    printer.spend(line.length);
    return line;
  });
  const mode = MODES[type.size];
  const attribute = mode === undefined ? '' : ` __attribute__((mode(${mode})))`;
  return `{\n${lines.join('')}${tabs}}${attribute}`;
}

function literal(value: bigint): string {
  if (value > 0xffffffffn) return value > 0x7fffffffffffffffn ? `${value}ULL` : `${value}LL`;
  if (value > 0x7fffffffn) return `${value}U`;
  if (value >= -0x7fffffffn) return `${value}`;
  // The most negative number cannot be written: its digits alone are too large.
  return value === -0x8000000000000000n ? `(${value + 1n}LL - 1)` : `${value}LL`;
}
