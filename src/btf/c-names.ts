/**
 * The names that types get in C. C has two name spaces here: tags (struct, union, enum) and ordinary names (typedefs,
 * enumerators, functions). BTF may use a name several times in each; the second user is called `name___2`.
 */

import type { Btf } from './btf.ts';
import { identifier, NameSpace } from './name-space.ts';
import type { BtfType } from './types.ts';

/** Integers and floats that clang knows by these names. */
const C_NUMBERS = new Set([
  '_Bool',
  'char',
  'signed char',
  'unsigned char',
  'short',
  'short int',
  'unsigned short',
  'short unsigned int',
  'int',
  'unsigned int',
  'long',
  'long int',
  'unsigned long',
  'long unsigned int',
  'long long',
  'long long int',
  'unsigned long long',
  'long long unsigned int',
  '__int128',
  '__int128 unsigned',
  'unsigned __int128',
  'float',
  'double',
  'long double',
]);

export class CNames {
  readonly #btf: Btf;
  readonly #tags = new Map<number, string>();
  readonly #ordinary = new Map<number, string>();
  readonly #usedTags = new NameSpace();
  readonly #usedOrdinary = new NameSpace();
  /** Anonymous enums that something refers to. */
  readonly #referenced = new Set<number>();
  /** Enumerators that got another name, by enum and position; most keep theirs. */
  readonly #enumerators = new Map<BtfType, Map<number, string>>();

  /** Names all types, in the order of ids, so that a type's name does not depend on what is printed. */
  constructor(btf: Btf) {
    this.#btf = btf;
    const forwards: number[] = [];
    const definitions = new Map<string, string>();
    for (let id = 1; id < btf.count; id++) {
      const type = btf.type(id);
      this.#markReferences(type);
      switch (type.kind) {
        case 'struct':
        case 'union': {
          if (type.name === '') break;
          const name = this.#usedTags.claim(type.name);
          this.#tags.set(id, name);
          const key = `${type.kind} ${type.name}`;
          if (!definitions.has(key)) definitions.set(key, name);
          break;
        }
        case 'enum':
        case 'enum64':
          if (type.name !== '') this.#tags.set(id, this.#usedTags.claim(type.name));
          this.#nameEnumerators(type);
          break;
        case 'fwd':
          forwards.push(id);
          break;
        case 'typedef':
        case 'func':
          this.#ordinary.set(id, this.#usedOrdinary.claim(type.name));
          break;
      }
    }
    for (const id of forwards) this.#nameForward(id, definitions);
  }

  /** Of a named struct, union or enum. */
  tag(id: number): string {
    return this.#tags.get(id) ?? identifier(this.#btf.nameOf(id));
  }

  /** Of a typedef or function. */
  ordinary(id: number): string {
    return this.#ordinary.get(id) ?? identifier(this.#btf.nameOf(id));
  }

  enumerator(type: BtfType, index: number, name: string): string {
    return this.#enumerators.get(type)?.get(index) ?? identifier(name);
  }

  /** Of an int or float. */
  number(id: number): string {
    const name = this.#btf.nameOf(id);
    return C_NUMBERS.has(name) ? name : identifier(name);
  }

  /** What a number whose name C does not know is in C; undefined for those it knows. */
  foreignNumber(id: number): string | undefined {
    const type = this.#btf.type(id);
    if (C_NUMBERS.has(type.name)) return undefined;
    if (type.kind === 'float') return type.size <= 4 ? 'float' : 'double';
    if (type.kind !== 'int') return undefined;
    if (type.bool && type.size === 1) return '_Bool';
    const sign = type.signed ? '' : 'unsigned ';
    return type.size === 16 ? `${sign}__int128` : `__${type.signed ? '' : 'U'}INT${type.size * 8}_TYPE__`;
  }

  /** Whether some type refers to this anonymous enum: then it is printed there. */
  isReferenced(id: number): boolean {
    return this.#referenced.has(id);
  }

  /** A forward declaration shares the name of the definition, if there is one of its kind. */
  #nameForward(id: number, definitions: ReadonlyMap<string, string>): void {
    const type = this.#btf.type(id);
    if (type.kind !== 'fwd') return;
    const defined = definitions.get(`${type.fwdKind} ${type.name}`);
    this.#tags.set(id, defined ?? this.#usedTags.claim(type.name));
  }

  #nameEnumerators(type: Extract<BtfType, { kind: 'enum' | 'enum64' }>): void {
    for (const [index, { name }] of type.values.entries()) {
      const given = this.#usedOrdinary.claim(name);
      if (given === name) continue;
      const renamed = this.#enumerators.get(type) ?? new Map<number, string>();
      renamed.set(index, given);
      this.#enumerators.set(type, renamed);
    }
  }

  #markReferences(type: BtfType): void {
    if ('members' in type) for (const { type: id } of type.members) this.#referenced.add(id);
    else if ('params' in type) for (const { type: id } of type.params) this.#referenced.add(id);
    if ('type' in type && type.kind !== 'decl_tag') this.#referenced.add(type.type);
  }
}
