import { embedded, type Kernel, OpenedObject, VerifierError } from '../src/index.ts';

/**
 * What a kernel says to one program of an object, without the rest of it: for everything here that compares verdicts.
 */
export interface Verdict {
  readonly verdict: 'accepted' | 'rejected' | 'unsupported' | 'error';
  /** The errno's name. */
  readonly code?: string;
  /** The verifier's last line, or what else was wrong. */
  readonly message?: string;
  readonly log: string;
  /** Milliseconds; on Linux with loading. */
  readonly time: number;
}

export type KernelName = 'linux' | 'embedded';

async function openKernel(name: KernelName, logLevel: number): Promise<Kernel & Disposable> {
  if (name === 'embedded') return embedded({ logLevel });
  const { linux } = await import('../src/linux/index.ts');
  return linux({ logLevel, onWarning: () => undefined });
}

/** Linux writes two states behind the reason of an endless loop, and one reason without a line's end. */
function reasonOf({ problem, log }: VerifierError): string {
  return (
    /infinite loop detected at insn \d+/.exec(log)?.[0] ?? problem.replace(/processed \d+ insns .*$/, '')
  );
}

export async function verdictOf(
  name: KernelName,
  bytes: Uint8Array,
  program: string,
  { logLevel = 0, flags = 0 }: { logLevel?: number; flags?: number } = {},
): Promise<Verdict> {
  const object = new OpenedObject(bytes, 'object');
  object.programs[program].flags = flags;
  using kernel = await openKernel(name, logLevel);
  const start = performance.now();
  const took = () => performance.now() - start;
  try {
    const { log } = await object.verify(program, kernel);
    return { verdict: 'accepted', log, time: took() };
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const code = String(error.code);
    if (error instanceof VerifierError)
      return { verdict: 'rejected', code, message: reasonOf(error), log: error.log, time: took() };
    const verdict = code === 'EOPNOTSUPP' ? 'unsupported' : 'error';
    return { verdict, code, message: error.message, log: '', time: took() };
  }
}
