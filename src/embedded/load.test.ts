import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseObject } from '../object/object.ts';
import { assembleObject } from '../object/write.ts';
import { EmbeddedKernel } from './kernel.ts';
import { RUNNABLE_PROGRAM_TYPES } from './runnable.ts';

/** Loading: all or nothing, and nothing stays behind. */

const ARENA = '.map arena, type=arena, max_entries=8, map_flags=0x400';
const OTHER = '.map other, type=arena, max_entries=8, map_flags=0x400';
const MAIN = '.section syscall\n.func main : s32 (void *ctx)';
const END = 'r0 = 0\nexit';

/** Objects that fail at different steps of a load, with the error. */
const FAILURES: readonly (readonly [what: string, text: string, code: string, message: RegExp])[] = [
  [
    'a map that is refused',
    `.map wrong, type=array, key_size=8, value_size=4, max_entries=1\n${MAIN}\n${END}`,
    'EINVAL',
    /4-byte index/,
  ],
  [
    'a map type that is missing',
    `.map ring, type=stack_trace, max_entries=4096\n${MAIN}\n${END}`,
    'EOPNOTSUPP',
    /stack_trace/,
  ],
  [
    'a program type that is missing',
    `.section lsm/x\n.func main : s32 (void *ctx)\n${END}`,
    'EOPNOTSUPP',
    /program type lsm/,
  ],
  [
    'a cast without an arena',
    `${MAIN}\nr1 = addr_space_cast(r1, 0, 1)\n${END}`,
    'EINVAL',
    /can only be used in a program that has an associated arena/,
  ],
  [
    'a rejected program',
    `${ARENA}\n${MAIN}\nr1 = arena ll\ngoto +5\nexit`,
    'EINVAL',
    /jump out of range from insn 2 to 8/,
  ],
  [
    'a kfunc that is missing',
    `${ARENA}\n.extern kfunc bpf_missing : void (void *p)\n${MAIN}\nr1 = arena ll\ncall bpf_missing\n${END}`,
    'ESRCH',
    /bpf_missing/,
  ],
];

describe('a load that fails leaves kernel memory as it was', () => {
  for (const [what, text, code, message] of FAILURES) {
    it(`${what}: ${code}`, async () => {
      using kernel = new EmbeddedKernel();
      const before = kernel.memory.allocated;
      const object = parseObject(assembleObject(text));
      await assert.rejects(kernel.load(object), { code, message });
      assert.equal(kernel.memory.allocated, before);
    });
  }

  it('two arenas are refused before anything is loaded', () => {
    assert.throws(() => parseObject(assembleObject(`${ARENA}\n${OTHER}\n${MAIN}\n${END}`)), {
      code: 'EINVAL',
    });
  });
});

describe('every program of programs/', () => {
  const folder = new URL('../../programs/', import.meta.url);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.bpf.o'))) {
    it(`${file} loads, closes and leaves kernel memory as it was`, async () => {
      using kernel = new EmbeddedKernel();
      const before = kernel.memory.allocated;
      const object = parseObject(readFileSync(new URL(file, folder)));
      for (const spec of Object.values(object.programs))
        spec.autoload &&= RUNNABLE_PROGRAM_TYPES.includes(spec.type);
      const load = await kernel.load(object);
      assert.ok(kernel.memory.allocated > before);
      load.close();
      assert.equal(kernel.memory.allocated, before);
    });
  }
});

/** Bytes held: on V8's heap by what is alive, and outside of it. How much room V8 gives its heap is its own matter. */
function held(): { outside: number; heap: number } {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return { outside: rss - heapTotal, heap: heapUsed };
}

it('10,000 kernels opened, loaded and closed leave memory and handles as they were', async () => {
  // Small, so that most of the time goes to what is opened and closed: an arena, maps, a compiled program.
  const object = parseObject(
    assembleObject(
      `.license "GPL"
      .extern kfunc bpf_arena_alloc_pages : void __arena * (void *map, void __arena *addr, u32 pages, s32 node, u64 flags)
      .map arena, type=arena, max_entries=10, map_flags=0x400
      .map table, type=hash, key_size=4, value_size=8, max_entries=16\n.section .bss\n.var count : u64
      .section syscall\n.func main : s32 (void *ctx)\nr1 = arena ll\nr2 = 0\nr3 = 1\nr4 = -1\nr5 = 0
      call bpf_arena_alloc_pages\nr1 = count ll\n*(u64 *)(r1 + 0) = 1\nr0 = 0\nexit`,
    ),
  );
  const cycle = async () => {
    using kernel = new EmbeddedKernel();
    await kernel.load(object);
  };
  for (let i = 0; i < 500; i++) await cycle();
  const before = { ...held(), handles: process.getActiveResourcesInfo().length };
  for (let i = 0; i < 10_000; i++) await cycle();
  const after = held();
  for (const kind of ['outside', 'heap'] as const) {
    const grown = after[kind] - before[kind];
    assert.ok(grown < 32 * 2 ** 20, `${grown} bytes more, ${kind}`);
  }
  assert.equal(process.getActiveResourcesInfo().length, before.handles);
});

it('objects that lists and map values hold are given up with their maps', async () => {
  for (const [file, program] of [
    ['objects', 'objects_may_be_left'],
    ['cpumasks', 'a_set_may_be_left_in_a_map_value'],
  ]) {
    const bytes = readFileSync(new URL(`../../programs/contract/${file}.bpf.o`, import.meta.url));
    using kernel = new EmbeddedKernel();
    const allocated: number[] = [];
    for (let round = 0; round < 3; round++) {
      const object = parseObject(bytes);
      for (const spec of Object.values(object.programs)) spec.autoload = spec.name === program;
      const load = await kernel.load(object);
      const { type } = load.programs[program];
      const { retval } = load.programs[program].run(type === 'syscall' ? {} : { data: new Uint8Array(64) });
      assert.equal(retval, 0);
      load.close();
      allocated.push(kernel.memory.allocated);
    }
    assert.deepEqual(allocated.slice(1), [allocated[0], allocated[0]], file);
  }
});
