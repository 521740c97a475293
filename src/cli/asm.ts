import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { assembleObject, FormatError } from '../index.ts';
import { readBytes } from './input.ts';
import { CliError } from './output.ts';

/** `bpf-arena asm FILE.bpfasm -o OBJ`: assembly text to an object. The language: docs/assembly.md. */
export function asm(): Command {
  return new Command('asm')
    .description('assembly text to an object (docs/assembly.md)')
    .argument('<file>', 'assembly text')
    .requiredOption('-o, --output <object>', 'where the object goes')
    .action(async (path: string, { output }: { output: string }) => {
      const text = new TextDecoder().decode(await readBytes(path));
      let object: Uint8Array;
      try {
        object = assembleObject(text, path.slice(path.lastIndexOf('/') + 1));
      } catch (cause) {
        if (!(cause instanceof FormatError)) throw cause;
        const problem = cause.message.replace(/^.*?, offset \d+: /, '');
        throw new CliError(`${path}:${cause.offset}: ${problem}`, 1, { cause });
      }
      try {
        writeFileSync(output, object);
      } catch (cause) {
        throw new CliError(`cannot write '${output}': ${(cause as Error).message}`, 2, { cause });
      }
    });
}
