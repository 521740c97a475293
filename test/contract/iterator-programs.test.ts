import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { BpfError, embedded, type Kernel, type LoadedObject, open } from '../../src/index.ts';
import type { IterateOptions, LoadedProgram } from '../../src/kernel.ts';
import { type AttachableProgram, attach, linux } from '../../src/linux/index.ts';
import { type ContractKernel, onBothKernels, onLinux, outcome } from './kernels.ts';

/**
 * Iterator programs, read by user space: programs/contract/iterate_objects.bpf.c over the kernel's own objects, iterate_elements.bpf.c
 * over a map's elements.
 */

const OBJECTS = new URL('../../programs/contract/iterate_objects.bpf.o', import.meta.url);
const ELEMENTS = new URL('../../programs/contract/iterate_elements.bpf.o', import.meta.url);

/** All that a program writes. */
function textOf(program: LoadedProgram, options?: IterateOptions): string {
  using iteration = program.iterate(options);
  return iteration.text();
}

/** The lengths of what single reads give. */
function reads(program: LoadedProgram, size?: number): number[] {
  using iteration = program.iterate();
  const lengths: number[] = [];
  for (let piece = iteration.read(size); piece !== undefined; piece = iteration.read(size))
    lengths.push(piece.length);
  return lengths;
}

/** What tells programs of a kernel apart, in the structures that iterators see. */
function idOf(program: LoadedProgram): number {
  return (program as LoadedProgram & { readonly id: number }).id;
}

async function loadObjects(kernel: Kernel): Promise<LoadedObject> {
  const loaded = await (await open(OBJECTS)).load(kernel);
  loaded.globals.first_id = loaded.maps.first.id;
  loaded.globals.second_id = loaded.maps.second.id;
  return loaded;
}

function overObjects(openKernel: ContractKernel['open']): void {
  it('each object is shown once, then the end', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { dump_maps: program } = loaded.programs;
    assert.equal(textOf(program), 'first 3: 4, 8\nsecond 5: 8, 4\nend\n');
    assert.equal(loaded.globals.ends, 1n);
    using iteration = program.iterate();
    assert.deepEqual([...iteration].length, 1);
    assert.equal(iteration.read(), undefined);
    assert.equal(loaded.globals.ends, 2n);
  });

  it('each iteration is a session of its own', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { globals, programs } = loaded;
    using first = programs.dump_maps.iterate();
    using second = programs.dump_maps.iterate();
    second.text();
    const session = globals.session;
    first.text();
    assert.equal(session - globals.session, 1n);
  });

  it('reads as much as is wanted, and goes on there', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    loaded.globals.words = 5;
    const { writes_much: program } = loaded.programs;
    // What one call wrote is there, and read bit by bit: then the program is called again.
    assert.deepEqual(reads(program, 16), [16, 16, 8, 16, 16, 8]);
    assert.deepEqual(reads(program, 64), [64, 16]);
    assert.deepEqual(reads(program), [80]);
  });

  it('what does not fit is shown again, with its number', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { globals, programs } = loaded;
    globals.words = 3000;
    assert.deepEqual(reads(programs.writes_much), [24_000, 24_000]);
    assert.equal(globals.times, 2);
    assert.equal(globals.first_seq, globals.last_seq);
  });

  it('a program may ask for the same object again: EAGAIN where nothing is written', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { globals, programs } = loaded;
    globals.retries = 2;
    using iteration = programs.writes_much.iterate();
    assert.equal(
      outcome(() => iteration.read()),
      'EAGAIN',
    );
    assert.equal(globals.times, 1);
    // Who reads all asks again.
    assert.equal(iteration.bytes().length, 0);
    assert.equal(globals.times, 3);
    globals.times = 0;
    globals.words = 2;
    using another = programs.writes_much.iterate();
    assert.deepEqual(
      [...another].map(({ length }) => length),
      [16, 16],
    );
    assert.equal(globals.times, 3);
  });

  it('more than fits of one object is E2BIG, and the program is told', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    using iteration = loaded.programs.overflows.iterate();
    assert.equal(
      outcome(() => iteration.read()),
      'E2BIG',
    );
    const { results } = loaded.globals;
    assert.deepEqual([...results], [-75n, -75n, -75n, -22n]);
  });

  it('formats as all that prints', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { formats: program } = loaded.programs;
    assert.equal(textOf(program), 'text    -3|7    |123456789a %\n');
    assert.deepEqual([...loaded.globals.results], [-22n, -22n, -22n, 0n]);
  });

  it('programs and links are objects, too', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { globals, programs } = loaded;
    globals.own_program = idOf(programs.dump_programs);
    assert.equal(textOf(programs.dump_programs), 'dump_programs bpf_iter_bpf_prog 26\n');
    globals.own_program = idOf(programs.dump_links);
    using other = programs.dump_links.iterate();
    assert.equal(textOf(programs.dump_links), 'type 4\ntype 4\n');
    assert.equal(other.text(), 'type 4\n');
  });

  it('is refused where it cannot be', async () => {
    using kernel = openKernel();
    using loaded = await loadObjects(kernel);
    const { programs, maps } = loaded;
    const refused = (name: string, options?: IterateOptions) =>
      outcome(() => programs[name].iterate(options));
    assert.equal(refused('is_none'), 'EINVAL');
    assert.equal(refused('sleeps'), 'EINVAL');
    assert.equal(refused('dump_maps', { map: maps.first }), 'EINVAL');
    assert.equal(
      outcome(() => programs.dump_maps.run()),
      'EFAULT',
    );
    assert.equal(
      outcome(() => programs.dump_maps.prepare()),
      'EFAULT',
    );
  });

  it('ends with its program', async () => {
    using kernel = openKernel();
    const loaded = await loadObjects(kernel);
    const { dump_maps: program } = loaded.programs;
    const iteration = program.iterate();
    const closed = program.iterate();
    closed.close();
    closed.close();
    assert.equal(
      outcome(() => closed.read()),
      'EBADF',
    );
    assert.equal(
      outcome(() => iteration.read(0)),
      'EINVAL',
    );
    loaded.close();
    assert.equal(
      outcome(() => iteration.read()),
      'EBADF',
    );
    assert.equal(
      outcome(() => program.iterate()),
      'EBADF',
    );
  });
}

