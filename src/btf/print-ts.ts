/**
 * Prints types as TypeScript declarations for typed views: what a property of a view gives, and takes where it can be
 * assigned. A struct becomes an interface whose anonymous members are spread into it, as in C; typedefs and modifiers
 * vanish; an anonymous type is called after the typedef or the field that has it.
 */

import type { Btf } from './btf.ts';
import { MAX_RESOLVE_DEPTH, typeError } from './layout.ts';
import { NameSpace } from './name-space.ts';
import type { BtfComposite, BtfEnum, BtfEnum64, BtfMember, BtfType } from './types.ts';

/** Properties in all: more than ten times Linux's. Hostile BTF can ask for much more. */
const MAX_PROPERTIES = 4_000_000;
/** Characters up to which a type without a name is called by the way that leads to it: of types nested in each other that grows. */
const LONGEST_HINT = 512;

/** Names that a declaration cannot have, or that mean something else in the file. */
const RESERVED = [
  ...['any', 'async', 'await', 'bigint', 'boolean', 'break', 'case', 'catch', 'class', 'const', 'continue'],
  ...[
    'debugger',
    'declare',
    'default',
    'delete',
    'do',
    'else',
    'enum',
    'export',
    'extends',
    'false',
    'finally',
  ],
  ...[
    'for',
    'function',
    'if',
    'implements',
    'import',
    'in',
    'instanceof',
    'interface',
    'let',
    'never',
    'new',
  ],
  ...['null', 'number', 'object', 'package', 'private', 'protected', 'public', 'return', 'static', 'string'],
  ...['super', 'switch', 'symbol', 'this', 'throw', 'true', 'try', 'type', 'typeof', 'undefined', 'unknown'],
  ...['var', 'void', 'while', 'with', 'yield', 'ArrayView', 'Globals', 'Pointer'],
];

/** Data sections that hold no variables for user space. */
const NOT_DATA = new Set([
  ...['.maps', '.ksyms', 'license', 'version', '.struct_ops', '.struct_ops.link'],
  // Of bpf_type_emit in our headers, for their types alone.
  '.type_emit',
]);

export interface PrintTsOptions {
  /** Print these types and what they use. Default: all named structs, unions and enums. */
  readonly roots?: readonly number[];
  /** Where `ArrayView` and `Pointer` come from. Default `bpf-arena`. */
  readonly importFrom?: string;
}

/**
 * TypeScript declarations for the own types of `btf`, and an interface `Globals` when it has global variables.
 *
 * Integers up to 32 bits are numbers, wider ones bigint; an enum is the name of one of its values or, for others, the
 * number; an array of char also takes a string; a pointer to a struct is that struct or null, any other a `Pointer`.
 *
 * @throws FormatError when types are damaged
 */
export function printTs(btf: Btf, { roots, importFrom = 'bpf-arena' }: PrintTsOptions = {}): string {
  const printer = new TsPrinter(btf);
  const globals = printer.globals();
  for (const id of roots ?? printer.namedTypes()) printer.use(id);
  const body = `${printer.declarations()}${globals}`;
  const used = ['ArrayView', 'Pointer'].filter((name) => body.includes(`${name}<`));
  const imports = used.length > 0 ? `import type { ${used.join(', ')} } from '${importFrom}';\n\n` : '';
  return `${imports}${body.trimEnd()}\n`;
}

class TsPrinter {
  readonly #btf: Btf;
  readonly #space = new NameSpace(RESERVED);
  readonly #names = new Map<number, string>();
  /** Ids whose declaration is wanted, in order; it grows while they are printed. */
  readonly #wanted: number[] = [];
  readonly #seen = new Set<number>();
  readonly #typedefNames = new Map<number, string>();
  #properties = 0;

  constructor(btf: Btf) {
    this.#btf = btf;
    // Named types first, so that their names do not depend on what is printed.
    for (let id = 1; id < btf.count; id++) {
      const kind = btf.kindOf(id);
      const name = btf.nameOf(id);
      if (isDeclared(kind) && name !== '') this.#names.set(id, this.#space.claim(name));
      if (kind !== 'typedef') continue;
      const type = btf.type(id);
      if (type.kind === 'typedef' && !this.#typedefNames.has(type.type)) {
        this.#typedefNames.set(type.type, name);
      }
    }
  }

