import type { EmbeddedOptions } from '../../src/embedded/options.ts';
import { BpfError } from '../../src/errors.ts';
import { assembleObject } from '../../src/object/write.ts';
import { OpenedObject } from '../../src/opened.ts';
import { anyBytes } from '../inputs.ts';
import { Random } from '../random.ts';
import { CONTEXT_BYTES, type EngineObject, generateForEngines, textOf } from './generate.ts';
import { fill } from './inputs.ts';
import { NotCompared, NotCompiled, Pair } from './pair.ts';

/** Generated objects on both engines with random inputs; and the way from an object that shows a difference to a small one. */

export interface Setting {
  readonly options: EmbeddedOptions;
  /** Runs of each program. */
  readonly runs: number;
  /** Changes the kernels before the first run: for tests of what is found. */
  readonly prepare?: (pair: Pair) => void;
}

export interface Difference {
  /** Undefined when the object was not loaded. */
  readonly program: string | undefined;
  readonly run: number;
  readonly what: string;
}

export interface Tried {
  /** Names of programs that ran as often as they should. */
  readonly compared: readonly string[];
  /** Why others did not. */
  readonly skipped: readonly string[];
  readonly difference?: Difference;
}

/** Runs all programs of a text. Inputs depend on the seed and the program's name alone. */
export async function tryText(
  text: string,
  seed: number,
  { options, runs, prepare }: Setting,
): Promise<Tried> {
  const compared: string[] = [];
  const skipped: string[] = [];
  const object = new OpenedObject(assembleObject(text, 'fuzz'), 'fuzz');
  using opened = new DisposableStack();
  let pair: Pair;
  try {
    pair = opened.use(await Pair.open(object, options, (_, why) => skipped.push(why)));
  } catch (error) {
    if (!(error instanceof NotCompiled)) throw error;
    return { compared, skipped, difference: { program: undefined, run: 0, what: error.message } };
  }
  prepare?.(pair);
  for (const program of Object.keys(pair.sides[0].load.programs)) {
    try {
      for (let run = 0; run < runs; run++) {
        const inputs = seed * 10_000 + Number(program.slice(1)) * 100 + run;
        for (const { load } of pair.sides) fill(load, new Random(inputs));
        const what = pair.run(program, anyBytes(new Random(~inputs), CONTEXT_BYTES));
        if (what !== undefined) return { compared, skipped, difference: { program, run, what } };
      }
      compared.push(program);
    } catch (error) {
      if (!(error instanceof NotCompared)) throw error;
      skipped.push(error.message);
    }
  }
  return { compared, skipped };
}

/** @returns the object with this seed, and what it shows. */
export async function trySeed(
  seed: number,
  count: number,
  setting: Setting,
): Promise<Tried & { readonly object: EngineObject }> {
  const object = generateForEngines(new Random(seed), count);
  return { ...(await tryText(textOf(object, object.programs), seed, setting)), object };
}

/** The smallest text found that shows the same difference, as an object that is refused or differs elsewhere does not. */
export async function shrink(
  object: EngineObject,
  difference: Difference,
  tryIt: (text: string) => Promise<Tried>,
): Promise<string> {
  const shows = async (text: string) => {
    try {
      const found = (await tryIt(text)).difference;
      return (
        found !== undefined && found.program === difference.program && kindOf(found) === kindOf(difference)
      );
    } catch (error) {
      if (error instanceof BpfError) return false;
      throw error;
    }
  };
  let text = textOf(object, object.programs);
  for (const each of object.programs) {
    const alone = textOf(object, [each]);
    if (difference.program !== undefined && difference.program !== each.name) continue;
    if (!(await shows(alone))) continue;
    text = alone;
    break;
  }
  return takeLines(text, shows);
}

/** Values and places change while a program becomes smaller; what is different does not. */
function kindOf({ what }: Difference): string {
  const [line] = what.split('\n');
  return line.replace(/(, bytes \d.*)?: interpreter .*|"[^"]*"|@?[+\d]+/g, '');
}

/** A frame is written before it is read, and must stay so: constants that a function begins with. */
const FILLS_FRAME = /^\*\(u\d+ \*\)\(r10 - \d+\) = -?\d+$/;

/** Takes lines away as long as the rest shows it: whole functions, then many lines at once, in the end one by one. */
async function takeLines(text: string, shows: (text: string) => Promise<boolean>): Promise<string> {
  let lines = text.split('\n');
  const attempt = async (rest: string[]) => {
    if (rest.length === lines.length || !(await shows(rest.join('\n')))) return false;
    lines = rest;
    return true;
  };
  for (let end = lines.length, at = end - 1; at >= 0; at--) {
    if (!lines[at].startsWith('.section')) continue;
    await attempt([...lines.slice(0, at), ...lines.slice(end)]);
    end = at;
  }
  for (let chunk = Math.ceil(lines.length / 4), smaller = true; chunk > 1 || smaller; ) {
    smaller = false;
    for (let at = lines.length - chunk; at > -chunk; at -= chunk) {
      const rest = lines.filter((line, i) => i < at || i >= at + chunk || FILLS_FRAME.test(line));
      smaller = (await attempt(rest)) || smaller;
    }
    chunk = Math.ceil(chunk / 2);
  }
  return lines.join('\n');
}
