import { Command } from 'commander';
import { decode, embedded, FormatError, type Instruction, runRaw } from '../index.ts';
import { parseHex } from './input.ts';
import { CliError, print } from './output.ts';

/**
 * `bpf-arena exec [MEM]`: runs one raw program, as the plugins of the bpf_conformance suite do. Instructions come as hex
 * on stdin, memory as an argument; r1 points to the memory, r2 is its length, and r0 is printed in hex.
 */
export function exec(): Command {
  return new Command('exec')
    .description('run one raw program: hex bytes on stdin (the bpf_conformance plugin protocol)')
    .argument('[memory]', 'what r1 points to, in hex; r2 is its length')
    .option('--interpreter', 'interpret the program instead of compiling it')
    .action(runExec);
}

async function runExec(memory = '', { interpreter }: { interpreter?: true }): Promise<void> {
  const bytes = parseHex(memory, 'the memory');
  const insns = instructions(parseHex(await firstLine(process.stdin), 'the program'));
  using kernel = embedded({ engine: interpreter ? 'interpreter' : 'jit' });
  const { r0 } = runRaw(kernel, insns, bytes);
  print(r0.toString(16));
}

/** The first line that is not blank: who sends it need not close the stream. */
async function firstLine(input: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of input) {
    text += chunk.toString('latin1');
    const line = chunk.includes('\n') ? /^\s*(\S.*)\n/.exec(text) : null;
    if (line !== null) return line[1];
  }
  return text;
}

function instructions(bytes: Uint8Array): Instruction[] {
  try {
    return decode(bytes, 'the program');
  } catch (cause) {
    throw cause instanceof FormatError ? new CliError(cause.message, 1, { cause }) : cause;
  }
}
