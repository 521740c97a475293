import { EmbeddedKernel } from '../../src/embedded/kernel.ts';
import type { EmbeddedOptions } from '../../src/embedded/options.ts';
import { RUNNABLE_PROGRAM_TYPES } from '../../src/embedded/runnable.ts';
import { BpfError } from '../../src/errors.ts';
import { opcode } from '../../src/isa/opcodes.ts';
import { annotationsOf } from '../../src/object/annotations.ts';
import { MAP_TYPES } from '../../src/object/map-types.ts';
import { OpenedObject } from '../../src/opened.ts';
import { NotCompared, NotCompiled, Pair } from './pair.ts';

/** Objects that somebody wrote, on both engines: their programs run in order, and after each all must look the same. */

/** Linux: BPF_MAX_LOOPS. The timed form would end elsewhere in each run. */
const MAY_GOTO = 8_388_608;
/** Zeroes that each program gets as its context, or as many as it reads. */
const CONTEXT_BYTES = 256;
/** Where arenas lie that do not say themselves. */
const ARENA_ADDRESS = 5n << 44n;
/** ktime_get_ns, get_prandom_u32: what they give, no second run gives. */
const UNREPEATABLE = [5, 7];

export interface ObjectCompared {
  /** Programs that ran on both. */
  readonly compared: readonly string[];
  /** Others, and why they did not. */
  readonly skipped: ReadonlyMap<string, string>;
  readonly difference?: { readonly program: string; readonly what: string };
}

/**
 * @param all takes also programs that are not loaded by default, and those of types that are not run here, as syscall
 * programs: most of what tests verifiers is accepted as one.
 */
export async function compareObject(
  bytes: Uint8Array,
  name: string,
  options: EmbeddedOptions = {},
  all = false,
): Promise<ObjectCompared> {
  const skipped = new Map<string, string>();
  const compared: string[] = [];
  const object = open(bytes, name, all);
  for (const program of Object.values(object.programs)) {
    const why = program.autoload ? await unrunnable(bytes, name, program.name, all) : 'not loaded by default';
    if (why !== undefined) skipped.set(program.name, why);
    program.autoload = why === undefined;
  }
  if (skipped.size === Object.keys(object.programs).length) return { compared, skipped };
  const settings = {
    mayGoto: { iterations: MAY_GOTO },
    instructionBudget: 2 ** 30,
    checked: false,
    ...options,
  };
  using opened = new DisposableStack();
  let pair: Pair;
  try {
    pair = opened.use(await Pair.open(object, settings));
  } catch (error) {
    if (!(error instanceof NotCompiled)) throw error;
    return { compared, skipped, difference: { program: '(not compiled)', what: error.message } };
  }
  for (const program of Object.keys(pair.sides[0].load.programs)) {
    try {
      const { contextBytes } = pair.sides[0].load.programs[program].verified.facts;
      const what = pair.run(program, new Uint8Array(Math.max(CONTEXT_BYTES, contextBytes)));
      if (what !== undefined) return { compared, skipped, difference: { program, what } };
      compared.push(program);
    } catch (error) {
      if (!(error instanceof NotCompared)) throw error;
      skipped.set(program, error.message);
    }
  }
  return { compared, skipped };
}

function open(bytes: Uint8Array, name: string, all: boolean): OpenedObject {
  const object = new OpenedObject(bytes, name);
  for (const map of Object.values(object.maps))
    if (map.type === MAP_TYPES.arena) map.mapExtra ||= ARENA_ADDRESS;
  for (const program of Object.values(object.programs)) {
    const flags = object.btf && annotationsOf(object.btf, program.name)?.flags;
    if (flags !== undefined) program.flags = flags;
    if (!all) continue;
    program.autoload = true;
    if (!RUNNABLE_PROGRAM_TYPES.includes(program.type))
      Object.assign(program, {
        type: 'syscall',
        attachType: undefined,
        attachTo: undefined,
        sleepable: true,
      });
  }
  return object;
}

/** Why a program, alone in its object, cannot be run here, or not twice alike. */
async function unrunnable(
  bytes: Uint8Array,
  name: string,
  program: string,
  all: boolean,
): Promise<string | undefined> {
  const object = open(bytes, name, all);
  for (const each of Object.values(object.programs)) each.autoload = each.name === program;
  const kernel = new EmbeddedKernel({ engine: 'interpreter' });
  try {
    const { programs } = await kernel.load(object);
    const { type, verified } = programs[program];
    if (!RUNNABLE_PROGRAM_TYPES.includes(type)) return `programs of type ${type} are not run here`;
    const helper = verified.insns.find(
      ({ code, src, imm }) => opcode(code)?.kind === 'call' && src === 0 && UNREPEATABLE.includes(imm),
    );
    return helper && `calls helper ${helper.imm}`;
  } catch (error) {
    if (error instanceof BpfError) return error.message;
    throw error;
  } finally {
    kernel.close();
  }
}
