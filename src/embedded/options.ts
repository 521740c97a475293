import { BpfError } from '../errors.ts';
import type { JitOptions } from '../jit/index.ts';
import type { KconfigValue } from '../object/externs.ts';
import { MAX_CPUS } from './layout.ts';
import type { LoopSettings } from './loop-budget.ts';

/** What can be asked of an embedded kernel when it is made, and what its configuration is. */

export interface EmbeddedOptions {
  /**
   * How many CPUs the kernel has, 1 to 64. Default 1: the calling thread, which is CPU 0. The others are workers, started when
   * something first runs there; compiled programs run on them, by `runOn` and `runOnAll`.
   */
  cpus?: number;
  /**
   * Where the script of workers is, in a browser: the bundled `bpf-arena/worker`. Needed where a bundler does not follow
   * `new Worker(new URL(…, import.meta.url))` in packages. Node needs none.
   */
  worker?: string | URL;
  /** `report`: runs list every access to an absent arena page. Default `off`. */
  faults?: 'off' | 'report';
  /** What runs programs: WebAssembly made of them, or the reference interpreter. Default `jit`. */
  engine?: 'jit' | 'interpreter';
  /**
   * When WebAssembly is compiled: while a load holds the thread up, or off the thread, all programs of an object at once; the load
   * resolves when they are ready. Default `sync`; on the main thread of a browser, which must not be held up, `async`.
   */
  compile?: 'sync' | 'async';
  /**
   * How long the loops of a frame may go on that end by `may_goto`. Default 250 ms, as on x86-64 Linux; a number of
   * iterations instead makes runs repeatable.
   */
  mayGoto?: LoopSettings;
  /** Instructions after which the interpreter stops a run with ETIMEDOUT. Default 2^30. */
  instructionBudget?: number;
  /** Where an object's arena globals go: at the arena's `end` (default), or its `start`, as Linux 6.18 makes libbpf do. */
  arenaGlobals?: 'start' | 'end';
  /** Gets each line that programs print with bpf_trace_printk, without its newline. What it throws, a run throws when it has ended. */
  onTrace?: (line: string) => void;
  /** The verifier's log: 0 none, 1 the last path, 2 all; 4 adds statistics. Default 0. */
  logLevel?: number;
  /**
   * The checked mode: each access to kernel memory is looked at before it happens, and one that the verifier should have
   * refused is a Violation. For finding bugs of the verifier; runs are slower. Default false.
   */
  checked?: boolean;
  /** Parts of the JIT to switch off, to see what each is worth. Without its checks an arena is not safe. */
  jitOptions?: JitOptions;
  /** Kernel configuration values for `__kconfig` externs, over the defaults. */
  kconfig?: Readonly<Record<string, KconfigValue>>;
}

/** Linux 6.18, whose behaviour this kernel follows: KERNEL_VERSION(6, 18, 0). */
const LINUX_KERNEL_VERSION = (6n << 16n) | (18n << 8n);

/** Values of `__kconfig` externs. */
export const KCONFIG: Readonly<Record<string, KconfigValue>> = {
  LINUX_KERNEL_VERSION,
  LINUX_HAS_BPF_COOKIE: 1n,
  LINUX_HAS_SYSCALL_WRAPPER: 1n,
  CONFIG_BPF: 'y',
  CONFIG_BPF_SYSCALL: 'y',
  CONFIG_BPF_JIT: 'y',
  CONFIG_64BIT: 'y',
  CONFIG_HZ: 1000n,
  CONFIG_NR_CPUS: 64n,
  CONFIG_PAGE_SHIFT: 12n,
};

/** The options' names: a misspelt one would change nothing, in silence. */
const NAMES = {
  cpus: true,
  worker: true,
  faults: true,
  engine: true,
  compile: true,
  mayGoto: true,
  instructionBudget: true,
  arenaGlobals: true,
  onTrace: true,
  logLevel: true,
  checked: true,
  jitOptions: true,
  kconfig: true,
} as const satisfies Record<keyof EmbeddedOptions, true>;

/** Throws EINVAL for an option that is none. */
export function checkOptions(options: EmbeddedOptions): void {
  const { faults, engine, compile, mayGoto, arenaGlobals, instructionBudget: budget, onTrace } = options;
  const refuse = (problem: string) => new BpfError('EINVAL', `embedded: ${problem}`);
  for (const name of Object.keys(options))
    if (!Object.hasOwn(NAMES, name))
      throw refuse(`there is no option '${name}'; known are ${Object.keys(NAMES).join(', ')}`);
  const { cpus } = options;
  if (cpus !== undefined && !(Number.isInteger(cpus) && cpus >= 1 && cpus <= MAX_CPUS))
    throw refuse(`cpus is a whole number from 1 to ${MAX_CPUS}, not ${String(cpus)}`);
  const { worker } = options;
  if (worker !== undefined && typeof worker !== 'string' && !(worker instanceof URL))
    throw refuse(`worker is the URL of a script, not ${String(worker)}`);
  if (faults !== undefined && faults !== 'off' && faults !== 'report')
    throw refuse(`faults is 'off' or 'report', not ${String(faults)}`);
  if (arenaGlobals !== undefined && arenaGlobals !== 'start' && arenaGlobals !== 'end')
    throw refuse(`arenaGlobals is 'start' or 'end', not ${String(arenaGlobals)}`);
  if (engine !== undefined && engine !== 'jit' && engine !== 'interpreter')
    throw refuse(`engine is 'jit' or 'interpreter', not ${String(engine)}`);
  if (compile !== undefined && compile !== 'sync' && compile !== 'async')
    throw refuse(`compile is 'sync' or 'async', not ${String(compile)}`);
  if (mayGoto !== undefined && !(Object.values(mayGoto)[0] > 0))
    throw refuse('mayGoto is { milliseconds } or { iterations }, above 0');
  // NaN would never be reached, and the program never stopped.
  if (budget !== undefined && !(budget > 0))
    throw refuse(`instructionBudget is above 0, not ${String(budget)}`);
  if (onTrace !== undefined && typeof onTrace !== 'function') throw refuse('onTrace is a function');
}
