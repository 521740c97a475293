import { type Annotate, codeLines, constantText, localNames } from './code.ts';
import {
  type DataSegment,
  type ElementSegment,
  type ExternalKind,
  imported,
  type Module,
  readModule,
} from './module.ts';
import { identifier } from './names.ts';
import { nameText, stringText } from './numbers.ts';
import { listed, words } from './operands.ts';
import { Reader } from './reader.ts';
import { declared, nameOf } from './scope.ts';
import type { FunctionType, Limits } from './types.ts';

/**
 * Prints a binary WebAssembly module in the text format (WAT), which `wat2wasm` and its like take back. It knows what the
 * JIT emits and all of the core specification but SIMD, with threads, tail calls, several memories and branch hints.
 */

export interface WatOptions {
  /** Text for comment lines before the instruction at an offset, in bytes from the module's start. */
  readonly annotate?: Annotate;
}

/**
 * The text of a module. Functions, locals and all else have the names that its `name` section gives them.
 * Throws FormatError, with the offset, for bytes that are no module, and for instructions that are not known here.
 */
export function printWat(bytes: Uint8Array, { annotate }: WatOptions = {}): string {
  const module = readModule(bytes);
  const reader = new Reader(bytes);
  const { names } = module;
  const lines = [
    names.module === undefined ? '(module' : `(module ${identifier(names.module)}`,
    ...module.types.map((type, i) => `  (type ${declared(module, 'type', i)} (func${signature(type)}))`),
    ...importLines(module),
    ...functionLines(module, annotate),
    ...definitionLines(module, 'table'),
    ...definitionLines(module, 'memory'),
    ...definitionLines(module, 'global'),
    ...module.exports.map(
      ({ name, kind, index }) =>
        `  (export ${nameText(name)} (${kind} ${nameOf(module, kind, index, reader)}))`,
    ),
    ...(module.start === undefined ? [] : [`  (start ${nameOf(module, 'func', module.start, reader)})`]),
    ...module.elements.map(
      (segment, i) => `  (elem ${declared(module, 'elem', i)} ${elementText(module, segment)})`,
    ),
    ...module.data.map(
      (segment, i) => `  (data ${declared(module, 'data', i)} ${dataText(module, segment)})`,
    ),
    ...module.custom.map(({ name, bytes: size }) => `  ;; custom section ${nameText(name)}, ${size} bytes`),
    ')',
  ];
  return `${lines.join('\n')}\n`;
}

function signature({ params, results }: FunctionType): string {
  const text = words(listed('param', params), listed('result', results));
  return text === '' ? '' : ` ${text}`;
}

function limitsText({ min, max, shared }: Limits): string {
  return words(String(min), max === undefined ? '' : String(max), shared ? 'shared' : '');
}

/** What a declaration says behind its name. */
const DECLARATIONS: { readonly [Kind in ExternalKind]: (module: Module, index: number) => string } = {
  func: (module, index) => typeUse(module, module.funcs[index]),
  table: ({ tables }, index) => words(limitsText(tables[index].limits), tables[index].type),
  memory: ({ memories }, index) => limitsText(memories[index]),
  global: (module, index) => {
    const { type, mutable, value } = module.globals[index];
    return words(mutable ? `(mut ${type})` : type, value === undefined ? '' : constantText(module, value));
  },
};

function declaration(module: Module, kind: ExternalKind, index: number): string {
  return `(${kind} ${words(declared(module, kind, index), DECLARATIONS[kind](module, index))})`;
}

function importLines(module: Module): string[] {
  const next = { func: 0, table: 0, memory: 0, global: 0 };
  return module.imports.map(
    ({ module: from, name, kind }) =>
      `  (import ${nameText(from)} ${nameText(name)} ${declaration(module, kind, next[kind]++)})`,
  );
}

function definitionLines(module: Module, kind: 'table' | 'memory' | 'global'): string[] {
  const all = { table: module.tables, memory: module.memories, global: module.globals }[kind];
  const first = imported(module, kind);
  return all.slice(first).map((_, i) => `  ${declaration(module, kind, first + i)}`);
}

function typeUse(module: Module, type: number): string {
  return `(type ${module.names.type.get(type) ?? type})${signature(module.types[type])}`;
}

function functionLines(module: Module, annotate: Annotate | undefined): string[] {
  const first = imported(module, 'func');
  return module.bodies.flatMap((body, i) => {
    const index = first + i;
    const type = module.funcs[index];
    const { params, results } = module.types[type];
    const names = localNames(module, index, params.length + body.locals.length);
    const parameters = named('param', params, names, 0);
    const head = words(
      `(func ${declared(module, 'func', index)} (type ${module.names.type.get(type) ?? type})`,
      ...parameters,
      listed('result', results),
    );
    return [
      `  ${head}`,
      ...filled(named('local', body.locals, names, params.length), 100).map((line) => `    ${line}`),
      ...codeLines(module, index, module.types[type], body, annotate),
      '  )',
    ];
  });
}

/** `(param $r1 i64)`, each by itself; those without a name have their number in a comment. */
function named(
  keyword: 'param' | 'local',
  types: readonly string[],
  names: readonly (string | undefined)[],
  first: number,
): string[] {
  return types.map((type, i) => `(${keyword} ${names[first + i] ?? `(;${first + i};)`} ${type})`);
}

/** Words in lines of about `width` characters. */
function filled(parts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length < width) lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(part);
  }
  return lines;
}

function elementText(module: Module, { mode, table, offset, type, items }: ElementSegment): string {
  const text = items.map((item) =>
    typeof item === 'number'
      ? nameOf(module, 'func', item, new Reader(new Uint8Array()))
      : `(item ${constantText(module, item)})`,
  );
  return words(place(module, 'table', table, offset), mode === 'declare' ? 'declare' : '', type, ...text);
}

/** Bytes in a line of a data segment. */
const DATA_LINE = 64;

function dataText(module: Module, { memory, offset, bytes }: DataSegment): string {
  const strings: string[] = [];
  for (let at = 0; at < bytes.length || at === 0; at += DATA_LINE)
    strings.push(stringText(bytes.subarray(at, at + DATA_LINE)));
  return words(place(module, 'memory', memory, offset), strings.join('\n    '));
}

/** Where an active segment goes. */
function place(module: Module, space: 'table' | 'memory', index: number, offset: Reader | undefined): string {
  if (offset === undefined) return '';
  const where = index === 0 ? '' : `(${space} ${nameOf(module, space, index, offset)})`;
  return words(where, `(offset ${constantText(module, offset)})`);
}
