import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { embedded } from '../../index.ts';
import { parseObject } from '../../object/object.ts';
import { assembleObject } from '../../object/write.ts';
import type { EmbeddedKernel } from '../kernel.ts';
import type { EmbeddedLoad } from '../load.ts';

/** Several CPUs of one kernel: they share all memory, run at once, and a thread that dies takes nothing with it. */

/** As in the assembly. */
const CPUS = 3;
const PAGES = 64;
const ADDS = 20_000;

const OBJECT = assembleObject(
  readFileSync(new URL('../testdata/cpus.bpfasm', import.meta.url), 'utf8'),
  'cpus',
);

interface Opened {
  readonly kernel: EmbeddedKernel;
  readonly loaded: EmbeddedLoad;
}

async function start(cpus: number, options: Parameters<typeof embedded>[0] = {}): Promise<Opened> {
  const kernel = embedded({ cpus, mayGoto: { milliseconds: 120_000 }, ...options });
  const object = parseObject(OBJECT);
  object.maps.arena.mapExtra = 0x7000_0000_0000n;
  return { kernel, loaded: await kernel.load(object) };
}

/** The three counters of `values`. */
function values({ loaded }: Opened): number[] {
  return [...new BigUint64Array(loaded.maps.values.lookup(new Uint8Array(4))?.slice().buffer ?? [])].map(
    Number,
  );
}

function setValues({ loaded }: Opened, ...counters: number[]): void {
  const bytes = new Uint8Array(BigUint64Array.from(counters, BigInt).buffer);
  loaded.maps.values.update(new Uint8Array(4), bytes);
}

