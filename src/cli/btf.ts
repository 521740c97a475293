import { Command, Option } from 'commander';
import { Btf, FormatError, printC, printTs, readTypes, toJson } from '../index.ts';
import { readBytes } from './input.ts';
import { CliError, printJson } from './output.ts';

/** `bpf-arena btf FILE`: the types of an object, or of raw BTF such as `/sys/kernel/btf/vmlinux`. */
export function btf(): Command {
  return new Command('btf')
    .description('types of an object, or of raw BTF such as /sys/kernel/btf/vmlinux')
    .argument('<file>', 'an object file or raw BTF')
    .addOption(
      new Option('--as <form>', 'C header, JSON or TypeScript').choices(['c', 'json', 'ts']).default('c'),
    )
    .option('--json', 'the same as --as json')
    .action(async (path: string, flags: { as: 'c' | 'json' | 'ts'; json?: boolean }) => {
      const types = await typesOf(path);
      if (flags.json || flags.as === 'json') printJson(toJson(types));
      else process.stdout.write(flags.as === 'c' ? printC(types) : printTs(types));
    });
}

async function typesOf(path: string): Promise<Btf> {
  const bytes = await readBytes(path);
  try {
    const isElf = bytes[0] === 0x7f && bytes[1] === 0x45;
    const types = isElf ? readTypes(bytes) : Btf.read(bytes);
    if (types !== undefined) return types;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new CliError(`${path}: ${cause.message}`, 2, { cause });
  }
  throw new CliError(`${path} has no type information; compile with -g`);
}
