import { Command, Option } from 'commander';
import {
  type Btf,
  disassemble,
  embedded,
  formatXlated,
  helperName,
  type Instruction,
  type Listed,
  listingOf,
  type OpenedObject,
  slots,
  type XlatedProgram,
} from '../index.ts';
import { chooseProgram, loadOnly, openObject, readBytes } from './input.ts';
import { CliError, print } from './output.ts';

/**
 * `bpf-arena disasm OBJ [PROG]`: instructions as text. `--as asm` is the object's own code, in clang's assembly, and
 * `bpf-arena asm` takes it back; `--as xlated` is what a kernel runs after load,
 * `--as wat` the WebAssembly module that the embedded kernel makes of it.
 */
export function disasm(): Command {
  return new Command('disasm')
    .description('instructions as text, with source lines')
    .argument('<object>', 'a BPF object file')
    .argument('[program]', 'only this program (or function)')
    .addOption(
      new Option('--as <form>', 'assembly, the program as the kernel has it, or WebAssembly')
        .choices(['asm', 'xlated', 'wat'])
        .default('asm'),
    )
    .action(async (path: string, name: string | undefined, { as }: { as: 'asm' | 'xlated' | 'wat' }) => {
      if (as !== 'asm') return printLoaded(await openObject(path), name, as);
      const object = await openForListing(path);
      if (
        name !== undefined &&
        !object.code.some(({ functions }) => functions.some((each) => each.name === name))
      ) {
        throw new CliError(`there is no function '${name}' in ${path}`);
      }
      for (const line of disassemble(object, name)) print(line);
    });
}

/** The object, or its code alone when it cannot be opened: its instructions can be read all the same. */
async function openForListing(path: string): Promise<Listed> {
  try {
    return await openObject(path);
  } catch (refusal) {
    if (!(refusal instanceof CliError)) throw refusal;
    try {
      const listing = listingOf(await readBytes(path), path);
      process.stderr.write(`bpf-arena: listed without references: ${refusal.message}\n`);
      return listing;
    } catch {
      throw refusal;
    }
  }
}

async function printLoaded(
  object: OpenedObject,
  name: string | undefined,
  as: 'xlated' | 'wat',
): Promise<void> {
  const chosen = chooseProgram(object, name);
  loadOnly(object, [chosen]);
  using kernel = embedded();
  using loaded = await object.load(kernel);
  const program = loaded.programs[chosen.name];
  if (as === 'xlated') printProgram(program.xlated, kernel.btf);
  else if (program.wat === undefined) throw new CliError(`program '${chosen.name}' is interpreted`, 1);
  else print(program.wat.trimEnd());
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