onBothKernels('iterators over objects', ({ open: openKernel }) => overObjects(openKernel));

/** Loads the object, or says why not. */
async function loadElements(kernel: Kernel, test: TestContext): Promise<LoadedObject | undefined> {
  try {
    return await (await open(ELEMENTS)).load(kernel);
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== 'EPERM' || kernel.name !== 'linux') throw error;
    test.skip('not run: a policy of this machine forbids iterators over elements (EPERM)');
    return undefined;
  }
}

const key = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);
const u64 = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const u32 = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);

function overElements(openKernel: ContractKernel['open']): void {
  const rule = (name: string, check: (loaded: LoadedObject) => void) =>
    it(name, async (test) => {
      using kernel = openKernel();
      using loaded = await loadElements(kernel, test);
      if (loaded !== undefined) check(loaded);
    });
  const iterate = ({ programs, maps }: LoadedObject, program: string, map: string) =>
    programs[program].iterate({ map: maps[map] });
  const shown = ({ programs, maps }: LoadedObject, program: string, map: string) =>
    textOf(programs[program], { map: maps[map] });

  for (const map of ['table', 'recent'])
    rule(`each element is shown once, then the end: ${map}`, (loaded) => {
      assert.equal(shown(loaded, 'dump_table', map), 'end\n');
      for (let n = 0; n < 60; n++) loaded.maps[map].update(key(n, n * n, 7), u64(n + 1000));
      const lines = shown(loaded, 'dump_table', map).trimEnd().split('\n');
      assert.equal(lines.shift(), `map ${map}`);
      assert.equal(lines.pop(), 'end');
      const wanted = Array.from({ length: 60 }, (_, n) => `${n} ${n * n} 7: ${n + 1000}`);
      assert.deepEqual(lines.sort(), wanted.sort());
    });

  rule('elements are shown in parts of a page as well', (loaded) => {
    for (let n = 0; n < 100; n++) loaded.maps.table.update(key(n, 0, 0), u64(n));
    using iteration = iterate(loaded, 'dump_table', 'table');
    const pieces: string[] = [];
    for (let piece = iteration.read(50); piece !== undefined; piece = iteration.read(50))
      pieces.push(new TextDecoder().decode(piece));
    assert.equal(pieces.join(''), shown(loaded, 'dump_table', 'table'));
    assert.ok(pieces.length > 10);
  });

  rule('what is shown stays while it is replaced and deleted', (loaded) => {
    for (let n = 1; n <= 50; n++) loaded.maps.table.update(key(n, 0, 0), u64(n));
    assert.equal(shown(loaded, 'takes_out', 'table'), '');
    assert.equal(loaded.globals.seen, 50n);
    assert.equal(loaded.globals.sum, 1275n * 1000001n);
    assert.deepEqual([...loaded.maps.table.keys()], []);
  });

  rule('what is replaced meanwhile is not met twice', (loaded) => {
    for (let n = 1; n <= 100; n++) loaded.maps.table.update(key(n, 0, 0), u64(n));
    shown(loaded, 'replaces', 'table');
    assert.equal(loaded.globals.seen, 100n);
    for (let n = 1; n <= 100; n++)
      assert.deepEqual(loaded.maps.table.lookup(key(n, 0, 0)), u64(n + 1), `element ${n}`);
  });

  rule('deleting what is shown and inserting others ends, and leaves nothing out', (loaded) => {
    for (let n = 1; n <= 100; n++) loaded.maps.table.update(key(n, 0, 0), u64(n));
    shown(loaded, 'moves', 'table');
    assert.equal(loaded.globals.seen, 100n);
    for (let n = 1; n <= 100; n++)
      assert.deepEqual(loaded.maps.table.lookup(key(n, 0, 1)), u64(n), `element ${n}`);
  });

  rule('values are written in the map itself', (loaded) => {
    for (let n = 0; n < 4; n++) loaded.maps.numbers.update(u32(n), u64(n + 10));
    using iteration = iterate(loaded, 'doubles', 'numbers');
    const view = new DataView(iteration.bytes().buffer);
    for (let n = 0; n < 4; n++) {
      assert.equal(view.getUint32(12 * n, true), n);
      assert.equal(view.getBigUint64(12 * n + 4, true), BigInt(n + 10));
      assert.deepEqual(loaded.maps.numbers.lookup(u32(n)), u64(2 * (n + 10) + n));
    }
  });

  for (const map of ['each_cpu', 'numbers_each_cpu'])
    rule(`of a per-CPU map all values are shown: ${map}`, (loaded) => {
      const { maps, globals } = loaded;
      const cpus = maps[map].elementSize / 8;
      globals.cpus = Math.min(cpus, 2);
      for (let n = 0; n < 3; n++) {
        const values = Uint32Array.from({ length: 2 * cpus }, (_, i) => (i % 2 === 0 ? n + 1 + i : 0));
        maps[map].update(map === 'each_cpu' ? key(n, n, n) : u32(n), new Uint8Array(values.buffer));
      }
      const first = 1 + 2 + 3;
      const second = cpus > 1 ? 100 * (first + 6) : 0;
      if (cpus === 1) {
        // The program reaches a second value, which there is not.
        assert.equal(
          outcome(() => iterate(loaded, 'sums_cpus', map)),
          'EACCES',
        );
        return;
      }
      assert.equal(shown(loaded, 'sums_cpus', map), '');
      assert.deepEqual([globals.seen, globals.sum], [3n, BigInt(first + second)]);
    });

  rule('who reaches beyond keys or values is refused', (loaded) => {
    const refused = (program: string, map: string) => outcome(() => iterate(loaded, program, map).close());
    assert.equal(refused('dump_table', 'table'), 'ok');
    assert.equal(refused('dump_table', 'short_keys'), 'EACCES');
    assert.equal(refused('dump_table', 'short_values'), 'EACCES');
    assert.equal(refused('reaches_far', 'table'), 'EACCES');
    assert.equal(refused('dump_table', 'queue'), 'EINVAL');
    assert.equal(refused('sleeps', 'table'), 'EINVAL');
    assert.equal(
      outcome(() => loaded.programs.dump_table.iterate()),
      'EBADF',
    );
  });

  rule('an object that is asked for again keeps its number', (loaded) => {
    for (let n = 1; n <= 5; n++) loaded.maps.table.update(key(n, 0, 0), u64(n));
    assert.equal(shown(loaded, 'asks_again', 'table'), '0 1 2 3 4 ');
    assert.equal(loaded.globals.seen, 10n);
  });
}

