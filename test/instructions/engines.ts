import { EmbeddedKernel } from '../../src/embedded/kernel.ts';
import { kernelPointer } from '../../src/embedded/layout.ts';
import { untypedInfo } from '../../src/embedded/map-info.ts';
import type { EmbeddedOptions } from '../../src/embedded/options.ts';
import { EmbeddedProgram } from '../../src/embedded/program.ts';
import { BpfError } from '../../src/errors.ts';
import type { Instruction } from '../../src/isa/instruction.ts';
import { BPF_PSEUDO_MAP_VALUE } from '../../src/isa/opcodes.ts';
import { createMap } from '../../src/linux/create-map.ts';
import { Owned } from '../../src/linux/fd.ts';
import { loadSnippet, runSnippet } from '../../src/linux/snippet.ts';
import { mapSpec } from '../../src/object/map-definitions.ts';
import type { ProgramToVerify } from '../../src/verifier/input.ts';
import { verify } from '../../src/verifier/verify.ts';
import { type Bench, type BenchMap, embeddedBench, linuxBench } from '../contract/kernels.ts';
import { MEMORY_BYTES } from './harness.ts';

/** What can run the instruction suite: the embedded kernel's two engines, and Linux, from which the expected values are. */

export interface Engine {
  readonly name: 'interpreter' | 'jit' | 'linux';
  /** For programs by themselves. */
  open(): Session;
  /** For functions that have maps, an arena among them. */
  bench(maps: readonly BenchMap[]): Bench;
}

export interface Session extends Disposable {
  /** What a ld_imm64 names an array map by that has one value of {@link MEMORY_BYTES}. */
  readonly values: number;
  /** @returns the program, ready to run: it changes the context that it is given. */
  load(program: ProgramToVerify): (ctx: Uint8Array) => void;
}

const VALUES = { type: 2, keySize: 4, valueSize: MEMORY_BYTES, maxEntries: 1, flags: 0 };

class EmbeddedSession implements Session {
  readonly values: number;
  readonly #kernel: EmbeddedKernel;

  constructor(options: EmbeddedOptions) {
    this.#kernel = new EmbeddedKernel(options);
    this.values = this.#kernel.createMap({ ...VALUES, name: 'values', mapExtra: 0n }).id;
  }

  load(program: ProgramToVerify): (ctx: Uint8Array) => void {
    const kernel = this.#kernel;
    const { attributes } = kernel.mapById(this.values) ?? {};
    const map = () => attributes && untypedInfo(attributes);
    const resolve = ({ src, imm }: Instruction) => {
      const value = src === BPF_PSEUDO_MAP_VALUE ? kernel.mapById(imm)?.valueAddress(0) : undefined;
      return value === undefined ? undefined : kernelPointer(value);
    };
    const spec = { name: program.name, type: 'syscall', section: 'syscall' } as const;
    const loaded = new EmbeddedProgram(kernel, spec, verify({ ...program, map }), undefined, resolve);
    return (ctx) => ctx.set(loaded.run({ ctx }).ctxOut as Uint8Array);
  }

  [Symbol.dispose](): void {
    this.#kernel.close();
  }
}

class LinuxSession implements Session {
  readonly values: number;
  readonly #owned = new Owned();

  constructor() {
    this.values = createMap(mapSpec('values', VALUES), undefined, this.#owned).fdNumber;
  }

  load({ name, insns }: ProgramToVerify): (ctx: Uint8Array) => void {
    const { fd, log } = loadSnippet(insns);
    if (fd === undefined) throw new BpfError('EINVAL', log);
    this.#owned.add(fd);
    return (ctx) => runSnippet(fd.number, ctx, `running ${name}`);
  }

  [Symbol.dispose](): void {
    this.#owned.close();
  }
}

const embeddedEngine = (name: 'interpreter' | 'jit', options: EmbeddedOptions): Engine => ({
  name,
  open: () => new EmbeddedSession({ engine: name, ...options }),
  bench: (maps) => embeddedBench(maps, { engine: name, ...options }),
});

export const ENGINES = {
  interpreter: embeddedEngine('interpreter', {}),
  /** The interpreter, looking at each access to kernel memory before it happens. */
  checked: embeddedEngine('interpreter', { checked: true }),
  jit: embeddedEngine('jit', { checked: false }),
  /** The JIT without what makes its code fast. */
  unoptimised: embeddedEngine('jit', {
    checked: false,
    jitOptions: {
      grouping: false,
      promotion: false,
      inlining: false,
      intrinsics: false,
      ranges: false,
      narrowing: false,
    },
  }),
  /** The JIT as it compiles loads when faults are reported. */
  reporting: embeddedEngine('jit', { checked: false, faults: 'report' }),
  linux: { name: 'linux', open: () => new LinuxSession(), bench: linuxBench },
} as const satisfies Record<string, Engine>;
