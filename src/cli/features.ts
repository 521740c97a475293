import { Command, Option } from 'commander';
import { embeddedFeatures } from '../index.ts';
import { CliError, print, printJson, styled } from './output.ts';

/** `bpf-arena features`: what a kernel supports. */
export function features(): Command {
  return new Command('features')
    .description('what a kernel supports: program types, map types, helpers, kfuncs')
    .addOption(
      new Option('--kernel <kernel>', 'which kernel').choices(['embedded', 'linux']).default('embedded'),
    )
    .option('--json', 'print one JSON value')
    .action(({ kernel, json }: { kernel: string; json?: boolean }) => {
      if (kernel === 'linux')
        throw new CliError('the Linux kernel is not built in yet; use --kernel embedded', 1);
      const found = embeddedFeatures();
      if (json) {
        printJson(found);
        return;
      }
      const list = (title: string, items: readonly string[]) => {
        print(styled('bold', title));
        for (const item of items) print(`  ${item}`);
      };
      list('program types', found.programTypes);
      list('map types', found.mapTypes);
      list(
        'helpers',
        found.helpers.map(({ id, name }) => `${name}#${id}`),
      );
      list('kfuncs', found.kfuncs);
    });
}
