import type { Body, Module } from './module.ts';
import { type NameMap, unique } from './names.ts';
import { OPCODES, type Opcode, PREFIXED } from './opcodes.ts';
import { blockType, type Locals, NO_LOCALS, operandText, words } from './operands.ts';
import type { Reader } from './reader.ts';
import type { FunctionType } from './types.ts';

/**
 * The instructions of a function, one a line, those inside a structure indented. Branches name the structure that they
 * lead to. Nothing is recursive, so code may nest as deep as it likes.
 */

/** What is to stand before the instruction at an offset in the module, if anything. */
export type Annotate = (offset: number) => string | undefined;

/** Deeper structures are indented no further: else the text of n nested ones would have n² characters. */
const MAX_INDENT = 48;
const NONE: NameMap = new Map();

/** The name of each local: parameters first. Undefined: it has none. */
export function localNames(module: Module, func: number, count: number): (string | undefined)[] {
  const names = module.names.local.get(func) ?? NONE;
  return Array.from({ length: count }, (_, index) => names.get(index));
}

/** Structures that are open, the innermost last; a branch counts from there. */
class Labels {
  readonly open: { readonly label: string; readonly isIf: boolean; hasElse: boolean }[] = [];
  readonly #names: NameMap;
  readonly #taken: Set<string>;
  #next = 0;

  constructor(names: NameMap) {
    this.#names = names;
    this.#taken = new Set(names.values());
  }

  /** The name of the structure that comes next. */
  next(kind: string): string {
    const index = this.#next++;
    return this.#names.get(index) ?? unique(`$${kind}${index}`, index, this.#taken);
  }

  /** The function itself is the outermost, and has no label. */
  at(depth: number): string | undefined {
    if (depth === this.open.length) return String(depth);
    return this.open.at(-1 - depth)?.label;
  }
}

/** The lines of a function's instructions, without its last `end`. */
export function codeLines(
  module: Module,
  func: number,
  type: FunctionType,
  { start, locals, code }: Body,
  annotate: Annotate = () => undefined,
): string[] {
  const lines: string[] = [];
  const labels = new Labels(module.names.label.get(func) ?? NONE);
  const hints = module.hints.get(func);
  const scope = scopeOf(localNames(module, func, type.params.length + locals.length), labels);
  const indented = (text: string, less = 0) =>
    lines.push(`${'  '.repeat(Math.min(labels.open.length, MAX_INDENT) + 2 - less)}${text}`);
  for (;;) {
    const at = code.at;
    for (const line of annotate(at)?.split(/[\r\n]+/) ?? []) indented(`;; ${line}`);
    const hint = hints?.get(at - start);
    const hinted = hint === undefined ? '' : `(@metadata.code.branch_hint "\\0${hint & 1}")`;
    const row = opcodeAt(code);
    switch (row.name) {
      case 'block':
      case 'loop':
      case 'if': {
        const label = labels.next(row.name);
        indented(words(hinted, row.name, label, blockType(code, module)));
        labels.open.push({ label, isIf: row.name === 'if', hasElse: false });
        break;
      }
      case 'else': {
        const top = labels.open.at(-1);
        if (top?.isIf !== true || top.hasElse) throw code.error('an else without its if', at);
        top.hasElse = true;
        indented('else', 1);
        break;
      }
      case 'end':
        if (labels.open.length === 0) {
          code.finish('the end of a function');
          return lines;
        }
        indented('end', 1);
        labels.open.pop();
        break;
      default:
        indented(words(hinted, row.name, operandText(row, code, module, scope)));
    }
  }
}

/** A constant expression: each instruction in parentheses of its own. */
export function constantText(module: Module, expression: Reader): string {
  const parts: string[] = [];
  while (!expression.done) {
    const row = opcodeAt(expression);
    parts.push(`(${words(row.name, operandText(row, expression, module, NO_LOCALS))})`);
  }
  return parts.join(' ');
}

function opcodeAt(reader: Reader): Opcode {
  const at = reader.at;
  const code = reader.byte();
  const prefixed = PREFIXED.get(code);
  const row = prefixed === undefined ? OPCODES.get(code) : prefixed.get(reader.u32());
  if (row !== undefined) return row;
  const bytes = [...reader.bytes.subarray(at, reader.at)].map((byte) => byte.toString(16).padStart(2, '0'));
  throw reader.error(`opcode ${bytes.join(' ')} is not known here`, at);
}

function scopeOf(names: readonly (string | undefined)[], labels: Labels): Locals {
  return {
    local: (reader) => {
      const at = reader.at;
      const index = reader.u32();
      if (index < names.length) return names[index] ?? String(index);
      throw reader.error(`there is no local ${index}`, at);
    },
    label: (reader) => {
      const at = reader.at;
      const depth = reader.u32();
      const label = labels.at(depth);
      if (label !== undefined) return label;
      throw reader.error(`a branch leads out of ${depth} structures, ${labels.open.length} are open`, at);
    },
  };
}
