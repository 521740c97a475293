import { type EmbeddedOptions, embedded, type LoadedObject, open } from '../../src/index.ts';
import { linux } from '../../src/linux/index.ts';

/**
 * The process that a kernel is measured in: loads an object when told to, then runs programs one at a time and says what
 * each took. It only ever waits or runs, so nothing competes with what is measured.
 */

export interface KernelChoice {
  readonly name: 'embedded' | 'linux';
  readonly options?: EmbeddedOptions & { readonly jitOptions?: Readonly<Record<string, boolean>> };
}

export interface Load {
  readonly kernel: KernelChoice;
  readonly path: string;
}

export interface Answer {
  readonly checksum: string;
  readonly nanoseconds: number;
}

/** Loops must end by themselves, also where one takes the interpreter longer than Linux's quarter of a second. */
const LOOP_BUDGET = { iterations: 2 ** 30 };

let loaded: LoadedObject | undefined;

async function load({ kernel, path }: Load): Promise<Answer> {
  const object = await open(path);
  loaded = await object.load(
    kernel.name === 'linux' ? linux() : embedded({ mayGoto: LOOP_BUDGET, ...kernel.options }),
  );
  return { checksum: '', nanoseconds: 0 };
}

function run(name: string): Answer {
  const program = loaded?.programs[name];
  if (program === undefined) throw new Error(`there is no program ${name}`);
  const { retval, durationNs } = program.run();
  if (retval !== 0) throw new Error(`${name} returned ${retval | 0}`);
  return { checksum: String(loaded?.globals.checksum), nanoseconds: durationNs };
}

process.on('message', async (question: Load | { program: string }) => {
  try {
    process.send?.('program' in question ? run(question.program) : await load(question));
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.message : String(error) });
  }
});
