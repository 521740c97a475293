import { Command } from 'commander';
import { embeddedFeatures } from '../index.ts';
import { type KernelName, kernelOption } from './kernel.ts';
import { print, printJson, styled } from './output.ts';

/** `bpf-arena features`: what a kernel supports. */
export function features(): Command {
  return new Command('features')
    .description('what a kernel supports: program types, iterators, map types, helpers, kfuncs')
    .addOption(kernelOption())
    .option('--json', 'print one JSON value')
    .action(async ({ kernel, json }: { kernel: KernelName; json?: boolean }) => {
      const found =
        kernel === 'linux' ? (await import('../linux/index.ts')).linuxFeatures() : embeddedFeatures();
      if (json) {
        printJson(found);
        return;
      }
      const list = (title: string, items: readonly string[]) => {
        print(styled('bold', title));
        for (const item of items) print(`  ${item}`);
      };
      list('program types', found.programTypes);
      list('iterators', found.iterators);
      list('map types', found.mapTypes);
      list(
        'helpers',
        found.helpers.map(({ id, name }) => `${name}#${id}`),
      );
      list('kfuncs', found.kfuncs);
    });
}
