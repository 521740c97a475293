import { FormatError } from '../errors.ts';
import type { BtfBuilder, BtfField } from './builder.ts';
import { type CToken, tokensOf } from './c-tokens.ts';
import type { BtfParam } from './types.ts';

/**
 * C declarations → BTF: structs, unions, enums, typedefs, variables' types and function prototypes, laid out as C lays
 * them out. The embedded kernel's types and kfuncs are written so, and the assembler's. What no BTF of ours needs is
 * refused: packed or aligned types, initialisers.
 */

/** Attributes by the macros that headers give them. A type tag stands between a type and its `*`. */
const TYPE_TAGS: Readonly<Record<string, string>> = {
  __arena: 'address_space(1)',
  __rcu: 'rcu',
  __user: 'user',
  __percpu: 'percpu',
  __kptr: 'kptr',
  __kptr_untrusted: 'kptr_untrusted',
  __percpu_kptr: 'percpu_kptr',
  __uptr: 'uptr',
};

/** Words of an integer type, sorted, and what BTF calls it (as GCC spells it, which kernels are built with). */
const INTEGERS: Readonly<Record<string, readonly [name: string, size: number]>> = {
  _Bool: ['_Bool', 1],
  char: ['char', 1],
  'char signed': ['signed char', 1],
  'char unsigned': ['unsigned char', 1],
  short: ['short int', 2],
  'short unsigned': ['short unsigned int', 2],
  int: ['int', 4],
  unsigned: ['unsigned int', 4],
  long: ['long int', 8],
  'long unsigned': ['long unsigned int', 8],
  'long long': ['long long int', 8],
  'long long unsigned': ['long long unsigned int', 8],
};

const INTEGER_WORDS: readonly string[] = ['_Bool', 'char', 'short', 'int', 'long', 'signed', 'unsigned'];
const QUALIFIERS = ['const', 'volatile', 'restrict'] as const;

/** A declarator: what is declared, and a type made of its base. */
interface Declared {
  readonly name: string;
  readonly type: number;
  readonly params?: readonly BtfParam[];
  /** Of a function: what it returns. */
  readonly returns?: number;
}

/** A function that was declared. */
export interface CPrototype {
  readonly name: string;
  readonly returns: number;
  readonly params: readonly BtfParam[];
}

/** Nesting of parentheses and braces: no declaration of ours is deeper, and damaged ones must not overflow the stack. */
const MAX_DEPTH = 32;

export class CTypes {
  readonly builder: BtfBuilder;
  readonly #tags = new Map<string, number>();
  readonly #defined = new Set<number>();
  readonly #typedefs = new Map<string, number>();

  constructor(builder: BtfBuilder) {
    this.builder = builder;
  }

  /** Declares all that a text holds. @returns its functions. Throws FormatError with the place in the text. */
  declare(text: string): CPrototype[] {
    const parser = new Parser(this, text);
    const functions: CPrototype[] = [];
    while (!parser.atEnd) parser.declaration(functions);
    return functions;
  }

  /** The id of `struct NAME` and its like; reserved when it is new. */
  tagged(keyword: string, name: string): number {
    const key = `${keyword} ${name}`;
    let id = this.#tags.get(key);
    if (id === undefined) {
      id = this.builder.reserve();
      this.#tags.set(key, id);
    }
    return id;
  }

  /** The id of a type that was defined, by its keyword and name. */
  find(keyword: string, name: string): number | undefined {
    const id = this.#tags.get(`${keyword} ${name}`);
    return id !== undefined && this.#defined.has(id) ? id : undefined;
  }

  typedef(name: string): number | undefined {
    return this.#typedefs.get(name);
  }

  addTypedef(name: string, type: number): void {
    this.#typedefs.set(name, this.builder.modifier('typedef', type, name));
  }

