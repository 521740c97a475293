import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { embedded, type Kernel } from '../index.ts';

/** `--kernel`: which kernel a command is about. Linux is only loaded when asked for. */

export type KernelName = 'embedded' | 'linux';

export interface KernelFlags {
  kernel: KernelName;
  faults?: 'off' | 'report';
  engine?: 'jit' | 'interpreter';
  maxInsns?: number;
  /** As on the command line: which CPU a program shall run on, and how many there are. */
  cpu?: number | 'all';
  cpus?: number;
  /** Of the verifier. */
  logLevel?: number;
}

export function kernelOption(): Option {
  return new Option('--kernel <kernel>', 'which kernel').choices(['embedded', 'linux']).default('embedded');
}

/** Opens the kernel that the flags name. Exit status 1 with the reason where Linux cannot be used. */
export async function openKernel({
  kernel,
  faults,
  engine,
  maxInsns,
  cpu,
  cpus,
  logLevel,
}: KernelFlags): Promise<Kernel & Disposable> {
  if (kernel === 'embedded') {
    return embedded({
      // Whoever asks for a CPU wants it to be there.
      cpus: cpus ?? (cpu === 'all' ? availableParallelism() : (cpu ?? 0) + 1),
      faults,
      // Only the interpreter counts.
      engine: maxInsns === undefined ? engine : 'interpreter',
      instructionBudget: maxInsns,
      logLevel,
      onTrace: (line) => process.stderr.write(`${line}\n`),
    });
  }
  const { linux } = await import('../linux/index.ts');
  return linux({ logLevel, onWarning: warnOnce });
}

const warned = new Set<string>();

/** Says a thing once, however many programs of an object it is about. */
function warnOnce(text: string): void {
  if (warned.has(text)) return;
  warned.add(text);
  process.stderr.write(`bpf-arena: ${text}\n`);
}
