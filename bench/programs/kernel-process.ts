import { type EmbeddedOptions, embedded, type LoadedObject, open } from '../../src/index.ts';
import { linux } from '../../src/linux/index.ts';
import type { RecordReader } from '../../src/record-reader.ts';

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

const readers = new Map<string, RecordReader<Uint8Array>>();

/** Empties a ring buffer. */
function drain(map: string): Answer {
  const reader = readers.get(map) ?? (loaded as LoadedObject).maps[map].reader();
  readers.set(map, reader);
  return { checksum: String(reader.drain(() => true)), nanoseconds: 0 };
}

type Question = Load | { program: string } | { drain: string };

async function answer(question: Question): Promise<Answer> {
  if ('program' in question) return run(question.program);
  return 'drain' in question ? drain(question.drain) : await load(question);
}

process.on('message', async (question: Question) => {
  try {
    process.send?.(await answer(question));
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.message : String(error) });
  }
});
