import { Option } from 'commander';
import { embedded, type Kernel } from '../index.ts';
import { CliError } from './output.ts';

/** `--kernel`: which kernel a command is about. Linux is only loaded when asked for. */

export type KernelName = 'embedded' | 'linux';

export interface KernelFlags {
  kernel: KernelName;
  faults?: 'off' | 'report';
  maxInsns?: number;
}

export function kernelOption(): Option {
  return new Option('--kernel <kernel>', 'which kernel').choices(['embedded', 'linux']).default('embedded');
}

/** Opens the kernel that the flags name. Exit status 1 with the reason where Linux cannot be used. */
export async function openKernel({ kernel, faults, maxInsns }: KernelFlags): Promise<Kernel & Disposable> {
  if (kernel === 'embedded') {
    return embedded({
      faults,
      instructionBudget: maxInsns,
      onTrace: (line) => process.stderr.write(`${line}\n`),
    });
  }
  if (faults === 'report')
    throw new CliError('Linux does not tell of accesses to absent pages; use --kernel embedded');
  const { linux } = await import('../linux/index.ts');
  return linux({ onWarning: (text) => process.stderr.write(`bpf-arena: ${text}\n`) });
}