onBothKernels('iterators over elements', ({ open: openKernel }) => overElements(openKernel));
describe('iterators over elements, with two CPUs', () => overElements(() => embedded({ cpus: 2 })));
describe('iterators, in the checked mode', () => {
  overObjects(() => embedded({ checked: true }));
  overElements(() => embedded({ checked: true }));
});

describe('an iteration of the embedded kernel', () => {
  it('shows what nobody touches once, while another CPU inserts and deletes', async () => {
    using kernel = embedded({ cpus: 2, mayGoto: { milliseconds: 5000 } });
    using loaded = await (await open(ELEMENTS)).load(kernel);
    for (let n = 0; n < 50; n++) loaded.maps.table.update(key(n, 0, 0), u64(n + 1));
    const churning = loaded.programs.churns.runOn(1);
    const wanted = Array.from({ length: 50 }, (_, n) => `${n} 0 0: ${n + 1}`).sort();
    while (loaded.globals.changes === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const before = loaded.globals.changes;
    for (let round = 0; round < 100; round++) {
      const { table: map } = loaded.maps;
      using iteration = loaded.programs.dump_table.iterate({ map });
      let text = '';
      for (let piece = iteration.read(100); piece !== undefined; piece = iteration.read(100))
        text += new TextDecoder().decode(piece);
      const lines = text.split('\n').filter((line) => / 0 0: /.test(line));
      assert.deepEqual(lines.sort(), wanted, `round ${round}`);
    }
    assert.notEqual(loaded.globals.changes, before);
    loaded.globals.stop = 1;
    assert.equal((await churning).retval, 0);
  });

  it('keeps its map until it is closed', async () => {
    using kernel = embedded();
    using loaded = await (await open(ELEMENTS)).load(kernel);
    const map = kernel.createMap({ type: 1, name: 'own', keySize: 12, valueSize: 8, maxEntries: 4 });
    map.update(key(1, 2, 3), u64(4));
    using iteration = loaded.programs.dump_table.iterate({ map });
    map.close();
    assert.equal(iteration.text(), 'map own\n1 2 3: 4\nend\n');
    assert.equal(kernel.mapById(map.id)?.name, 'own');
    iteration.close();
    assert.equal(kernel.mapById(map.id), undefined);
    assert.equal(
      outcome(() => loaded.programs.dump_table.iterate({ map })),
      'EBADF',
    );
  });

  it('takes no map of another kernel', async () => {
    using loaded = await (await open(ELEMENTS)).load();
    using other = await (await open(ELEMENTS)).load();
    const { table: map } = other.maps;
    assert.equal(
      outcome(() => loaded.programs.dump_table.iterate({ map })),
      'EINVAL',
    );
  });

  it('leaves no memory behind', async () => {
    using kernel = embedded();
    using loaded = await loadObjects(kernel);
    const { dump_maps: program } = loaded.programs;
    program.iterate().close();
    const before = kernel.memory.allocated;
    for (let n = 0; n < 1000; n++) {
      using iteration = program.iterate();
      iteration.read(1);
    }
    assert.equal(kernel.memory.allocated, before);
  });
});

onLinux('a link of an iterator', () => {
  it('can be made without reading', async () => {
    using kernel = linux();
    using loaded = await loadObjects(kernel);
    const program = (name: string) => loaded.programs[name] as unknown as AttachableProgram;
    using link = attach(program('dump_maps'), { kind: 'iter' });
    assert.equal(link.info.type, 'iter');
    assert.equal(
      outcome(() => attach(program('is_none'), { kind: 'iter' })),
      'EINVAL',
    );
  });
});
