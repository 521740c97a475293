import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbeddedKernel } from '../embedded/kernel.ts';
import { parseObject } from './object.ts';
import { assembleObject } from './write.ts';

const open = (text: string) => parseObject(assembleObject(text, 'text'), 'object');

test('an object of nothing opens, and loads', async () => {
  const object = open('');
  assert.deepEqual(
    [object.maps, object.programs, object.code, object.externs].map((each) => Object.keys(each)),
    [[], [], [], []],
  );
  assert.deepEqual([object.license, object.btf, object.warnings], ['', undefined, []]);
  using kernel = new EmbeddedKernel();
  assert.deepEqual(Object.keys((await kernel.load(object)).programs), []);
});

test('an object of maps alone opens, and loads', async () => {
  using kernel = new EmbeddedKernel();
  const { maps } = await kernel.load(open('.map m, type=hash, key=u32, value=u64, max_entries=3'));
  assert.deepEqual([maps.m.keySize, maps.m.valueSize, maps.m.maxEntries], [4, 8, 3]);
});

test('the license ends at its first NUL', () => {
  assert.equal(open('.license "Dual BSD/GPL"').license, 'Dual BSD/GPL');
  assert.equal(open('.section license\n.ascii "GPL"').license, 'GPL');
});

const ADJUSTABLE = `
.map m, type=hash, key=u32, value=u64, max_entries=3
.data
.var limit : u32 = 7
.section syscall
.func read
r1 = limit ll
r0 = *(u32 *)(r1 + 0)
exit
.section my_own_section
.func other
r0 = 1
exit`;

test('all that may be set before load takes effect: sizes, types, globals, and what is loaded', async () => {
  const object = open(ADJUSTABLE);
  const { m } = object.maps;
  Object.assign(m, { type: 2, keySize: 4, valueSize: 16, maxEntries: 9 });
  object.data[0].contents[0] = 42;
  object.programs.other.type = 'syscall';
  using kernel = new EmbeddedKernel();
  const { maps, programs } = await kernel.load(object);
  const { type, keySize, valueSize, maxEntries } = maps.m;
  assert.deepEqual([type, keySize, valueSize, maxEntries], [2, 4, 16, 9]);
  assert.deepEqual([programs.read.run().retval, programs.other.run().retval], [42, 1]);
});

test('programs and maps that are not wanted are left out', async () => {
  const object = open(ADJUSTABLE);
  object.programs.other.autoload = false;
  object.maps.m.autocreate = false;
  using kernel = new EmbeddedKernel();
  const { maps, programs } = await kernel.load(object);
  assert.deepEqual([Object.keys(maps), Object.keys(programs)], [['.data'], ['read']]);
});

test('max_entries of the arena is checked again at load', async () => {
  const object = open(
    '.map a, type=arena, max_entries=9, map_flags=0x400\n.section .addr_space.1\n.zero 8193',
  );
  object.maps.a.maxEntries = 2;
  using kernel = new EmbeddedKernel();
  const allocated = kernel.memory.allocated;
  await assert.rejects(kernel.load(object), {
    code: 'E2BIG',
    message: /max_entries of 'a' must be at least 3/,
  });
  assert.equal(kernel.memory.allocated, allocated);
});

test('one object loads many times, each time as it was set', async () => {
  const object = open(ADJUSTABLE);
  object.programs.other.autoload = false;
  using kernel = new EmbeddedKernel();
  const first = await kernel.load(object);
  object.data[0].contents[0] = 9;
  const second = await kernel.load(object);
  assert.deepEqual([first.programs.read.run().retval, second.programs.read.run().retval], [7, 9]);
});

test('variables with a NUL, a dot or a prototype name of JavaScript are names like any other', () => {
  const { maps, programs } = open('.map __proto__, type=hash\n.section xdp\n.func constructor\nexit');
  assert.deepEqual([Object.keys(maps), Object.keys(programs)], [['__proto__'], ['constructor']]);
});

/** n functions in .text, each called by the next, the last by the program; each with a global variable. */
function chain(n: number): string {
  const functions = Array.from(
    { length: n },
    (_, i) => `.func f${i}\nr1 = v${i} ll\n${i > 0 ? `call f${i - 1}\n` : ''}exit`,
  );
  const variables = Array.from({ length: n }, (_, i) => `.var v${i} : u64`);
  return [...functions, '.section xdp', '.func main', `call f${n - 1}`, 'exit', '.data', ...variables].join(
    '\n',
  );
}

/** The best of several times, in milliseconds, to open an object and link its program. */
function timeToOpen(bytes: Uint8Array): number {
  const times = Array.from({ length: 5 }, () => {
    const started = performance.now();
    const object = parseObject(bytes);
    object.link(object.programs.main, { btf: undefined, kconfig: () => undefined });
    return performance.now() - started;
  });
  return Math.min(...times);
}

test('opening takes time in proportion to the number of functions and variables', (context) => {
  const [small, large] = [500, 5000].map((n) => timeToOpen(assembleObject(chain(n))));
  context.diagnostic(`500: ${small.toFixed(1)} ms, 5,000: ${large.toFixed(1)} ms`);
  // Ten times as much: a quadratic step would take a hundred times as long.
  assert.ok(large < 35 * small + 1_000, `${small} ms, then ${large} ms`);
});

test('24 MiB of arena globals open in the time that it takes to copy them', (context) => {
  const text =
    '.map a, type=arena, max_entries=8192, map_flags=0x400\n.section .addr_space.1\n.zero 25165824';
  const bytes = assembleObject(text);
  const started = performance.now();
  const { arenaGlobals } = parseObject(bytes);
  const took = performance.now() - started;
  context.diagnostic(`${took.toFixed(1)} ms`);
  assert.equal(arenaGlobals?.contents.length, 24 * 2 ** 20);
  assert.ok(took < 10_000, `${took} ms`);
});
