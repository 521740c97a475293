/**
 * The assembler's directives: one table from name to handler, GNU as where it has one, and those BPF needs (`.map`,
 * `.var`, `.func`, `.decl_tag`, `.extern`, `.license`, `.types`). docs/assembly.md describes each.
 */

import type { Builder } from './builder.ts';
import { elementSize, parsePrototype, parseType } from './ctype.ts';
import type { Cursor } from './lexer.ts';
import type { Binding, CType, ExternDeclaration, MapDeclaration } from './unit.ts';

/** Takes the directive's operands; the caller takes the end of the statement. */
type Handler = (at: Cursor, builder: Builder, line: number) => void;

const U32_MAX = 0xffff_ffff;
const MAX_ALIGN = 1 << 20;

const DIRECTIVES: Readonly<Record<string, Handler>> = {
  '.text': (_, builder) => builder.enter('.text'),
  '.data': (_, builder) => builder.enter('.data'),
  '.rodata': (_, builder) => builder.enter('.rodata'),
  '.bss': (_, builder) => builder.enter('.bss'),
  '.section': section,
  '.globl': (at, builder) => bind(at, builder, 'global'),
  '.global': (at, builder) => bind(at, builder, 'global'),
  '.weak': (at, builder) => bind(at, builder, 'weak'),
  '.local': (at, builder) => bind(at, builder, 'local'),
  '.static': (at, builder) => bind(at, builder, 'local'),
  '.type': type,
  '.size': size,
  '.equ': equ,
  '.set': equ,
  '.byte': integers(1),
  '.short': integers(2),
  '.hword': integers(2),
  '.2byte': integers(2),
  '.long': integers(4),
  '.int': integers(4),
  '.4byte': integers(4),
  '.quad': integers(8),
  '.8byte': integers(8),
  '.ascii': strings(''),
  '.asciz': strings('\0'),
  '.string': strings('\0'),
  '.zero': zero,
  '.skip': zero,
  '.space': zero,
  '.align': (at, builder, line) => align(at, builder, line, false),
  '.balign': (at, builder, line) => align(at, builder, line, false),
  '.p2align': (at, builder, line) => align(at, builder, line, true),
  '.func': func,
  '.var': variable,
  '.map': map,
  '.map_values': mapValues,
  '.extern': extern,
  '.decl_tag': declTag,
  '.license': (at, builder) => {
    builder.license = at.expectString('the license as a string');
  },
  '.types': (at, builder) => {
    builder.types = `${builder.types ?? ''}${at.expectString('C declarations as a string')}`;
  },
  // What clang -S writes besides and what has no meaning here.
  '.file': skip,
  '.ident': skip,
  '.addrsig': skip,
  '.addrsig_sym': skip,
  '.loc': skip,
};

/** Runs the directive whose name was just taken. @throws FormatError for one that does not exist, or its operands. */
export function runDirective(name: string, at: Cursor, builder: Builder, line: number): void {
  if (!Object.hasOwn(DIRECTIVES, name)) at.reject(`there is no directive \`${name}\``, line);
  DIRECTIVES[name](at, builder, line);
}

function skip(at: Cursor): void {
  while (at.peek().kind !== 'end') at.take();
}

/** `.section NAME [, "flags" [, @type]]`; the flag `x` makes it code. */
function section(at: Cursor, builder: Builder, line: number): void {
  const name = at.peek().kind === 'string' ? at.expectString('a name') : at.takeRaw('a section name');
  let kind: 'code' | 'data' | undefined;
  if (at.accept(',')) {
    const flags = at.expectString('flags, such as "ax"');
    kind = flags.includes('x') ? 'code' : 'data';
    if (at.accept(',')) {
      at.expect('@');
      at.expectName('progbits or nobits');
      // The entry size of a mergeable section; nothing is merged here.
      if (at.accept(',')) at.constant('an entry size');
    }
  }
  builder.enter(name, kind, line);
}

function bind(at: Cursor, builder: Builder, binding: Binding): void {
  do builder.attributesOf(at.expectName('a symbol')).binding = binding;
  while (at.accept(','));
}

/** `.type NAME, @function` or `@object`. */
function type(at: Cursor, builder: Builder): void {
  const name = at.expectName('a symbol');
  at.expect(',');
  if (!at.accept('@')) at.expect('%');
  const what = at.expectName('function or object');
  if (what !== 'function' && what !== 'object') at.reject(`expected function or object, found \`${what}\``);
  builder.attributesOf(name).type = what;
}

/** `.size NAME, .-NAME` or `.size NAME, BYTES`. */
function size(at: Cursor, builder: Builder): void {
  const name = at.expectName('a symbol');
  at.expect(',');
  const attributes = builder.attributesOf(name);
  if (!at.accept('.')) {
    // clang -S writes the end as a label: `.Lfunc_end0-name`.
    const end = at.at('-', 1) ? builder.offsetOf(at.peek().text) : undefined;
    if (end === undefined) {
      attributes.size = at.integer(0, U32_MAX, 'a size in bytes');
      return;
    }
    at.take();
    attributes.size = end - startOf(at, builder);
    return;
  }
  attributes.size = builder.offset - startOf(at, builder);
}

