import { type Names, NO_NAMES, readNames } from './names.ts';
import { Reader } from './reader.ts';
import {
  type FunctionType,
  type GlobalType,
  type Limits,
  readGlobalType,
  readLimits,
  readTable,
  readType,
  referenceType,
  type TableType,
  valueType,
} from './types.ts';

/**
 * Takes a binary module apart: what each section declares, and where the code is. Code stays bytes until it is printed.
 * (Core specification, binary format; limits of the threads proposal; branch hinting proposal.)
 */

export interface Body {
  /** Offset in the module where branch hints count from: that of the local declarations. */
  readonly start: number;
  /** Types of the locals that are no parameters. */
  readonly locals: readonly string[];
  /** At the first instruction. */
  readonly code: Reader;
}

export type SegmentMode = 'active' | 'passive' | 'declare';

export interface ElementSegment {
  readonly mode: SegmentMode;
  readonly table: number;
  readonly offset: Reader | undefined;
  readonly type: string;
  /** Functions, or expressions that give references. */
  readonly items: readonly (number | Reader)[];
}

export interface DataSegment {
  readonly mode: SegmentMode;
  readonly memory: number;
  readonly offset: Reader | undefined;
  readonly bytes: Uint8Array;
}

export type ExternalKind = (typeof EXTERNAL_KINDS)[number];
const EXTERNAL_KINDS = ['func', 'table', 'memory', 'global'] as const;

export interface Module {
  readonly types: FunctionType[];
  /** In the order in which the module lists them. */
  readonly imports: { readonly module: string; readonly name: string; readonly kind: ExternalKind }[];
  /** The types of functions: of those that are imported, then of those that are defined; likewise below. */
  readonly funcs: number[];
  readonly tables: TableType[];
  readonly memories: Limits[];
  /** With their initial value, where they are defined. */
  readonly globals: (GlobalType & { readonly value: Reader | undefined })[];
  readonly exports: { readonly name: string; readonly kind: ExternalKind; readonly index: number }[];
  start: number | undefined;
  readonly elements: ElementSegment[];
  dataCount: number | undefined;
  /** Of the functions that are defined. */
  readonly bodies: Body[];
  readonly data: DataSegment[];
  names: Names;
  /** Branch hints: by function, by offset from the body's start. 1: likely. */
  readonly hints: Map<number, Map<number, number>>;
  /** Custom sections that are not shown otherwise. */
  readonly custom: { readonly name: string; readonly bytes: number }[];
}

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** As V8 has it; a module with more is refused everywhere. */
const MAX_LOCALS = 50_000;

/** Sections in the order in which they must come. */
const SECTIONS: readonly (readonly [id: number, name: string, read: (r: Reader, m: Module) => void])[] = [
  [1, 'type', (r, m) => each(r, () => m.types.push(readType(r)))],
  [2, 'import', (r, m) => each(r, () => readImport(r, m))],
  [3, 'function', (r, m) => each(r, () => m.funcs.push(typeIndex(r, m)))],
  [4, 'table', (r, m) => each(r, () => m.tables.push(readTable(r)))],
  [5, 'memory', (r, m) => each(r, () => m.memories.push(readLimits(r)))],
  [6, 'global', (r, m) => each(r, () => readGlobal(r, m))],
  [7, 'export', (r, m) => each(r, () => readExport(r, m))],
  [8, 'start', (r, m) => Object.assign(m, { start: r.u32() })],
  [9, 'element', (r, m) => each(r, () => m.elements.push(readElements(r)))],
  [12, 'data count', (r, m) => Object.assign(m, { dataCount: r.u32() })],
  [10, 'code', (r, m) => each(r, () => m.bodies.push(readBody(r)))],
  [11, 'data', (r, m) => each(r, () => m.data.push(readData(r)))],
];

function each(reader: Reader, item: () => unknown): void {
  reader.vector(item);
}

/** Throws FormatError for bytes that are no module, and for what this room does not know (SIMD, garbage collection, …). */
export function readModule(bytes: Uint8Array): Module {
  const reader = new Reader(bytes);
  for (const byte of HEADER)
    if (reader.byte() !== byte) throw reader.error('this is not version 1 of a module', reader.at - 1);
  const module: Module = {
    types: [],
    imports: [],
    funcs: [],
    tables: [],
    memories: [],
    globals: [],
    exports: [],
    start: undefined,
    elements: [],
    dataCount: undefined,
    bodies: [],
    data: [],
    names: NO_NAMES,
    hints: new Map(),
    custom: [],
  };
  let next = 0;
  while (!reader.done) {
    const at = reader.at;
    const id = reader.byte();
    const section = reader.part(reader.u32());
    if (id === 0) {
      readCustom(section, module);
      continue;
    }
    const place = SECTIONS.findIndex(([known]) => known === id);
    if (place < 0) throw reader.error(`section ${id} is not known here`, at);
    const [, name, read] = SECTIONS[place];
    if (place < next) throw reader.error(`section ${name} comes too late, or twice`, at);
    next = place + 1;
    read(section, module);
    section.finish(`section ${name}`);
  }
  const defined = module.funcs.length - imported(module, 'func');
  if (module.bodies.length !== defined)
    throw reader.error(`${defined} functions are declared, ${module.bodies.length} have code`);
  return module;
}

