import { contextOfType } from '../../src/embedded/contexts/table.ts';
import { EmbeddedKernel } from '../../src/embedded/kernel.ts';
import type { EmbeddedLoad } from '../../src/embedded/load.ts';
import { ArenaMap } from '../../src/embedded/maps/arena.ts';
import type { EmbeddedMap } from '../../src/embedded/maps/map.ts';
import type { EmbeddedOptions } from '../../src/embedded/options.ts';
import { BpfError } from '../../src/errors.ts';
import type { LoopBudget } from '../../src/interpreter/environment.ts';
import { Violation } from '../../src/interpreter/guard.ts';
import type { FaultReport, RunOptions } from '../../src/kernel.ts';
import type { ProgramType } from '../../src/object/program-types.ts';
import type { OpenedObject } from '../../src/opened.ts';
import { VerifierError } from '../../src/verifier/errors.ts';
import type { Observation, ProgramToVerify } from '../../src/verifier/input.ts';

/**
 * One object in two kernels, of which one interprets and the other compiles. Whoever does the same to both sides asks
 * {@link Pair.compare} whether they still look the same: every byte of maps and arena, every page's state, and that nothing
 * was written where the program owns nothing.
 */

const PAGE = 4096;
const WINDOW = 2 ** 32;
const PAGE_WRITTEN = 2;
const ZEROES = new Uint8Array(PAGE);

export type Engine = NonNullable<EmbeddedOptions['engine']>;
const ENGINES: readonly Engine[] = ['interpreter', 'jit'];

/** The JIT makes nothing of an object that the interpreter runs. */
export class NotCompiled extends Error {
  override name = 'NotCompiled';
}

/** A program runs longer than is worth waiting for. */
export class NotCompared extends Error {
  override name = 'NotCompared';
}

export interface Side {
  readonly engine: Engine;
  readonly kernel: EmbeddedKernel;
  readonly load: EmbeddedLoad;
}

/** What one run gave. */
interface Outcome {
  readonly retval?: number;
  readonly ctx?: Uint8Array;
  readonly faults?: readonly FaultReport[];
  readonly error?: string;
}

/** Iterations that a frame's may_goto instructions get at once, and how often they get as many again. */
const ITERATIONS = 6;
const REFILLS = 3;

/** A loop budget that is refilled as the timed one is, and the same in each run. */
const BUDGET: LoopBudget = {
  iterations: ITERATIONS,
  refill: (refills) => (refills >= 0 && refills < REFILLS ? refills + 1 : -1),
};

export class Pair implements Disposable {
  readonly sides: readonly Side[];

  private constructor(sides: readonly Side[]) {
    this.sides = sides;
  }

  /**
   * Loads into both what the verifier accepts.
   * @param refused is told of each program that it does not. Rejects with NotCompiled.
   */
  static async open(
    object: OpenedObject,
    options: EmbeddedOptions = {},
    refused: (program: string, why: string) => void = () => undefined,
  ): Promise<Pair> {
    const sides: Side[] = [];
    try {
      for (const engine of ENGINES) {
        const checked = engine === 'interpreter';
        const kernel = new EmbeddedKernel({ instructionBudget: 2e6, checked, ...options, engine });
        if (options.mayGoto === undefined) Object.assign(kernel.loopBudget, BUDGET);
        kernel.observation = patience();
        sides.push({ engine, kernel, load: await load(kernel, object, refused) });
      }
      return new Pair(sides);
    } catch (error) {
      for (const { kernel } of sides) kernel.close();
      if (sides.length === 0) throw error;
      throw new NotCompiled(error instanceof Error ? error.stack : String(error), { cause: error });
    }
  }

  [Symbol.dispose](): void {
    for (const { kernel } of this.sides) kernel.close();
  }

  /**
   * Runs a program on both sides. @returns what differs, in words, or undefined. Throws NotCompared when the interpreter
   * gives up.
   */
  run(program: string, ctx: Uint8Array): string | undefined {
    const [a, b] = this.sides.map((side) => outcomeOf(side, program, ctx));
    if (a.error?.startsWith('ETIMEDOUT')) throw new NotCompared('runs too long');
    return (
      differ('outcome', a.error ?? 'ends', b.error ?? 'ends') ??
      differ('retval', a.retval, b.retval) ??
      bytesDiffer('context', a.ctx, b.ctx) ??
      differ('faults', faultsOf(a), faultsOf(b)) ??
      this.compare()
    );
  }

