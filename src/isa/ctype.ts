/**
 * The little C that declarations need: a type (`u32`, `struct node __arena *`, `u8[16]`) and a prototype
 * (`u32 (void *ctx)`). The assembler's directives use it; the object writer turns the result into BTF.
 */

import type { Cursor } from './lexer.ts';
import type { CParameter, CType, Prototype } from './unit.ts';

/** Other spellings of the integers. */
const ALIASES: Readonly<Record<string, string>> = {
  __u8: 'u8',
  __u16: 'u16',
  __u32: 'u32',
  __u64: 'u64',
  __s8: 's8',
  __s16: 's16',
  __s32: 's32',
  __s64: 's64',
  short: 's16',
  int: 's32',
  unsigned: 'u32',
  long: 's64',
};

/** Bytes of each type that has a name of its own. */
const SIZES: Readonly<Record<string, number>> = {
  void: 0,
  bool: 1,
  char: 1,
  u8: 1,
  s8: 1,
  u16: 2,
  s16: 2,
  u32: 4,
  s32: 4,
  u64: 8,
  s64: 8,
};

const MAX_PARAMETERS = 12;

/** Bytes of one element of a type, or undefined for a struct, whose layout the assembler does not know. */
export function elementSize(type: CType): number | undefined {
  return type.pointers > 0 ? 8 : SIZES[type.base];
}

/** Parses a type. `[count]` may follow where `arrays` says so. @throws FormatError. */
export function parseType(at: Cursor, arrays = false): CType {
  at.accept('const');
  let base = at.expectName('a type');
  if (base === 'struct' || base === 'union' || base === 'enum')
    base += ` ${at.expectName(`the ${base}'s name`)}`;
  else base = ALIASES[base] ?? base;
  if (!base.includes(' ') && SIZES[base] === undefined) {
    at.reject(`expected a type (${Object.keys(SIZES).join(', ')}, struct …), found \`${base}\``);
  }
  let arena = at.accept('__arena');
  let pointers = 0;
  while (at.accept('*')) pointers++;
  // `__arena` may stand on either side of the star, as people write it.
  arena = at.accept('__arena') || arena;
  if (!arrays || !at.accept('[')) return { base, pointers, arena };
  const count = at.integer(0, 0x7fff_ffff, 'a number of elements');
  at.expect(']');
  return { base, pointers, arena, count };
}

/** Parses `returns (parameters)`, for example `void __arena * (void *map, u32 pages)`. @throws FormatError. */
export function parsePrototype(at: Cursor): Prototype {
  const returns = parseType(at);
  at.expect('(');
  const parameters: CParameter[] = [];
  if (at.at('void') && at.at(')', 1)) at.take();
  while (!at.at(')')) {
    if (parameters.length > 0) at.expect(',');
    if (parameters.length === MAX_PARAMETERS) at.reject(`expected at most ${MAX_PARAMETERS} parameters`);
    const type = parseType(at);
    parameters.push({ type, name: at.peek().kind === 'name' ? at.take().text : '' });
  }
  at.expect(')');
  return { returns, parameters };
}
