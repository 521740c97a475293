/**
 * Sizes and alignments of types, and what a chain of modifiers stands for. BTF may hold cycles that no C program can
 * declare (a typedef of itself, a struct within itself): every walk here is bounded.
 */

import { FormatError } from '../errors.ts';
import type { BtfType, TypeSource } from './types.ts';

/** Modifiers in a row, and arrays in arrays: libbpf's and Linux's MAX_RESOLVE_DEPTH. */
export const MAX_RESOLVE_DEPTH = 32;
/** Structs within structs, counted with the arrays and typedefs between them. */
const MAX_NESTING = 128;
export const POINTER_SIZE = 8;

/** A FormatError about one type: `struct foo (id 7): …`. */
export function typeError(types: TypeSource, id: number, problem: string): FormatError {
  const offset = id > 0 && id < types.count ? types.offsetOf(id) : 0;
  return new FormatError('.BTF', offset, `type ${id}: ${problem}`);
}

/**
 * The id behind typedefs, const, volatile, restrict and type tags (libbpf: skip_mods_and_typedefs).
 *
 * @throws FormatError for more than 32 in a row
 */
export function resolve(types: TypeSource, id: number): number {
  let at = id;
  for (let depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
    const type = types.type(at);
    switch (type.kind) {
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        at = type.type;
        break;
      default:
        return at;
    }
  }
  throw typeError(types, id, `more than ${MAX_RESOLVE_DEPTH} typedefs and modifiers in a row`);
}

/**
 * The size of a value of the type, in bytes (libbpf: btf__resolve_size). Of a var it is that of the variable.
 *
 * @throws FormatError for void, functions and forward declarations, which have none
 */
export function sizeOf(types: TypeSource, id: number): number {
  let at = id;
  let elements = 1;
  for (let depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
    const type = types.type(at);
    switch (type.kind) {
      case 'int':
      case 'float':
      case 'enum':
      case 'enum64':
      case 'struct':
      case 'union':
      case 'datasec':
        return checkSize(types, id, elements * type.size);
      case 'ptr':
        return checkSize(types, id, elements * POINTER_SIZE);
      case 'array':
        elements = checkSize(types, id, elements * type.nelems);
        at = type.type;
        break;
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
      case 'decl_tag':
      case 'var':
        at = type.type;
        break;
      default:
        throw typeError(types, id, `a ${type.kind} has no size`);
    }
  }
  throw typeError(types, id, `more than ${MAX_RESOLVE_DEPTH} typedefs and arrays in a row`);
}

function checkSize(types: TypeSource, id: number, size: number): number {
  if (size > 0xffffffff) throw typeError(types, id, `${size} bytes; types end at 4 GiB`);
  return size;
}

/** Computes alignments, and remembers those of structs: without that, nested structs cost exponential time. */
export class Alignments {
  readonly #types: TypeSource;
  readonly #known = new Map<number, number>();

  constructor(types: TypeSource) {
    this.#types = types;
  }

  /**
   * The alignment of the type in bytes (libbpf: btf__align_of). BTF does not store it: it follows from the members, and
   * is 1 for a struct whose layout no natural alignment explains, so which must be packed. Unlike libbpf, bit fields that
   * cross the boundary of their type tell of packing too.
   */
  of(id: number, depth = 0): number {
    const types = this.#types;
    if (depth > MAX_NESTING) throw typeError(types, id, `nested deeper than ${MAX_NESTING}`);
    const type = types.type(id);
    switch (type.kind) {
      case 'int':
      case 'float':
      case 'enum':
      case 'enum64':
        return Math.min(POINTER_SIZE, type.size);
      case 'ptr':
        return POINTER_SIZE;
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
      case 'var':
      case 'array':
        return this.of(type.type, depth + 1);
      case 'struct':
      case 'union':
        return this.#ofComposite(id, type, depth);
      default:
        throw typeError(types, id, `a ${type.kind} has no alignment`);
    }
  }

  #ofComposite(id: number, type: Extract<BtfType, { kind: 'struct' | 'union' }>, depth: number): number {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const types = this.#types;
    let alignment = 1;
    let packed = false;
    for (const member of type.members) {
      const needed = this.of(member.type, depth + 1);
      const unit = 8 * (member.bitfieldSize === 0 ? needed : sizeOf(types, member.type));
      if ((member.bitOffset % unit) + member.bitfieldSize > (member.bitfieldSize === 0 ? 0 : unit))
        packed = true;
      alignment = Math.max(alignment, needed);
    }
    if (packed || type.size % alignment !== 0) alignment = 1;
    this.#known.set(id, alignment);
    return alignment;
  }
}
