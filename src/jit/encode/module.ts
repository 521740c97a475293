import { Bytes } from './bytes.ts';
import type { Code } from './code.ts';
import { OP, TYPE, type ValueType } from './opcodes.ts';

/**
 * A WebAssembly module, put together from function bodies: types, imports, functions, exports, code, and the custom
 * sections that carry names and branch hints (core specification, binary format). Types are shared by shape.
 */

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

interface ImportedFunction {
  readonly name: string;
  readonly type: number;
}

interface DefinedFunction {
  readonly name: string;
  readonly type: number;
  readonly code: Code;
  readonly localNames: readonly string[];
}

/** Where the bytes of a module come from: BPF instructions by byte offset, in ascending order. */
export interface Positions {
  readonly offsets: Uint32Array;
  readonly insns: Uint32Array;
}

export interface EncodedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly positions: Positions;
}

/** Globals, imported and never changed: the number of the CPU that runs the instance, i32. */
export const CPU_NUMBER = 0;
/** The upper half of the arena's user_vm_start, in place, i64: so that each arena can run the same module. */
export const USER_HIGH = 1;

/** The table of programs for tail calls, imported where the module makes any; its own table comes behind it. */
export const PROGRAM_TABLE = 0;

/** Globals of the module's own, i32: what the careful versions know of each other (emit/versions.ts). */
export const CREDIT = 2;
export const RETURNED_AT = 3;
const OWN_GLOBALS = 2;

/** Pages of 64 KiB in each of the two memories. */
const WASM_PAGES = 65_536;
const SHARED_WITH_MAXIMUM = 3;
const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  global: 6,
  export: 7,
  element: 9,
  code: 10,
} as const;

/** The imported memories and globals, by their numbers. */
const MEMORY_NAMES = ['arena', 'memory'] as const;
const GLOBALS = [
  ['cpu', TYPE.i32],
  ['userHigh', TYPE.i64],
] as const;

const EXPORT = { function: 0, table: 1 } as const;
/** Under this name a module exports the table that indirect calls go through, where there is one. */
const CALLBACKS = 'callbacks';

/** A mutable i32 that starts as 0. */
const MUTABLE_ZERO = [TYPE.i32, 1, OP.i32_const, 0, OP.end];

/**
 * What engines take at most (WebAssembly JavaScript interface, implementation limits): bytes of a function's body with its
 * local declarations, and locals with parameters.
 */
const LIMITS = { body: 7_654_321, locals: 50_000 } as const;

/** A function is larger than engines take. */
export class FunctionTooLarge extends Error {
  override name = 'FunctionTooLarge';
}

export class ModuleBuilder {
  readonly #types: Signature[] = [];
  readonly #typeKeys = new Map<string, number>();
  readonly #imports: ImportedFunction[] = [];
  readonly #functions: (DefinedFunction | undefined)[] = [];
  /** Function indexes by place; the places between stay empty. */
  readonly #table: (number | undefined)[] = [];
  readonly #exports: { name: string; index: number; kind: number }[] = [];
  /** Imports come first in the numbering of functions, so all must be known before any is used. */
  readonly #importCount: number;
  readonly #importsPrograms: boolean;

  /**
   * @param imports the functions from outside, called by the indexes 0, 1, …
   * @param importsPrograms whether it gets the {@link PROGRAM_TABLE}.
   */
  constructor(imports: readonly (Signature & { readonly name: string })[], importsPrograms = false) {
    this.#importsPrograms = importsPrograms;
    for (const each of imports) this.#imports.push({ name: each.name, type: this.type(each) });
    this.#importCount = imports.length;
  }

  type(signature: Signature): number {
    const key = `${signature.params}:${signature.results}`;
    let index = this.#typeKeys.get(key);
    if (index === undefined) {
      index = this.#types.push(signature) - 1;
      this.#typeKeys.set(key, index);
    }
    return index;
  }

  /** Sets a function's number aside; {@link define} gives it its body. */
  reserve(): number {
    return this.#importCount + this.#functions.push(undefined) - 1;
  }