/** How many things of a kind are imported: those that are defined are numbered from there. */
export function imported({ imports }: Module, kind: ExternalKind): number {
  return imports.filter((each) => each.kind === kind).length;
}

function typeIndex(reader: Reader, { types }: Module): number {
  const at = reader.at;
  const index = reader.u32();
  if (index < types.length) return index;
  throw reader.error(`there is no type ${index}`, at);
}

function readGlobal(reader: Reader, module: Module): void {
  module.globals.push({ ...readGlobalType(reader), value: expression(reader) });
}

function readImport(reader: Reader, module: Module): void {
  const from = { module: reader.name(), name: reader.name() };
  const at = reader.at;
  const kind = EXTERNAL_KINDS[reader.byte()];
  switch (kind) {
    case 'func':
      module.funcs.push(typeIndex(reader, module));
      break;
    case 'table':
      module.tables.push(readTable(reader));
      break;
    case 'memory':
      module.memories.push(readLimits(reader));
      break;
    case 'global':
      module.globals.push({ ...readGlobalType(reader), value: undefined });
      break;
    default:
      throw reader.error('an import of a kind that is not known here', at);
  }
  module.imports.push({ ...from, kind });
}

function readExport(reader: Reader, module: Module): void {
  const name = reader.name();
  const at = reader.at;
  const kind = EXTERNAL_KINDS[reader.byte()];
  if (kind === undefined) throw reader.error('an export of a kind that is not known here', at);
  module.exports.push({ name, kind, index: reader.u32() });
}

/** Bits of an element segment's first number: not active; declarative or with a table; expressions instead of functions. */
const NOT_ACTIVE = 1;
const EXPLICIT = 2;
const EXPRESSIONS = 4;

function readElements(reader: Reader): ElementSegment {
  const at = reader.at;
  const flags = reader.u32();
  if (flags > 7) throw reader.error(`an element segment of form ${flags} is not known here`, at);
  const active = (flags & NOT_ACTIVE) === 0;
  const explicit = (flags & EXPLICIT) !== 0;
  const table = active && explicit ? reader.u32() : 0;
  const offset = active ? expression(reader) : undefined;
  const hasType = !active || explicit;
  const mode = active ? 'active' : explicit ? 'declare' : 'passive';
  if ((flags & EXPRESSIONS) !== 0) {
    const type = hasType ? referenceType(reader) : 'funcref';
    return { mode, table, offset, type, items: reader.vector(() => expression(reader)) };
  }
  if (hasType && reader.byte() !== 0) throw reader.error('elements of a kind that is not known here', at);
  return { mode, table, offset, type: 'func', items: reader.vector(() => reader.u32()) };
}

function readData(reader: Reader): DataSegment {
  const at = reader.at;
  const form = reader.u32();
  if (form > 2) throw reader.error(`a data segment of form ${form} is not known here`, at);
  const memory = form === 2 ? reader.u32() : 0;
  const offset = form === 1 ? undefined : expression(reader);
  return { mode: form === 1 ? 'passive' : 'active', memory, offset, bytes: reader.blob() };
}

function readBody(reader: Reader): Body {
  const code = reader.part(reader.u32());
  const start = code.at;
  const locals: string[] = [];
  code.vector(() => {
    const count = code.u32();
    const type = valueType(code);
    if (locals.length + count > MAX_LOCALS) throw code.error(`a function has more than ${MAX_LOCALS} locals`);
    for (let i = 0; i < count; i++) locals.push(type);
  });
  return { start, locals, code };
}

/** Operands' lengths in constant expressions, by opcode; they nest nothing. */
const CONSTANT_OPERANDS: Readonly<Record<number, (r: Reader) => void>> = {
  35: (r) => void r.u32(),
  65: (r) => void r.signed(32),
  66: (r) => void r.signed(64),
  67: (r) => void r.part(4),
  68: (r) => void r.part(8),
  208: (r) => void referenceType(r),
  210: (r) => void r.u32(),
  // i32 and i64 add, sub, mul: constant expressions, extended
  ...Object.fromEntries([0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].map((code) => [code, () => undefined])),
};

const END = 0x0b;

/** A constant expression, skipped over. @returns a reader of its instructions without the `end`. */
function expression(reader: Reader): Reader {
  const start = reader.at;
  for (;;) {
    const at = reader.at;
    const code = reader.byte();
    if (code === END) return new Reader(reader.bytes, start, at);
    const operands = CONSTANT_OPERANDS[code];
    if (operands === undefined)
      throw reader.error(`opcode 0x${code.toString(16)} is not for constant expressions`, at);
    operands(reader);
  }
}

function readCustom(reader: Reader, module: Module): void {
  const name = reader.name();
  if (name === 'name') module.names = readNames(reader);
  else if (name === 'metadata.code.branch_hint') readHints(reader, module);
  else module.custom.push({ name, bytes: reader.end - reader.at });
}

function readHints(reader: Reader, { hints }: Module): void {
  reader.vector(() => {
    const func = reader.u32();
    const byOffset = new Map<number, number>();
    reader.vector(() => {
      const offset = reader.u32();
      const at = reader.at;
      if (reader.u32() !== 1) throw reader.error('a branch hint has one byte', at);
      byOffset.set(offset, reader.byte());
    });
    hints.set(func, byOffset);
  });
  reader.finish('the branch hints');
}