/** Resolves when a condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const retvals = (results: readonly { retval: number }[]) => results.map(({ retval }) => retval);

describe('several CPUs', async () => {
  const lines: string[] = [];
  const opened = await start(CPUS, { faults: 'report', onTrace: (line) => lines.push(line) });
  const { kernel, loaded } = opened;
  const { programs } = loaded;
  after(() => kernel.close());

  it('have their numbers and one clock', async () => {
    const ctx = new Uint8Array(8);
    for (const cpu of [0, 1, 2, 1]) {
      const time = async (on: number) => {
        const { retval, ctxOut } = await programs.where.runOn(on, { ctx });
        assert.equal(retval, on);
        return new DataView(ctxOut?.buffer as ArrayBuffer).getBigUint64(0, true);
      };
      const [before, there, behind] = [await time(0), await time(cpu), await time(0)];
      assert.ok(before <= there && there <= behind, `${before} ${there} ${behind}`);
    }
  });

  it('run at once: each waits for all others', async () => {
    setValues(opened, 0, 0, 0);
    assert.deepEqual(retvals(await programs.meet.runOnAll()), Array(CPUS).fill(0));
  });

  it('add atomically to a map value and to the arena', async () => {
    setValues(opened, 0, 0, 0);
    const at = loaded.arena?.userVmStart as bigint;
    loaded.arena?.touch(at, 16, true);
    assert.deepEqual(retvals(await programs.add.runOnAll()), Array(CPUS).fill(0));
    assert.equal(values(opened)[0], CPUS * ADDS);
    assert.equal(
      new DataView(loaded.arena?.bytes.buffer as ArrayBuffer).getBigUint64(8, true),
      BigInt(CPUS * ADDS),
    );
  });

  it('add at misaligned addresses without losing what is added to the same bytes at aligned ones', async () => {
    const { arena, programs } = loaded;
    arena?.touch(arena.userVmStart, 96, true);
    assert.deepEqual(retvals(await programs.overlap.runOnAll()), Array(CPUS).fill(0));
    const sum = BigInt(CPUS * 5000);
    const word = (at: number) => arena?.memory.view.getBigUint64(at, true);
    assert.equal(word(64), sum + (sum << 16n));
    assert.equal(word(72), sum + (sum << 32n));
    assert.equal(word(80), sum + (sum << 32n));
  });

  it('allocate and free pages at once, while user space touches some: no page is given twice, none is lost', async () => {
    const { arena } = loaded;
    assert.ok(arena);
    arena.arena.free(arena.arena.pages.start, PAGES);
    let running = true;
    const runs = Promise.all([1, 2].map((cpu) => programs.pages.runOn(cpu, { repeat: 10 }))).finally(() => {
      running = false;
    });
    const touched = arena.userVmStart + 60n * 4096n;
    while (running) {
      arena.touch(touched, 8, false);
      assert.deepEqual(retvals([programs.pages.run()]), [0]);
      arena.arena.free(arena.offsetOf(touched) as never, 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(retvals(await runs), [0, 0]);
    assert.equal(arena.statistics.present, 0);
    for (let page = 0; page < PAGES; page++) assert.equal(arena.pageState(page), 'free');
    const whole = arena.arena.allocate(undefined, PAGES);
    assert.equal(whole, arena.arena.pages.start);
    arena.arena.free(arena.arena.pages.start, PAGES);
  });

  it('use one hash table, while user space reads it', async () => {
    const { table } = loaded.maps;
    const key = new Uint8Array(new Uint32Array([2_002]).buffer);
    const runs = programs.fill.runOn(2);
    programs.fill.run();
    for (const each of table.keys()) assert.equal(each.length, 4);
    assert.deepEqual(retvals([await runs, await programs.fill.runOn(1)]), [0, 0]);
    assert.equal([...table.keys()].length, CPUS * 250);
    assert.equal(new DataView(table.lookup(key)?.buffer as ArrayBuffer).getUint32(0, true), 2_002);
  });

  it('report faults with the page as this thread sees it, and print', async () => {
    const { faults } = await programs.absent.runOn(1);
    const [{ program, address, page, access, count }] = faults;
    assert.deepEqual([program, address, page, access, count], ['absent', 0x1500c, 'free', 'load', 1]);
    assert.deepEqual(faults, (await programs.absent.runOn(0)).faults);
    await programs.say.runOn(2, { repeat: 3 });
    await programs.say.runOn(1);
    assert.deepEqual(lines, ['2', '2', '2', '1']);
  });

  it('take what CPU 0 takes', async () => {
    await assert.rejects(programs.where.runOn(1), {
      code: 'EINVAL',
      message: /8 bytes of context, and got 0/,
    });
    await assert.rejects(programs.add.runOn(1, { repeat: 0 }), { code: 'EINVAL' });
  });

  it('are asked by runOn', async () => {
    assert.throws(() => programs.add.run({ cpu: 1 }), { code: 'EINVAL', message: /use runOn/ });
    await assert.rejects(programs.add.runOn(CPUS), {
      code: 'EINVAL',
      message: /CPUs 0 to 2; there is no CPU 3/,
    });
    await assert.rejects(programs.add.runOn(-1), { code: 'EINVAL' });
    for (const cpus of [0, 65, 1.5]) assert.throws(() => embedded({ cpus }), { code: 'EINVAL' });
  });

  it('run a program that waits for what user space writes', async () => {
    setValues(opened, 0, 0, 0);
    const run = programs.wait.runOn(1);
    await until(() => values(opened)[1] === 1);
    setValues(opened, 0, 0, 1);
    assert.equal((await run).retval, 0);
  });

  it('die with an error that names CPU and program, and start again', async () => {
    setValues(opened, 0, 0, 0);
    const run = programs.wait.runOn(1);
    const other = programs.where.runOn(2, { ctx: new Uint8Array(8) });
    await until(() => values(opened)[1] === 1);
    const next = programs.where.runOn(1, { ctx: new Uint8Array(8) });
    const dies = assert.rejects(run, { code: 'EIO', message: /CPU 1 died while it ran program 'wait'/ });
    await kernel.workers.at(1).kill();
    await dies;
    assert.deepEqual(retvals([await next, await other]), [1, 2]);
  });

  it('keep the memory of any map until what runs has ended', async () => {
    setValues(opened, 0, 0, 0);
    const map = kernel.createMap({ type: 2, keySize: 4, valueSize: 8, maxEntries: 100_000 });
    const run = programs.wait.runOn(1);
    await until(() => values(opened)[1] === 1);
    const before = kernel.memory.allocated;
    map.close();
    assert.throws(() => map.lookup(new Uint8Array(4)), { code: 'EBADF' });
    assert.equal(kernel.memory.allocated, before);
    setValues(opened, 0, 0, 1);
    await run;
    await until(() => kernel.memory.allocated < before);
  });

  it('keep the memory of an object that is closed while they run it', async () => {
    const other = await kernel.load(parseObject(OBJECT));
    const twice = { kernel, loaded: other };
    const run = other.programs.wait.runOn(2);
    await until(() => values(twice)[1] === 1);
    const at = other.maps.values.region?.start ?? 0;
    other.close();
    assert.throws(() => values(twice), { code: 'EBADF' });
    assert.throws(() => other.arena?.touch(other.arena.userVmStart, 1), { code: 'EBADF' });
    await assert.rejects(other.programs.where.runOn(1), { code: 'EBADF' });
    const before = kernel.memory.allocated;
    kernel.memory.view.setUint32(at + 16, 1, true);
    assert.equal((await run).retval, 0);
    await until(() => kernel.memory.allocated < before);
  });
});

describe('a kernel that is closed', () => {
  it('while a CPU runs rejects the run, and takes the memory back', async () => {
    const opened = await start(2);
    const run = opened.loaded.programs.wait.runOn(1);
    await until(() => values(opened)[1] === 1);
    const waiting = opened.loaded.programs.add.runOn(1);
    const rejected = Promise.all([run, waiting].map((each) => assert.rejects(each, { code: 'EBADF' })));
    opened.kernel.close();
    await rejected;
    using next = embedded();
    assert.ok(next.memory.allocated > 0);
  });

  it('before its CPUs have started lets them start nothing', async () => {
    const { kernel, loaded } = await start(2);
    const run = loaded.programs.add.runOn(1);
    kernel.close();
    await assert.rejects(run, { code: 'EBADF' });
  });
});

describe('a map of an object', () => {
  it('that user space gives up is there for its programs', async () => {
    using kernel = embedded();
    const { programs, maps } = await kernel.load(parseObject(OBJECT));
    const before = kernel.memory.allocated;
    maps.values.close();
    assert.throws(() => maps.values.lookup(new Uint8Array(4)), { code: 'EBADF' });
    assert.equal(programs.add.run().retval, 0);
    assert.equal(kernel.memory.allocated, before);
  });

  it('may be closed by what its program prints', async () => {
    using kernel = embedded({ onTrace: () => kernel.close() });
    const { programs } = await kernel.load(parseObject(OBJECT));
    assert.equal(programs.say.run({ repeat: 2 }).retval, 0);
    assert.throws(() => programs.say.run(), { code: 'EBADF' });
  });
});

describe('what is interpreted', () => {
  for (const options of [{ engine: 'interpreter' }, { checked: true }] as const) {
    it(`runs on CPU 0 alone: ${JSON.stringify(options)}`, async () => {
      using kernel = embedded({ cpus: 2, ...options });
      const { programs } = await kernel.load(parseObject(OBJECT));
      assert.equal((await programs.add.runOn(0)).retval, 0);
      await assert.rejects(programs.add.runOn(1), { code: 'EOPNOTSUPP', message: /other CPUs than 0/ });
    });
  }
});