/** `- NAME`: where NAME begins in the current section. */
function startOf(at: Cursor, builder: Builder): number {
  at.expect('-');
  const { line } = at.peek();
  const name = at.expectName('a symbol');
  return builder.offsetOf(name) ?? at.reject(`\`${name}\` is not defined in this section`, line);
}

/** `.equ NAME, VALUE`. */
function equ(at: Cursor, builder: Builder, line: number): void {
  const name = at.expectName('a name');
  if (/^[rw]\d+$/.test(name)) at.reject(`\`${name}\` is a register`, line);
  at.expect(',');
  builder.constants.set(name, at.constant());
}

function integers(bytes: 1 | 2 | 4 | 8): Handler {
  return (at, builder, line) => {
    do integer(at, builder, bytes, line);
    while (at.accept(','));
  };
}

/** One number of this many bytes, signed or unsigned; at 8 bytes also a symbol. */
function integer(at: Cursor, builder: Builder, bytes: number, line: number): void {
  const { value, symbol } = at.expression();
  if (symbol !== undefined) {
    if (bytes !== 8) at.reject(`expected a number; the address of \`${symbol}\` takes 8 bytes`, line);
    builder.pointer(symbol, value, line);
    return;
  }
  const bits = 8 * bytes;
  if (BigInt.asIntN(bits, value) !== value && BigInt.asUintN(bits, value) !== value) {
    at.reject(`expected a number of ${bits} bits, found ${value}`, line);
  }
  const word = new Uint8Array(8);
  new DataView(word.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  builder.data(word.subarray(0, bytes), line);
}

function strings(end: string): Handler {
  return (at, builder, line) => {
    do builder.data(new TextEncoder().encode(at.expectString('a string') + end), line);
    while (at.accept(','));
  };
}

/** `.zero COUNT [, VALUE]`. */
function zero(at: Cursor, builder: Builder, line: number): void {
  const count = at.integer(0, U32_MAX, 'a number of bytes');
  builder.fill(count, at.accept(',') ? at.integer(-128, 255, 'a byte') & 0xff : 0, line);
}

function align(at: Cursor, builder: Builder, line: number, exponent: boolean): void {
  const operand = at.integer(exponent ? 0 : 1, exponent ? 20 : MAX_ALIGN, 'an alignment');
  const bytes = exponent ? 1 << operand : operand;
  if ((bytes & (bytes - 1)) !== 0) at.reject(`expected a power of two, found ${bytes}`, line);
  // GNU as takes a fill byte too; only zero is of use.
  if (at.accept(',')) at.integer(0, 0, 'a fill of zero');
  builder.alignTo(bytes, line);
}

/** `.func [static] NAME [: PROTOTYPE]`: a function begins here. */
function func(at: Cursor, builder: Builder, line: number): void {
  const binding = takeBinding(at);
  const name = at.expectName('a function');
  const attributes = builder.attributesOf(name);
  attributes.type = 'function';
  attributes.binding ??= binding;
  if (at.accept(':')) attributes.prototype = parsePrototype(at);
  if (!builder.inCode) at.reject('expected a code section around a function', line);
  builder.label(name, line);
}

/** `static` makes local what is global by default. */
function takeBinding(at: Cursor): Binding {
  const isStatic = at.at('static') && at.peek(1).kind === 'name';
  if (isStatic) at.take();
  return isStatic ? 'local' : 'global';
}

/** `.var [static] NAME : TYPE [= VALUE, …]`: a variable begins here, aligned; elements not given are zero. */
function variable(at: Cursor, builder: Builder, line: number): void {
  const binding = takeBinding(at);
  const name = at.expectName('a variable');
  at.expect(':');
  const ctype = parseType(at, true);
  const element = elementSize(ctype);
  if (element === undefined || element === 0) {
    at.reject(
      `expected an integer or pointer type, found \`${ctype.base}\`: lay a struct out with .long and its kin`,
      line,
    );
  }
  if (builder.inCode) at.reject('expected a data section around a variable', line);
  builder.alignTo(element, line);
  builder.label(name, line);
  const count = ctype.count ?? 1;
  const attributes = builder.attributesOf(name);
  attributes.type = 'object';
  attributes.binding ??= binding;
  attributes.ctype = ctype;
  attributes.size = element * count;
  const given = at.accept('=') ? values(at, builder, element, line) : 0;
  if (given > count) at.reject(`expected at most ${count} values, found ${given}`, line);
  builder.fill((count - given) * element, 0, line);
}

/** Emits comma-separated values; how many there were. */
function values(at: Cursor, builder: Builder, element: number, line: number): number {
  let given = 0;
  do {
    integer(at, builder, element, line);
    given++;
  } while (at.accept(','));
  return given;
}

/** Writable while the directive is read. */
type OpenMap = { -readonly [Key in keyof MapDeclaration]: MapDeclaration[Key] };

const MAP_ATTRIBUTES: Readonly<Record<string, (at: Cursor, map: OpenMap) => void>> = {
  type: (at, map) => {
    map.type = at.peek().kind === 'name' ? mapTypeName(at.take().text) : at.integer(0, U32_MAX, 'a map type');
  },
  key_size: (at, map) => {
    map.keySize = at.integer(0, U32_MAX, 'a size in bytes');
  },
  value_size: (at, map) => {
    map.valueSize = at.integer(0, U32_MAX, 'a size in bytes');
  },
  max_entries: (at, map) => {
    map.maxEntries = at.integer(0, U32_MAX, 'a number of entries');
  },
  map_flags: (at, map) => {
    map.mapFlags = at.integer(0, U32_MAX, 'flags');
  },
  map_extra: (at, map) => {
    map.mapExtra = BigInt.asUintN(64, at.constant());
  },
  numa_node: (at, map) => {
    map.numaNode = at.integer(0, U32_MAX, 'a NUMA node');
  },
  pinning: (at, map) => {
    if (at.accept('by_name')) map.pinning = 1;
    else map.pinning = at.accept('none') ? 0 : at.integer(0, U32_MAX, 'none or by_name');
  },
  key: (at, map) => {
    map.key = parseType(at, true);
  },
  value: (at, map) => {
    map.value = parseType(at, true);
  },
  inner: (at, map) => {
    map.inner = at.expectName('a map');
  },
};

function mapTypeName(name: string): string {
  return name.toLowerCase().replace(/^bpf_map_type_/, '');
}

/** `.map NAME, type=arena, max_entries=100, …`. */
function map(at: Cursor, builder: Builder, line: number): void {
  const name = at.expectName('a map');
  const declared: OpenMap = { name, line, type: '', values: [] };
  const seen = new Set<string>();
  while (at.accept(',')) {
    const { text } = at.peek();
    if (!Object.hasOwn(MAP_ATTRIBUTES, text))
      at.fail(`a map attribute (${Object.keys(MAP_ATTRIBUTES).join(', ')})`);
    if (seen.has(text)) at.reject(`\`${text}\` is given twice`, line);
    seen.add(text);
    at.take();
    at.expect('=');
    MAP_ATTRIBUTES[text](at, declared);
  }
  if (!seen.has('type')) at.reject(`map \`${name}\` needs \`type=\``, line);
  builder.declareMap({ ...declared, ...implied(declared) });
}

/** Sizes that key and value types imply, as libbpf takes them from `__type`. */
function implied({ key, value, keySize, valueSize }: MapDeclaration): Partial<MapDeclaration> {
  return { keySize: keySize ?? bytesOf(key), valueSize: valueSize ?? bytesOf(value) };
}

function bytesOf(ctype: CType | undefined): number | undefined {
  const element = ctype && elementSize(ctype);
  return element === undefined ? undefined : element * (ctype?.count ?? 1);
}

/** `.map_values NAME, INDEX, SYMBOL [, INDEX, SYMBOL …]`: maps of a map of maps, programs of a prog_array. */
function mapValues(at: Cursor, builder: Builder, line: number): void {
  const name = at.expectName('a map');
  const found = builder.maps.findIndex((each) => each.name === name);
  if (found < 0) at.reject(`map \`${name}\` is not declared above`, line);
  const added = [...builder.maps[found].values];
  do {
    at.expect(',');
    const index = at.integer(0, U32_MAX, 'an index');
    at.expect(',');
    added.push({ index, symbol: at.expectName('a map or program') });
  } while (at.at(','));
  builder.maps[found] = { ...builder.maps[found], values: added };
}

/** `.extern [weak] kfunc|ksym|kconfig|func NAME [: PROTOTYPE or TYPE]`. */
function extern(at: Cursor, builder: Builder, line: number): void {
  const weak = at.accept('weak');
  const kind = at.peek().text;
  if (kind !== 'kfunc' && kind !== 'ksym' && kind !== 'kconfig' && kind !== 'func') {
    at.fail('kfunc, ksym, kconfig or func');
  }
  at.take();
  const name = at.expectName('a symbol');
  const declared: ExternDeclaration = { name, line, kind, weak };
  if (!at.accept(':')) builder.declareExtern(declared);
  else if (kind === 'kfunc' || kind === 'func')
    builder.declareExtern({ ...declared, prototype: parsePrototype(at) });
  else builder.declareExtern({ ...declared, ctype: parseType(at, true) });
}

/** `.decl_tag FUNCTION, [PARAMETER,] "TEXT"`: what clang's attribute btf_decl_tag says of a function, or a parameter. */
function declTag(at: Cursor, builder: Builder, line: number): void {
  const symbol = at.expectName('a function');
  at.expect(',');
  if (at.peek().kind === 'string') {
    builder.declTags.push({ symbol, text: at.expectString('a tag'), line });
    return;
  }
  const parameter = at.integer(0, MAX_PARAMETER, 'a parameter, counted from 0');
  at.expect(',');
  builder.declTags.push({ symbol, parameter, text: at.expectString('a tag'), line });
}

/** Calls pass five. */
const MAX_PARAMETER = 4;