  namedTypes(): number[] {
    const ids: number[] = [];
    for (let id = this.#btf.startId; id < this.#btf.count; id++) {
      if (!isDeclared(this.#btf.kindOf(id))) continue;
      if (this.#btf.nameOf(id) !== '' || this.#typedefNames.has(id)) ids.push(id);
    }
    return ids;
  }

  /** Asks for a declaration. */
  use(id: number): void {
    const resolved = this.#btf.resolve(id);
    if (isDeclared(this.#btf.kindOf(resolved))) this.#nameOf(resolved, `type_${resolved}`);
  }

  declarations(): string {
    const output: string[] = [];
    for (let i = 0; i < this.#wanted.length; i++) {
      const id = this.#wanted[i];
      const type = this.#btf.type(id);
      const name = this.#names.get(id) ?? '';
      if (type.kind === 'enum' || type.kind === 'enum64') {
        output.push(`export type ${name} = ${enumUnion(type)};\n\n`);
      } else if (type.kind === 'struct' || type.kind === 'union') {
        const properties = new Map<string, string>();
        this.#collect(id, type, name, properties, 0);
        const lines = [...properties.values()].map((line) => `  ${line}\n`);
        output.push(`export interface ${name} {\n${lines.join('')}}\n\n`);
      }
    }
    return output.join('');
  }

  /** The interface of all variables in data sections, or nothing. */
  globals(): string {
    const lines = new Map<string, string>();
    for (let id = this.#btf.startId; id < this.#btf.count; id++) {
      const section = this.#btf.kindOf(id) === 'datasec' ? this.#btf.type(id) : undefined;
      if (section?.kind !== 'datasec' || NOT_DATA.has(section.name)) continue;
      for (const entry of section.variables) {
        const variable = this.#btf.type(entry.type);
        if (variable.kind !== 'var') continue;
        lines.set(variable.name, this.#property(variable.name, variable.type, variable.name));
      }
    }
    if (lines.size === 0) return '';
    return `/** The object's global variables. */\nexport interface Globals {\n${[...lines.values()].map((line) => `  ${line}\n`).join('')}}\n`;
  }

  /** The properties of a struct, those of its anonymous members among them. */
  #collect(id: number, type: BtfComposite, owner: string, into: Map<string, string>, depth: number): void {
    if (depth > MAX_RESOLVE_DEPTH) throw typeError(this.#btf, id, 'anonymous members nested too deeply');
    for (const member of type.members) {
      this.#spend(id);
      if (member.name !== '') {
        into.set(member.name, this.#member(member, owner));
        continue;
      }
      const inner = this.#btf.resolve(member.type);
      const innerType = this.#btf.type(inner);
      if (innerType.kind === 'struct' || innerType.kind === 'union') {
        this.#collect(inner, innerType, owner, into, depth + 1);
      }
    }
  }

  #member({ name, type, bitfieldSize }: BtfMember, owner: string): string {
    const resolved = this.#resolved(type);
    const wide = bitfieldSize > 32 || ('size' in resolved && resolved.size > 4);
    if (bitfieldSize > 0 && resolved.kind === 'int' && !resolved.bool) {
      return `${propertyKey(name)}: ${wide ? 'bigint' : 'number'};`;
    }
    return this.#property(name, type, `${owner}_${name}`);
  }

  #property(name: string, type: number, hint: string): string {
    const { kind } = this.#resolved(type);
    const key = propertyKey(name);
    const text = this.#typeText(type, hint);
    if (this.#isText(type)) return `get ${key}(): ${text};\n  set ${key}(value: ${text} | string);`;
    const readonly = kind === 'array' || kind === 'struct' || kind === 'union';
    return `${readonly ? 'readonly ' : ''}${key}: ${text};`;
  }

  /** @param hint what an anonymous type found there is called */
  #typeText(start: number, hint: string): string {
    let prefix = '';
    let suffix = '';
    let id = start;
    for (let depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
      id = this.#btf.resolve(id);
      const type = this.#btf.type(id);
      switch (type.kind) {
        case 'ptr': {
          const target = this.#resolved(type.type).kind;
          const isStruct = target === 'struct' || target === 'union';
          if (!isStruct) prefix += 'Pointer<';
          suffix = `${isStruct ? '' : '>'} | null${suffix}`;
          id = type.type;
          break;
        }
        case 'array':
          prefix += 'ArrayView<';
          suffix = `>${suffix}`;
          id = type.type;
          break;
        case 'int':
          return `${prefix}${type.bool ? 'boolean' : type.size > 4 ? 'bigint' : 'number'}${suffix}`;
        case 'float':
          return `${prefix}number${suffix}`;
        case 'struct':
        case 'union':
        case 'enum':
        case 'enum64':
          return `${prefix}${this.#nameOf(id, hint)}${suffix}`;
        default:
          // Void, functions and types that are only declared: there is nothing to look at.
          return `${prefix}unknown${suffix}`;
      }
    }
    throw typeError(this.#btf, start, 'pointers and arrays nested too deeply');
  }

  /** An array of char. */
  #isText(id: number): boolean {
    const array = this.#resolved(id);
    if (array.kind !== 'array') return false;
    const element = this.#resolved(array.type);
    return element.kind === 'int' && element.name === 'char';
  }

  #resolved(id: number): BtfType {
    return this.#btf.type(this.#btf.resolve(id));
  }

  /** The name of a declared type; mentioning it brings in its declaration. */
  #nameOf(id: number, hint: string): string {
    let name = this.#names.get(id);
    if (name === undefined) {
      name = this.#space.claim(
        this.#typedefNames.get(id) ?? (hint.length > LONGEST_HINT ? `type_${id}` : hint),
      );
      this.#names.set(id, name);
    }
    if (!this.#seen.has(id)) {
      this.#seen.add(id);
      this.#wanted.push(id);
    }
    return name;
  }

  #spend(id: number): void {
    if (++this.#properties > MAX_PROPERTIES) {
      throw typeError(this.#btf, id, `more than ${MAX_PROPERTIES} properties in all`);
    }
  }
}

function isDeclared(kind: string): boolean {
  return kind === 'struct' || kind === 'union' || kind === 'enum' || kind === 'enum64';
}

function enumUnion(type: BtfEnum | BtfEnum64): string {
  const names = [...new Set(type.values.map(({ name }) => quote(name)))];
  return [...names, type.size > 4 ? 'bigint' : 'number'].join(' | ');
}

function propertyKey(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}

function quote(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}