  /** @returns whether it was not defined before. */
  define(id: number): boolean {
    if (this.#defined.has(id)) return false;
    this.#defined.add(id);
    return true;
  }

  /** What was named and never defined is declared only. */
  finish(): void {
    for (const [key, id] of this.#tags) {
      if (this.#defined.has(id)) continue;
      const [keyword, name] = key.split(' ');
      if (keyword === 'enum')
        this.builder.set(id, { kind: 'enum', name, size: 4, signed: false, values: [] });
      else this.builder.set(id, { kind: 'fwd', name, fwdKind: keyword === 'union' ? 'union' : 'struct' });
    }
  }
}

class Parser {
  readonly #types: CTypes;
  readonly #tokens: readonly CToken[];
  #at = 0;
  #depth = 0;

  constructor(types: CTypes, text: string) {
    this.#types = types;
    this.#tokens = tokensOf(text);
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  declaration(functions: CPrototype[]): void {
    if (this.#accept(';')) return;
    const isTypedef = this.#accept('typedef');
    if (!isTypedef) while (this.#accept('extern') || this.#accept('static'));
    const base = this.#base();
    if (this.#accept(';')) return;
    do {
      const declared = this.#declarator(base);
      if (isTypedef) this.#types.addTypedef(declared.name, declared.type);
      else if (declared.params !== undefined)
        functions.push({ name: declared.name, returns: declared.returns ?? 0, params: declared.params });
      else throw this.#refuse(`\`${declared.name}\` is a variable; only types and functions are declared`);
    } while (this.#accept(','));
    this.#expect(';');
  }

  /** A type without its pointers: `const struct task_struct`. */
  #base(): number {
    const qualifiers: (typeof QUALIFIERS)[number][] = [];
    const words: string[] = [];
    let type: number | undefined;
    for (;;) {
      const text = this.#peek();
      const qualifier = QUALIFIERS.find((each) => each === text);
      if (qualifier !== undefined) {
        this.#at++;
        qualifiers.push(qualifier);
      } else if (type === undefined && INTEGER_WORDS.includes(text)) {
        this.#at++;
        words.push(text);
      } else if (type === undefined && words.length === 0) {
        type = this.#named();
      } else break;
    }
    type ??= this.#integer(words);
    for (const kind of qualifiers) type = this.#types.builder.modifier(kind, type);
    return this.#typeTags(type);
  }

  #typeTags(type: number): number {
    let tagged = type;
    for (;;) {
      const tag = TYPE_TAGS[this.#peek()];
      if (tag === undefined) return tagged;
      this.#at++;
      tagged = this.#types.builder.typeTag(tag, tagged);
    }
  }

  #integer(words: readonly string[]): number {
    const plain = words.filter((word) => word !== 'int' && (word !== 'signed' || words.includes('char')));
    const [name, size] = INTEGERS[plain.sort().join(' ') || 'int'] ?? [];
    if (name === undefined || size === undefined) throw this.#refuse(`\`${words.join(' ')}\` is no type`);
    return this.#types.builder.int(name, size);
  }

  #named(): number {
    const text = this.#name('a type');
    if (text === 'void') return 0;
    if (text === 'struct' || text === 'union') return this.#composite(text);
    if (text === 'enum') return this.#enum();
    const typedef = this.#types.typedef(text);
    if (typedef !== undefined) return typedef;
    if (text === 'bool') return this.#types.builder.int('_Bool', 1);
    this.#at--;
    throw this.#refuse(`\`${text}\` is no type`);
  }

  #composite(keyword: 'struct' | 'union'): number {
    const name = this.#peek() === '{' ? '' : this.#name(`the name of a ${keyword}`);
    const id = name === '' ? this.#types.builder.reserve() : this.#types.tagged(keyword, name);
    if (!this.#accept('{')) return id;
    if (!this.#types.define(id)) throw this.#refuse(`\`${keyword} ${name}\` is defined twice`);
    this.#enter();
    const fields: BtfField[] = [];
    const tags: (readonly [tag: string, field: number])[] = [];
    while (!this.#accept('}')) this.#member(fields, tags);
    this.#depth--;
    try {
      this.#types.builder.composite(keyword, name, fields, id);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw this.#refuse(`${keyword} ${name}: ${error.message}`);
    }
    for (const [tag, field] of tags) this.#types.builder.declTag(tag, id, field);
    return id;
  }

  #member(fields: BtfField[], tags: (readonly [string, number])[]): void {
    const base = this.#base();
    // An anonymous struct: its members belong to this one.
    if (this.#accept(';')) {
      fields.push({ name: '', type: base });
      return;
    }
    do {
      const { name, type, params } = this.#declarator(base);
      if (params !== undefined) throw this.#refuse(`\`${name}\` is a function, which no struct has`);
      const bits = this.#accept(':') ? this.#number() : undefined;
      if (bits !== undefined && !(bits > 0 && bits <= 64)) throw this.#refuse(`a bit field of ${bits} bits`);
      fields.push({ name, type, ...(bits !== undefined && { bits }) });
      while (this.#peek() === '__contains') tags.push([this.#contains(), fields.length - 1]);
    } while (this.#accept(','));
    this.#expect(';');
  }

  /** `__contains(STRUCT, MEMBER)`: what a list or tree holds. */
  #contains(): string {
    this.#at++;
    this.#expect('(');
    const name = this.#name('a struct');
    this.#expect(',');
    const member = this.#name('a member');
    this.#expect(')');
    return `contains:${name}:${member}`;
  }

  #enum(): number {
    const name = this.#peek() === '{' ? '' : this.#name('the name of an enum');
    const id = name === '' ? this.#types.builder.reserve() : this.#types.tagged('enum', name);
    if (!this.#accept('{')) return id;
    if (!this.#types.define(id)) throw this.#refuse(`\`enum ${name}\` is defined twice`);
    const values: { name: string; value: number }[] = [];
    let next = 0;
    while (!this.#accept('}')) {
      const each = this.#name('an enumerator');
      if (this.#accept('=')) next = this.#number();
      values.push({ name: each, value: next++ });
      if (!this.#accept(',')) {
        this.#expect('}');
        break;
      }
    }
    const signed = values.some(({ value }) => value < 0);
    this.#types.builder.set(id, { kind: 'enum', name, size: 4, signed, values });
    return id;
  }

  /** `*name[3]`, `name(struct x *p)`, `(*name)(void)`. A parameter's name may be missing. */
  #declarator(base: number): Declared {
    let type = base;
    while (this.#accept('*')) {
      type = this.#types.builder.ptr(type);
      for (let kind = this.#qualifier(); kind !== undefined; kind = this.#qualifier())
        type = this.#types.builder.modifier(kind, type);
      type = this.#typeTags(type);
    }
    if (this.#peek() === '(' && this.#peek(1) === '*') return this.#functionPointer(type);
    const name = this.#isName(this.#peek()) ? this.#name('a name') : '';
    if (this.#accept('(')) return { name, type, returns: type, params: this.#params() };
    return { name, type: this.#array(type) };
  }

  #functionPointer(returns: number): Declared {
    this.#at += 2;
    const name = this.#isName(this.#peek()) ? this.#name('a name') : '';
    this.#expect(')');
    this.#expect('(');
    const params = this.#params();
    return { name, type: this.#types.builder.ptr(this.#types.builder.funcProto(returns, params)) };
  }

  #params(): BtfParam[] {
    this.#enter();
    const params: BtfParam[] = [];
    if (this.#peek() === 'void' && this.#peek(1) === ')') this.#at++;
    if (!this.#accept(')')) {
      do {
        if (this.#accept('...')) {
          params.push({ name: '', type: 0 });
          break;
        }
        const { name, type } = this.#declarator(this.#base());
        params.push({ name, type });
      } while (this.#accept(','));
      this.#expect(')');
    }
    this.#depth--;
    return params;
  }

  #array(type: number): number {
    const sizes: number[] = [];
    while (this.#accept('[')) {
      sizes.push(this.#peek() === ']' ? 0 : this.#number());
      this.#expect(']');
    }
    return sizes.reduceRight((element, count) => this.#types.builder.array(element, count), type);
  }

  #qualifier(): (typeof QUALIFIERS)[number] | undefined {
    const found = QUALIFIERS.find((each) => each === this.#peek());
    if (found !== undefined) this.#at++;
    return found;
  }

  #number(): number {
    const negative = this.#accept('-');
    const text = this.#peek();
    const value = Number(text);
    if (text === '' || !/^\d/.test(text) || !Number.isInteger(value) || value >= 2 ** 31)
      throw this.#refuse(`\`${text}\` is no number of 31 bits`);
    this.#at++;
    return negative ? -value : value;
  }

  #isName(text: string): boolean {
    return /^[A-Za-z_]\w*$/.test(text);
  }

  #name(what: string): string {
    const text = this.#peek();
    if (!this.#isName(text)) throw this.#refuse(`${what} is missing before \`${text}\``);
    this.#at++;
    return text;
  }

  #peek(ahead = 0): string {
    return this.#tokens[this.#at + ahead]?.text ?? '';
  }

  #accept(text: string): boolean {
    if (this.#peek() !== text) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) throw this.#refuse(`\`${text}\` is missing before \`${this.#peek()}\``);
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) throw this.#refuse('declarations are nested too deeply');
  }

  #refuse(problem: string): FormatError {
    const at = this.#tokens[this.#at]?.offset ?? this.#tokens.at(-1)?.offset ?? 0;
    return new FormatError('C declarations', at, problem);
  }
}
