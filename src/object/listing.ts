import { BpfError } from '../errors.ts';
import { slots } from '../isa/instruction.ts';
import { formatInstruction } from '../isa/print.ts';
import { type CodeFunction, type CodeSection, type Reference, readSections } from './code.ts';
import type { DataSection } from './data-sections.ts';
import type { BpfObject } from './object.ts';
import { ObjectFile } from './object-file.ts';

/** Disassembly of an object: clang's assembly, with what an object file knows besides the instructions. */

/** What is listed: an opened object, or the code alone of one that cannot be opened. */
export type Listed = Pick<BpfObject, 'name' | 'code' | 'data' | 'arenaGlobals' | 'sourceAt'>;

/**
 * The code alone, without references: for an object that libbpf would refuse, or that lacks type information.
 *
 * @throws FormatError when the bytes are no BPF object.
 */
export function listingOf(bytes: Uint8Array, name = 'object'): Listed {
  const file = new ObjectFile(bytes, name);
  const sourceAt = (section: CodeSection, slot: number) => file.sourceAt(section.name, slot);
  return { name, code: [...readSections(file).values()], data: [], arenaGlobals: undefined, sourceAt };
}

/**
 * The object's code as assembly text, with its source lines and references as comments; the assembler takes it back and
 * gives the same instructions.
 *
 * @param name only this function. Throws ENOENT when there is none.
 */
export function* disassemble(object: Listed, name?: string): Generator<string> {
  const functions = object.code.flatMap((section) => section.functions);
  if (name !== undefined && !functions.some((each) => each.name === name)) {
    throw new BpfError(
      'ENOENT',

      `there is no function '${name}'; ${object.name} has ${functions.map((each) => each.name).join(', ')}`,
    );
  }
  for (const section of object.code) {
    const wanted = section.functions.filter((each) => name === undefined || each.name === name);
    if (wanted.length === 0 && (name !== undefined || section.functions.length > 0)) continue;
    yield `.section ${quoted(section.name)}`;
    if (wanted.length === 0) yield* slotLines(object, section, 0, section.insns.length);
    for (const each of wanted) {
      yield `\n.func ${each.local ? 'static ' : ''}${each.name}`;
      yield* slotLines(object, section, each.start, each.end);
    }
    yield '';
  }
}

const quoted = (name: string) => (/^[\w.$]+$/.test(name) ? name : JSON.stringify(name));

function* slotLines(object: Listed, section: CodeSection, start: number, end: number): Generator<string> {
  const { insns, labels } = section;
  const label = labelNearest(section);
  let source = '';
  for (let index = start; index < end; index += slots(insns[index])) {
    const line = object.sourceAt(section, index);
    if (line !== undefined && line !== source) yield `; ${line}`;
    source = line ?? source;
    if (labels.has(index)) yield `${labels.get(index)}:`;
    const text = formatInstruction(insns, index, { label, lossless: true });
    yield `${String(index).padStart(8)}:\t${text}`;
    const reference = section.references.get(index);
    if (reference !== undefined) yield `;\t\t-> ${describe(object, reference)}`;
  }
}

/** Names a slot as llvm-objdump does: the symbol there, or the distance from the one before. */
function labelNearest({ functions, labels }: CodeSection): (slot: number) => string {
  const named = new Map([
    ...labels,
    ...functions.map((each: CodeFunction) => [each.start, each.name] as const),
  ]);
  const starts = [...named.keys()].sort((a, b) => a - b);
  return (slot) => {
    const start = starts.findLast((each) => each <= slot) ?? 0;
    const name = named.get(start) ?? 'section';
    return start === slot ? name : `${name}+0x${((slot - start) * 8).toString(16)}`;
  };
}

function describe(object: Listed, reference: Reference): string {
  switch (reference.kind) {
    case 'map':
      return `map ${reference.map}`;
    case 'data':
      return variableAt(
        object.data.find(({ name }) => name === reference.section),
        reference.section,
        reference.offset,
      );
    case 'arena_global':
      return variableAt(object.arenaGlobals, 'arena', reference.offset);
    case 'call':
    case 'function':
      return `function ${reference.callee.name}`;
    case 'extern':
      return `${reference.extern.kind} ${reference.extern.name}${reference.extern.weak ? ' (weak)' : ''}`;
  }
}

function variableAt(section: DataSection | undefined, place: string, offset: number): string {
  const found = section?.variables.find((each) => each.offset <= offset && offset < each.offset + each.size);
  if (found === undefined) return `${place} + 0x${offset.toString(16)}`;
  const inside = offset - found.offset;
  return `${found.name}${inside > 0 ? ` + 0x${inside.toString(16)}` : ''} in ${place}`;
}
