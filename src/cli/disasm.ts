import { Command, Option } from 'commander';
import {
  type Btf,
  type CodeFunction,
  type CodeSection,
  embedded,
  formatInstruction,
  formatXlated,
  helperName,
  type Instruction,
  type OpenedObject,
  type Reference,
  slots,
  type XlatedProgram,
} from '../index.ts';
import { chooseProgram, openObject } from './input.ts';
import { CliError, print } from './output.ts';

/**
 * `bpf-arena disasm OBJ [PROG]`: instructions as text. `--as asm` is the object's own code, in clang's assembly, and
 * `bpf-arena asm` takes it back; `--as xlated` is what a kernel runs after load.
 */
export function disasm(): Command {
  return new Command('disasm')
    .description('instructions as text, with source lines')
    .argument('<object>', 'a BPF object file')
    .argument('[program]', 'only this program (or function)')
    .addOption(
      new Option('--as <form>', 'assembly, or the program as the kernel has it')
        .choices(['asm', 'xlated', 'wat'])
        .default('asm'),
    )
    .action(async (path: string, name: string | undefined, { as }: { as: 'asm' | 'xlated' | 'wat' }) => {
      if (as === 'wat') throw new CliError('there is no WebAssembly form yet: programs are interpreted', 1);
      const object = await openObject(path);
      if (as === 'asm') printAssembly(object, name);
      else await printXlated(object, name);
    });
}

function printAssembly(object: OpenedObject, name: string | undefined): void {
  const functions = object.code.flatMap((section) => section.functions);
  if (name !== undefined && !functions.some((each) => each.name === name)) {
    throw new CliError(
      `there is no function '${name}'; ${object.name} has ${functions.map((each) => each.name).join(', ')}`,
    );
  }
  for (const section of object.code) {
    const wanted = section.functions.filter((each) => name === undefined || each.name === name);
    if (wanted.length === 0 && (name !== undefined || section.functions.length > 0)) continue;
    print(`.section ${quoted(section.name)}`);
    if (wanted.length === 0) printSlots(object, section, 0, section.insns.length);
    for (const each of wanted) {
      print(`\n.func ${each.local ? 'static ' : ''}${each.name}`);
      printSlots(object, section, each.start, each.end);
    }
    print();
  }
}

const quoted = (name: string) => (/^[\w.$]+$/.test(name) ? name : JSON.stringify(name));

function printSlots(object: OpenedObject, section: CodeSection, start: number, end: number): void {
  const { insns, labels } = section;
  const label = labelNearest(section);
  let source = '';
  for (let index = start; index < end; index += slots(insns[index])) {
    const line = object.sourceAt(section, index);
    if (line !== undefined && line !== source) print(`; ${line}`);
    source = line ?? source;
    if (labels.has(index)) print(`${labels.get(index)}:`);
    const text = formatInstruction(insns, index, { label, lossless: true });
    print(`${String(index).padStart(8)}:\t${text}`);
    const reference = section.references.get(index);
    if (reference !== undefined) print(`;\t\t-> ${describe(object, reference)}`);
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

function describe(object: OpenedObject, reference: Reference): string {
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

function variableAt(section: OpenedObject['arenaGlobals'], place: string, offset: number): string {
  const found = section?.variables.find((each) => each.offset <= offset && offset < each.offset + each.size);
  if (found === undefined) return `${place} + 0x${offset.toString(16)}`;
  const inside = offset - found.offset;
  return `${found.name}${inside > 0 ? ` + 0x${inside.toString(16)}` : ''} in ${place}`;
}

async function printXlated(object: OpenedObject, name: string | undefined): Promise<void> {
  const chosen = chooseProgram(object, name);
  for (const spec of Object.values(object.programs)) spec.autoload = spec === chosen;
  using kernel = embedded();
  using loaded = await object.load(kernel);
  printProgram(loaded.programs[chosen.name].xlated, kernel.btf);
}

const KFUNC_CALL = 2;
const MAP = 1;
const MAP_VALUE = 2;

/** As `bpftool prog dump xlated` prints it. */
function printProgram(program: XlatedProgram, kernelTypes: Btf): void {
  const { insns } = program;
  const names = {
    callName: ({ src, imm }: Instruction) =>
      src === KFUNC_CALL ? kernelTypes.nameOf(imm) : `bpf_${helperName(imm)}`,
    immediate: ({ src, imm }: Instruction, index: number) => {
      if (src === MAP) return `map[id:${imm}]`;
      return src === MAP_VALUE ? `map[id:${imm}][0]+${insns[index + 1].imm >>> 0}` : undefined;
    },
  };
  for (const { name, start, end } of program.subprograms) {
    print(`${name}:`);
    let source = '';
    for (let index = start; index < end; index += slots(insns[index])) {
      const text = program.sourceAt(index)?.text.trim() ?? '';
      if (text !== source && text !== '') print(`; ${text}`);
      source = text;
      print(`${String(index).padStart(4)}: ${formatXlated(insns, index, names)}`);
    }
  }
}