  define(index: number, name: string, signature: Signature, code: Code, localNames: readonly string[] = []) {
    this.#functions[index - this.#importCount] = { name, type: this.type(signature), code, localNames };
  }

  /** Puts a function into the table that indirect calls go through, or makes room for one that is never called. */
  callable(at: number, index: number | undefined): void {
    this.#table[at] = index;
  }

  /** The number of the table that {@link callable} fills. */
  get ownTable(): number {
    return this.#importsPrograms ? 1 : 0;
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, index, kind: EXPORT.function });
  }

  encode(): EncodedModule {
    const size = this.#functions.reduce((sum, each) => sum + (each?.code.bytes.length ?? 0), 0);
    // Names, hints and what else there is take a tenth of it, mostly.
    const out = new Bytes(Math.ceil(1.2 * size) + 4096);
    for (const byte of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) out.byte(byte);
    const functions = this.#functions.map((each, index) => {
      if (each === undefined) throw new TypeError(`function ${index + this.#importCount} has no body`);
      return each;
    });
    section(out, SECTION.type, (b) => vector(b, this.#types, writeType));
    section(out, SECTION.import, (b) => this.#writeImports(b));
    section(out, SECTION.function, (b) => vector(b, functions, (each) => b.unsigned(each.type)));
    if (this.#table.length > 0) {
      section(out, SECTION.table, (b) => {
        for (const byte of [1, TYPE.funcref, 0]) b.byte(byte);
        b.unsigned(this.#table.length);
      });
    }
    section(out, SECTION.global, (b) => {
      b.unsigned(OWN_GLOBALS);
      for (let i = 0; i < OWN_GLOBALS; i++) for (const byte of MUTABLE_ZERO) b.byte(byte);
    });
    const tables =
      this.#table.length > 0 ? [{ name: CALLBACKS, index: this.ownTable, kind: EXPORT.table }] : [];
    section(out, SECTION.export, (b) => {
      vector(b, [...this.#exports, ...tables], ({ name, index, kind }) => {
        b.name(name);
        b.byte(kind);
        b.unsigned(index);
      });
    });
    const filled = this.#table.flatMap((index, at) => (index === undefined ? [] : [{ index, at }]));
    if (filled.length > 0) {
      section(out, SECTION.element, (b) => {
        vector(b, filled, ({ index, at }) => {
          // A segment for a table that is not the first says so, and what kind of elements it has: functions.
          b.byte(this.#importsPrograms ? 2 : 0);
          if (this.#importsPrograms) b.unsigned(this.ownTable);
          b.byte(OP.i32_const);
          b.signed(at);
          b.byte(OP.end);
          if (this.#importsPrograms) b.byte(0);
          b.unsigned(1);
          b.unsigned(index);
        });
      });
    }
    if (functions.some(({ code }) => code.hints.length > 0))
      section(out, SECTION.custom, (b) => this.#writeHints(b, functions));
    const positions = writeCode(out, functions);
    section(out, SECTION.custom, (b) => this.#writeNames(b, functions));
    return { bytes: out.view.slice(), positions };
  }

  #writeImports(b: Bytes): void {
    b.unsigned(4 + this.#imports.length + (this.#importsPrograms ? 1 : 0));
    for (const name of MEMORY_NAMES) {
      b.name('kernel');
      b.name(name);
      b.byte(2);
      b.byte(SHARED_WITH_MAXIMUM);
      b.unsigned(WASM_PAGES);
      b.unsigned(WASM_PAGES);
    }
    if (this.#importsPrograms) {
      b.name('kernel');
      b.name('programs');
      for (const byte of [1, TYPE.funcref, 0, 0]) b.byte(byte);
    }
    for (const [name, type] of GLOBALS) {
      b.name('kernel');
      b.name(name);
      b.byte(3);
      b.byte(type);
      b.byte(0);
    }
    for (const { name, type } of this.#imports) {
      b.name('kernel');
      b.name(name);
      b.byte(0);
      b.unsigned(type);
    }
  }

  /** Which conditional branches are likely (branch hinting proposal). Offsets count from a body's local declarations. */
  #writeHints(b: Bytes, functions: readonly DefinedFunction[]): void {
    b.name('metadata.code.branch_hint');
    const hinted = functions.flatMap((each, index) => (each.code.hints.length > 0 ? [{ each, index }] : []));
    vector(b, hinted, ({ each: { code }, index }) => {
      b.unsigned(this.#importCount + index);
      b.unsigned(code.hints.length / 2);
      const before = localDeclarations(code).length;
      for (let i = 0; i < code.hints.length; i += 2) {
        b.unsigned(before + code.hints[i]);
        b.unsigned(1);
        b.byte(code.hints[i + 1]);
      }
    });
  }

  #writeNames(b: Bytes, functions: readonly DefinedFunction[]): void {
    b.name('name');
    section(b, 1, (names) => {
      const all = [...this.#imports, ...functions];
      vector(names, all, ({ name }, index) => {
        names.unsigned(index);
        names.name(name);
      });
    });
    section(b, 2, (names) => {
      vector(names, functions, ({ localNames }, index) => {
        names.unsigned(this.#importCount + index);
        vector(names, localNames, (name, local) => {
          names.unsigned(local);
          names.name(name);
        });
      });
    });
    for (const [subsection, all] of [
      [6, MEMORY_NAMES],
      [7, GLOBALS.map(([name]) => name)],
    ] as const)
      section(b, subsection, (names) => {
        vector(names, all, (name, index) => {
          names.unsigned(index);
          names.name(name);
        });
      });
  }
}

function writeType({ params, results }: Signature, _index: number, b: Bytes): void {
  b.byte(TYPE.func);
  vector(b, params, (type) => b.byte(type));
  vector(b, results, (type) => b.byte(type));
}

function writeCode(out: Bytes, functions: readonly DefinedFunction[]): Positions {
  const count = functions.reduce((sum, { code }) => sum + code.positionCount, 0);
  const positions = { offsets: new Uint32Array(count), insns: new Uint32Array(count) };
  const bodies = functions.map(({ code, name }) => {
    const locals = localDeclarations(code);
    const size = locals.length + code.bytes.length + 1;
    if (size > LIMITS.body || code.localCount > LIMITS.locals)
      throw new FunctionTooLarge(`${name}: ${code.bytes.length} bytes, ${code.localCount} locals`);
    return { code, locals, size };
  });
  out.byte(SECTION.code);
  out.unsigned(
    bodies.reduce((sum, { size }) => sum + sizeOfUnsigned(size) + size, sizeOfUnsigned(bodies.length)),
  );
  out.unsigned(bodies.length);
  let next = 0;
  for (const { code, locals, size } of bodies) {
    out.unsigned(size);
    out.append(locals);
    for (let i = 0; i < code.positionCount; i++, next++) {
      positions.offsets[next] = out.length + code.positions[2 * i];
      positions.insns[next] = code.positions[2 * i + 1];
    }
    out.append(code.bytes.view);
    out.byte(OP.end);
  }
  return positions;
}

/** Bytes that an unsigned integer takes. */
function sizeOfUnsigned(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Locals in runs of one type. */
function localDeclarations({ locals }: Code): Uint8Array {
  const runs: { count: number; type: ValueType }[] = [];
  for (const type of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ count: 1, type });
  }
  const b = new Bytes(16);
  vector(b, runs, ({ count, type }) => {
    b.unsigned(count);
    b.byte(type);
  });
  return b.view;
}

function section(out: Bytes, id: number, write: (b: Bytes) => void): void {
  const body = new Bytes(1024);
  write(body);
  out.byte(id);
  out.unsigned(body.length);
  out.append(body.view);
}

function vector<T>(b: Bytes, items: readonly T[], write: (item: T, index: number, b: Bytes) => void): void {
  b.unsigned(items.length);
  items.forEach((item, index) => {
    write(item, index, b);
  });
}
