/**
 * C's declarations, which read inside out: from `const → ptr → array → int` and a name comes `int (* const name)[4]`. The
 * walk goes from the outermost type to the base and wraps the name as it goes.
 */

import type { Btf } from './btf.ts';
import type { CNames } from './c-names.ts';
import type { Alignments } from './layout.ts';
import { typeError } from './layout.ts';
import type { BtfFuncProto } from './types.ts';

export const INDENT = '\t';
/** Pointers, arrays and modifiers around one name, and prototypes in prototypes. */
const MAX_DEPTH = 128;

/** What the parts of the C printer share. */
export interface PrintC {
  readonly btf: Btf;
  readonly names: CNames;
  readonly alignments: Alignments;
  declare(id: number, name: string, indent?: number): string;
  body(id: number, indent: number): string;
  firstPrintOfEnum(id: number): boolean;
  spend(characters: number): void;
}

/** A C string literal. */
export function quote(text: string): string {
  const escaped = text.replace(/["\\]/g, '\\$&').replace(/[^ -~]/g, (char) => {
    return [...new TextEncoder().encode(char)]
      .map((byte) => `\\${byte.toString(8).padStart(3, '0')}`)
      .join('');
  });
  return `"${escaped}"`;
}

/** The declaration tags of a type or of one of its members, as attributes that follow it. */
export function declTags(btf: Btf, id: number, componentIdx = -1): string {
  return btf
    .declTagsOf(id, componentIdx)
    .filter(({ attribute }) => !attribute)
    .map(({ name }) => ` __attribute__((btf_decl_tag(${quote(name)})))`)
    .join('');
}

export class CDeclarator {
  readonly #printer: PrintC;
  #depth = 0;

  constructor(printer: PrintC) {
    this.#printer = printer;
  }

  /** @param indent that of the line the declaration is on: bodies of anonymous types continue it */
  declare(id: number, name: string, indent: number): string {
    if (++this.#depth > MAX_DEPTH) throw typeError(this.#printer.btf, id, 'nested too deeply for C');
    const text = this.#walk(id, name, indent);
    this.#depth--;
    this.#printer.spend(text.length);
    return text;
  }

  #walk(start: number, name: string, indent: number): string {
    const { btf } = this.#printer;
    let inner = name;
    let qualifiers: string[] = [];
    /** The last thing around the name was a `*`, which binds weaker than [] and (). */
    let pointer = false;
    let id = start;
    for (let step = 0; step <= MAX_DEPTH; step++) {
      const type = btf.type(id);
      switch (type.kind) {
        case 'const':
        case 'volatile':
        case 'restrict':
          if (!qualifiers.includes(type.kind)) qualifiers.unshift(type.kind);
          break;
        case 'type_tag':
          qualifiers.push(`__attribute__((${type.attribute ? cleanAttribute(type.name) : tag(type.name)}))`);
          break;
        case 'ptr':
          inner = `*${qualifiers.map((text) => `${text === 'restrict' ? '__restrict' : text} `).join('')}${inner}`;
          qualifiers = [];
          pointer = true;
          break;
        case 'array':
          inner = `${pointer ? `(${inner})` : inner}[${type.nelems}]`;
          pointer = false;
          break;
        case 'func_proto':
          inner = `${pointer ? `(${inner})` : inner}(${this.#params(type, indent)})`;
          // C has no qualified functions.
          qualifiers = [];
          pointer = false;
          break;
        default: {
          // Restrict is for pointers only; a base type that has it came from damaged BTF.
          const kept = qualifiers.filter((text) => text !== 'restrict');
          const words = [
            ...kept.filter(isQualifier),
            this.#base(id, indent),
            ...kept.filter((q) => !isQualifier(q)),
          ];
          return `${words.join(' ')}${inner === '' ? '' : ' '}${inner}`;
        }
      }
      if (inner.length > 1 << 20) break;
      id = type.type;
    }
    throw typeError(btf, start, 'nested too deeply for C');
  }

  #params({ params }: BtfFuncProto, indent: number): string {
    if (params.length === 0) return 'void';
    return params
      .map(({ name, type }, i) => {
        const variadic = i === params.length - 1 && type === 0 && name === '';
        return variadic ? '...' : this.declare(type, '', indent);
      })
      .join(', ');
  }

  #base(id: number, indent: number): string {
    const { btf, names } = this.#printer;
    const type = btf.type(id);
    switch (type.kind) {
      case 'void':
        return 'void';
      case 'int':
      case 'float':
        return names.number(id);
      case 'typedef':
        return type.name === '__builtin_va_list' ? type.name : names.ordinary(id);
      case 'fwd':
        return `${type.fwdKind} ${names.tag(id)}`;
      case 'struct':
      case 'union':
        return `${type.kind} ${type.name === '' ? this.#printer.body(id, indent) : names.tag(id)}`;
      case 'enum':
      case 'enum64': {
        if (type.name !== '') return `enum ${names.tag(id)}`;
        if (this.#printer.firstPrintOfEnum(id)) return `enum ${this.#printer.body(id, indent)}`;
        return `__${type.signed ? '' : 'U'}INT${type.size * 8}_TYPE__`;
      }
      default:
        throw typeError(btf, id, `a ${type.kind} cannot be declared in C`);
    }
  }
}

function isQualifier(text: string): boolean {
  return text === 'const' || text === 'volatile';
}

function tag(name: string): string {
  return `btf_type_tag(${quote(name)})`;
}

/** An attribute is code: nothing may close the parentheses around it. */
function cleanAttribute(text: string): string {
  return /^\w+(\("?[\w ,:.]*"?\))?$/.test(text) ? text : tag(text);
}