  /** What differs between the two kernels' memories, in words, or undefined. */
  compare(): string | undefined {
    const [a, b] = this.sides;
    for (const name of Object.keys(a.load.maps)) {
      const [left, right] = [a.load.maps[name], b.load.maps[name]];
      const problem =
        left instanceof ArenaMap && right instanceof ArenaMap
          ? arenasDiffer(left, right)
          : bytesDiffer(`map ${name}`, valuesOf(a, left), valuesOf(b, right));
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

/** Instructions that a verification may process; it is some hundred for most programs, and a million for a few. */
const MAX_PROCESSED = 20_000;

/** Refuses what takes the verifier long: others are compared meanwhile. */
function patience(): Observation {
  let current: ProgramToVerify | undefined;
  let processed = 0;
  return {
    record({ program }) {
      if (program !== current) processed = 0;
      current = program;
      if (++processed > MAX_PROCESSED) throw new VerifierError(program, undefined, 'takes the verifier long');
    },
  };
}

/** Leaves out what is refused. A program that only one engine refuses differs, for it is missing there. */
async function load(
  kernel: EmbeddedKernel,
  object: OpenedObject,
  refused: (program: string, why: string) => void,
): Promise<EmbeddedLoad> {
  for (;;) {
    try {
      return await kernel.load(object);
    } catch (error) {
      const program = error instanceof VerifierError ? object.programs[error.program] : undefined;
      if (program === undefined || !program.autoload) {
        kernel.close();
        throw error;
      }
      program.autoload = false;
      refused(program.name, (error as VerifierError).problem);
    }
  }
}

/** Arguments that a raw tracepoint has at most, in bytes. */
const RAW_TRACEPOINT_BYTES = 96;
/** Enough for the headers of all program types. */
const PACKET_BYTES = 64;

/** Random bytes as what a program of a type takes: a packet for those that see one, else a context. */
function optionsFor(type: ProgramType, bytes: Uint8Array): RunOptions {
  if (contextOfType(type).hasPacket) {
    const data = new Uint8Array(Math.max(PACKET_BYTES, bytes.length));
    data.set(bytes);
    return { data };
  }
  return { ctx: type === 'raw_tracepoint' ? bytes.subarray(0, RAW_TRACEPOINT_BYTES) : bytes };
}

function outcomeOf({ load, engine }: Side, program: string, ctx: Uint8Array): Outcome {
  try {
    const { type } = load.programs[program];
    const { retval, ctxOut, dataOut, faults } = load.programs[program].run(optionsFor(type, ctx));
    return { retval, ctx: dataOut ?? ctxOut, faults };
  } catch (error) {
    if (error instanceof Violation && engine === 'interpreter')
      return { error: `bug of the verifier: ${error.message}` };
    if (error instanceof BpfError) return { error: `${error.code}: ${error.message}` };
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** In the order of the program; the order in which they were first met is an engine's own matter. */
function faultsOf({ faults = [] }: Outcome): string {
  return JSON.stringify(
    [...faults]
      .sort((a, b) => a.insn - b.insn)
      .map(({ source, ...rest }) => ({ ...rest, line: source?.line })),
  );
}

function differ(what: string, interpreter: unknown, jit: unknown): string | undefined {
  return interpreter === jit ? undefined : `${what}: interpreter ${interpreter}, jit ${jit}`;
}

function bytesDiffer(
  what: string,
  a: Uint8Array = new Uint8Array(),
  b: Uint8Array = new Uint8Array(),
): string | undefined {
  if (Buffer.compare(a, b) === 0) return undefined;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  const from = at - (at % 8);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes.slice(from, from + 8)).toString('hex');
  return `${what}, bytes ${from} to ${from + 7}: interpreter ${hex(a)}, jit ${hex(b)}`;
}

function valuesOf({ kernel }: Side, { region }: EmbeddedMap): Uint8Array {
  return region === undefined ? new Uint8Array() : kernel.memory.bytes.subarray(region.start, region.end);
}

function arenasDiffer(a: ArenaMap, b: ArenaMap): string | undefined {
  const start: number = a.arena.pages.start;
  const end = start + a.maxEntries * PAGE;
  const [left, right] = [a.arena.pages.table, b.arena.pages.table];
  for (let at = start; at < end; at += PAGE) {
    const [state, other] = [left[at / PAGE], right[at / PAGE]];
    const page = `arena page ${(at - start) / PAGE}`;
    if (((state ^ other) & ~PAGE_WRITTEN) !== 0) return differ(`${page}, state`, state, other);
    // Large arenas are mostly untouched; looking there would commit memory.
    if (((state | other) & PAGE_WRITTEN) === 0 && a.maxEntries > 64) continue;
    const [mine, its] = [a, b].map(({ arena }) => arena.window.subarray(at, at + PAGE));
    const difference = bytesDiffer(page, mine, its);
    if (difference !== undefined) return difference;
    const unknown = (state & other & PAGE_WRITTEN) === 0 && Buffer.compare(mine, ZEROES) !== 0;
    if (unknown) return differ(`${page} holds bytes, state`, state, other);
  }
  return stray(a, start, end, 'interpreter') ?? stray(b, start, end, 'jit');
}

/** Bytes that are not zero where there is no arena. */
function stray({ arena }: ArenaMap, start: number, end: number, engine: Engine): string | undefined {
  for (const at of [0, start - PAGE, end, WINDOW - PAGE]) {
    const isOutside = at >= 0 && at < WINDOW && (at < start || at >= end);
    if (isOutside && Buffer.compare(arena.window.subarray(at, at + PAGE), ZEROES) !== 0)
      return `stray, ${engine}: the page at 0x${at.toString(16)}, outside of the arena, was written`;
  }
  return undefined;
}
