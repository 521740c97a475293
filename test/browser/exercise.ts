import type * as Api from '../../src/browser.ts';

/**
 * What is done in Node, in a worker and on a page's main thread alike, with results as plain data: they must be the same
 * everywhere. It gets the API, for each place imports another one, and imports nothing itself.
 */

type Engine = NonNullable<Api.EmbeddedOptions['engine']>;
/** Reads a file of `programs/`. */
type Read = (name: string) => Promise<Uint8Array>;

interface Node {
  readonly next: Node | null;
  readonly key?: bigint;
  readonly value: bigint;
}

/** One address for all, or pointers would differ. */
const ARENA_ADDRESS = 5n << 44n;

/** Loads from an arena pointer that is none. */
const REFUSED = `
.license "GPL"
.map arena, type=arena, max_entries=1, map_flags=0x400, map_extra=0x700000000000
.section syscall
.func f : s32 (void *ctx)
r1 = arena ll
r0 = *(u64 *)(r1 + 0)
exit
`;

/** Counts its runs in the arena's first page. */
const COUNTS = `
.license "GPL"
.map arena, type=arena, max_entries=1, map_flags=0x400, map_extra=0x700000000000
.extern kfunc bpf_arena_alloc_pages : void __arena * (void *map, void __arena *addr, u32 pages, s32 node, u64 flags)
.section syscall
.func f : s32 (void *ctx)
r1 = arena ll
r2 = 0
r3 = 1
r4 = -1
r5 = 0
call bpf_arena_alloc_pages
r1 = 0
r1 = addr_space_cast(r1, 0, 1)
r0 = *(u32 *)(r1 + 0)
r0 += 1
*(u32 *)(r1 + 0) = r0
exit
`;

const LIST_VALUES = 300;

function chain(first: Node | null): Node[] {
  const nodes: Node[] = [];
  for (let node = first; node !== null; node = node.next) nodes.push(node);
  return nodes;
}

/** What an object's programs gave. */
interface Ran {
  readonly isCompiled: boolean;
  readonly steps: readonly unknown[];
  readonly statistics: unknown;
}

export interface Exercised {
  readonly list: Ran;
  readonly table: Ran;
  readonly refusal: unknown;
}

/** All that the list and the hash table give on one engine, and what a program that is refused is told. */
export async function exercise(api: typeof Api, read: Read, engine: Engine): Promise<Exercised> {
  const list = await run(api, read, engine, 'arena_list', { cnt: LIST_VALUES }, ({ globals }) =>
    chain(globals.list_head.first).map(({ value }) => String(value)),
  );
  const table = await run(api, read, engine, 'arena_htab', {}, ({ globals }) =>
    [...globals.htab.buckets].map(({ first }: { first: Node | null }) =>
      chain(first).map(({ key, value }) => `${key}=${value}`),
    ),
  );
  return { list, table, refusal: await refusal(api, engine) };
}

async function run(
  api: typeof Api,
  read: Read,
  engine: Engine,
  name: string,
  globals: Record<string, number>,
  walk: (loaded: Api.LoadedObject) => unknown,
): Promise<Ran> {
  const object = await api.open(await read(`${name}.bpf.o`), { name });
  object.maps.arena.mapExtra = ARENA_ADDRESS;
  Object.assign(object.globals, globals);
  using kernel = api.embedded({ engine, faults: 'report' });
  using loaded = await object.load(kernel);
  const steps = Object.keys(loaded.programs).map((program) => {
    const { retval, faults } = loaded.programs[program].run();
    return { program, retval, faults, walk: walk(loaded), globals: loaded.readGlobals() };
  });
  const programs = Object.values(loaded.programs);
  const isCompiled = programs.every((each) => 'compiled' in each && each.compiled !== undefined);
  return { isCompiled, steps, statistics: loaded.arena?.statistics };
}

async function refusal(api: typeof Api, engine: Engine): Promise<unknown> {
  using kernel = api.embedded({ engine, logLevel: 2 });
  try {
    await (await api.open(api.assembleObject(REFUSED, 'refused'))).load(kernel);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof api.VerifierError)) throw error;
    return { code: error.code, message: error.message, log: error.log };
  }
}

/** Opens and closes a kernel so many times, each running a program. @returns how many memories were made for that. */
export async function openAndClose(api: typeof Api, times: number): Promise<number> {
  const { Memory } = WebAssembly;
  let memories = 0;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      memories++;
    }
  };
  try {
    const bytes = api.assembleObject(COUNTS, 'counts');
    for (let i = 0; i < times; i++) {
      using loaded = await (await api.open(bytes)).load();
      const { run } = loaded.programs.f;
      const retvals = [0, 1].map(() => run.call(loaded.programs.f).retval);
      if (String(retvals) !== '1,2') throw new Error(`kernel ${i} gives ${retvals}: its arena was not empty`);
    }
    return memories;
  } finally {
    WebAssembly.Memory = Memory;
  }
}

/** Each CPU waits until all are there, then adds to a word of the arena. */
const MEETS = `
.license "GPL"
.map arena, type=arena, max_entries=1, map_flags=0x400, map_extra=0x700000000000
.section syscall
.func f : s32 (void *ctx)
r6 = *(u32 *)(r1 + 0)
r1 = arena ll
r7 = 0
r7 = addr_space_cast(r7, 0, 1)
r2 = 1
lock *(u64 *)(r7 + 0) += r2
wait:
may_goto late
r2 = *(u64 *)(r7 + 0)
if r2 < r6 goto wait
r8 = 10000
loop:
r2 = 1
lock *(u64 *)(r7 + 8) += r2
r8 += -1
if r8 != 0 goto loop
call 8
exit
late:
r0 = -1
exit
`;

/** Runs a program on several CPUs at once. @returns their numbers, the sum, and what is said when one is stopped. */
export async function severalCpus(api: typeof Api, cpus: number): Promise<unknown> {
  const kernel = api.embedded({ cpus, mayGoto: { milliseconds: 60_000 } });
  const object = await api.open(api.assembleObject(MEETS, 'meets'));
  const { programs, arena } = await object.load(kernel);
  arena?.touch(arena.userVmStart, 16, true);
  const ctx = Uint8Array.of(cpus, 0, 0, 0);
  const numbers = (await programs.f.runOnAll({ ctx })).map(({ retval }) => retval);
  const sum = arena?.memory.view.getUint32(8, true);
  // It waits for more CPUs than there are.
  const stuck = programs.f.runOn(1, { ctx: Uint8Array.of(255, 0, 0, 0) }).catch((error) => error.code);
  while (arena?.memory.view.getUint32(0, true) !== cpus + 1) await new Promise((go) => setTimeout(go));
  kernel.close();
  return { numbers, sum, stuck: await stuck };
}
