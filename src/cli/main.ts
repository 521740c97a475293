import { Command, CommanderError } from 'commander';
import { asm } from './asm.ts';
import { btf } from './btf.ts';
import { demo } from './demo.ts';
import { disasm } from './disasm.ts';
import { exec } from './exec.ts';
import { features } from './features.ts';
import { CliError, reportError, version } from './output.ts';
import { run } from './run.ts';
import { test } from './test.ts';
import { verify } from './verify.ts';

/**
 * The command line: one file a command, all on the public API. Results go to stdout, diagnostics to stderr. Exit
 * status: 0 done; 1 the program or its verification failed; 2 wrong usage or unreadable input.
 */

const program = new Command('bpf-arena')
  .description('BPF arena programs, outside and inside the kernel')
  .version(version())
  .option('--debug', 'show stack traces of errors')
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'bpf-arena: ')) });

for (const command of [run, verify, test, disasm, btf, asm, exec, features, demo])
  program.addCommand(command());
for (const command of program.commands) {
  command.exitOverride().copyInheritedSettings(program).option('--debug', 'show stack traces of errors');
}

// A reader that goes away early (`| head`) is no error; a full disk is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  reportError(error, process.argv.includes('--debug'));
  process.exit(1);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    reportError(error, process.argv.includes('--debug'));
    process.exitCode = error instanceof CliError ? error.status : 1;
  }
}
