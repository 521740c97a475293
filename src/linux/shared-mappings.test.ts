import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { onLinux } from '../../test/contract/kernels.ts';
import { type LoadedObject, open } from '../index.ts';
import type { LinuxArena } from './arena.ts';
import { linux, openMapById } from './index.ts';

/** An arena that another thread, or another process, has loaded: the same memory, and nobody's close hurts another. */

const LIST = new URL('../../programs/arena_list.bpf.o', import.meta.url);
const NODES = 1000;
const SUM = 499_500n;

/** Opens arena `id` and gives `walk`, which sums the list by typed views. */
const OPEN = (options: string) => `
  const { arenaGlobals, openMapById } = await import('${new URL('index.ts', import.meta.url)}');
  const { open } = await import('${new URL('../index.ts', import.meta.url)}');
  const arena = openMapById(id, ${options});
  const globals = arenaGlobals(arena, await open('${LIST.pathname}'));
  const walk = () => {
    let sum = 0n;
    for (let node = globals.list.first; node !== null; node = node.next) sum += node.value;
    return String(sum);
  };`;

/** A thread that does what it is told, and answers. */
const WORKER = `
  const { parentPort, workerData: id } = await import('node:worker_threads');
  ${OPEN('{}')}
  const actions = {
    walk,
    add: () => { globals.list.first.value += 1n; return walk(); },
    close: () => { arena.close(); return outcome(() => globals.list.first); },
  };
  const outcome = (action) => { try { return String(action()); } catch (error) { return error.code; } };
  parentPort.on('message', (action) => parentPort.postMessage(action === 'end' ? parentPort.close() : actions[action]()));
  parentPort.postMessage('ready');`;

async function startWorker(arena: LinuxArena) {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`), {
    workerData: arena.id,
  });
  const answer = () =>
    new Promise<string>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', resolve);
    });
  assert.equal(await answer(), 'ready');
  return {
    ask(action: 'walk' | 'add' | 'close'): Promise<string> {
      worker.postMessage(action);
      return answer();
    },
    end: () => worker.terminate(),
  };
}

async function loadList(mapExtra = 0n): Promise<LoadedObject> {
  const object = await open(LIST);
  object.maps.arena.mapExtra = mapExtra;
  object.globals.cnt = NODES;
  const loaded = await object.load(linux());
  assert.equal(loaded.programs.arena_list_add.run().retval, 0);
  return loaded;
}

function sumOf({ globals }: LoadedObject): bigint {
  let sum = 0n;
  for (let node = globals.list.first; node !== null; node = node.next) sum += node.value;
  return sum;
}

/** Mappings of arenas and other maps. */
const mappings = () =>
  readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes('anon_inode:bpf-map')).length;

onLinux('an arena in two threads', () => {
  it('is the same memory; the thread that came second closes first', async () => {
    const before = mappings();
    using loaded = await loadList();
    const arena = loaded.arena as LinuxArena;
    const worker = await startWorker(arena);
    assert.equal(await worker.ask('walk'), String(SUM));
    assert.equal(await worker.ask('add'), String(SUM + 1n));
    assert.equal(sumOf(loaded), SUM + 1n);
    assert.equal(await worker.ask('close'), 'EBADF');
    assert.equal(sumOf(loaded), SUM + 1n);
    await worker.end();
    loaded.close();
    assert.equal(mappings(), before);
  });

  it('is the same memory; the thread that loaded it closes first', async () => {
    const before = mappings();
    const loaded = await loadList();
    const arena = loaded.arena as LinuxArena;
    const { bytes } = arena;
    const worker = await startWorker(arena);
    loaded.close();
    assert.equal(bytes.length, 0);
    assert.equal(await worker.ask('walk'), String(SUM));
    assert.equal(await worker.ask('close'), 'EBADF');
    await worker.end();
    assert.equal(mappings(), before);
  });

  it('a thread that ends without closing keeps nobody from it, and the last one unmaps it', async () => {
    const before = mappings();
    using loaded = await loadList();
    const arena = loaded.arena as LinuxArena;
    for (let i = 0; i < 3; i++) {
      const worker = await startWorker(arena);
      assert.equal(await worker.ask('walk'), String(SUM));
      await worker.end();
      assert.equal(sumOf(loaded), SUM);
    }
    loaded.close();
    assert.equal(mappings(), before);
  });

  it('four threads map and unmap one arena at the same time, which nobody else has mapped', async () => {
    const before = mappings();
    // Where the kernel chose, a new thread's stack may be by then.
    const loaded = await loadList(0x6000_0000_0000n);
    const { id } = loaded.arena as LinuxArena;
    // Keeps the arena, and does not map it.
    const kept = openMapById(id, { readOnly: true });
    loaded.close();
    const script = `
      const { parentPort, workerData: id } = await import('node:worker_threads');
      ${OPEN('{}')}
      const expected = walk();
      arena.close();
      for (let i = 0; i < 100; i++) {
        const arena = openMapById(id);
        if (arena.bytes.length !== ${8192 * 4096} || arena.bytes[arena.bytes.length - 1] !== 0) throw new Error('not it');
        arena.close();
      }
      parentPort.postMessage(expected);`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    const answers = Array.from(
      { length: 4 },
      () =>
        new Promise((resolve, reject) => {
          new Worker(url, { workerData: id }).once('error', reject).once('message', resolve);
        }),
    );
    assert.deepEqual(await Promise.all(answers), Array(4).fill(String(SUM)));
    kept.close();
    assert.equal(mappings(), before);
  });
});

onLinux('an arena in two processes', () => {
  for (const options of ['{}', '{ readOnly: true }']) {
    it(`opened by id with ${options}, a list is walked by the types of the object`, async () => {
      using loaded = await loadList();
      const script = `
        const id = ${loaded.arena?.id};
        ${OPEN(options)}
        console.log(walk());
        try { globals.list.first.value = 7n; console.log('written'); } catch (error) { console.log(error.code); }
        arena.close();
        try { walk(); } catch (error) { console.log(error.code); }`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      assert.equal(child.stderr, '');
      const answer = options === '{}' ? 'written' : 'EPERM';
      assert.deepEqual(child.stdout.trim().split('\n'), [String(SUM), answer, 'EBADF']);
      assert.equal(loaded.globals.list.first.value, options === '{}' ? 7n : 0n);
    });
  }
});
