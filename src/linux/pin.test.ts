import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { onLinux } from '../../test/contract/kernels.ts';

/**
 * What is pinned outlives the process that made it. Each test has a BPF file system of its own, in a mount namespace of its
 * own, and runs one process after the other there.
 */

const here = (path: string) => new URL(path, import.meta.url).href;

const IMPORTS = `
  const { arenaGlobals, linux, openMapById, openMapPinned } = await import('${here('index.ts')}');
  const { open } = await import('${here('../index.ts')}');
  const list = await open(new URL('${here('../../programs/arena_list.bpf.o')}'));
  const outcome = (action) => { try { return String(action() ?? 'ok'); } catch (error) { return error.code; } };
  const sum = (globals) => {
    let sum = 0n;
    for (let node = globals.list.first; node !== null; node = node.next) sum += node.value;
    return String(sum);
  };
  const pinned = '/sys/fs/bpf/list';`;

/** Runs scripts, each a process; what they print. */
function run(...scripts: string[]): string[] {
  const env: Record<string, string | undefined> = { ...process.env, NODE: process.execPath };
  scripts.forEach((script, i) => {
    env[`SCRIPT${i}`] = IMPORTS + script;
  });
  const each = scripts.map((_, i) => `"$NODE" --input-type=module --eval "$SCRIPT${i}"`);
  const command = ['mount -t bpf bpf /sys/fs/bpf', ...each].join(' && ');
  const child = spawnSync('unshare', ['--mount', 'sh', '-c', command], { encoding: 'utf8', env });
  assert.deepEqual([child.stderr, child.status], ['', 0]);
  return child.stdout.trimEnd().split('\n');
}

onLinux('what is pinned', () => {
  it('an arena: others open it by its path, look into it, and load programs that use it', () => {
    const load =
      // An address of its own: one that is free in this process may not be so in the next.
      'list.globals.cnt = 1000; list.maps.arena.pinPath = pinned; list.maps.arena.mapExtra = 0x500000000000n; const loaded = await list.load(linux());';
    const printed = run(
      `${load} 
       console.log(loaded.programs.arena_list_add.run().retval);`,
      `const arena = openMapPinned(pinned, { readOnly: true });
       const globals = arenaGlobals(arena, list);
       console.log(sum(globals), outcome(() => { globals.list.first = null; }));`,
      `const arena = openMapPinned(pinned);
       arenaGlobals(arena, list).list.first.value += 7n;
       arena.close();
       console.log(sum(arenaGlobals(openMapPinned(pinned), list)));`,
      `${load} console.log(loaded.programs.arena_list_sum.run().retval, sum(loaded.globals));`,
    );
    assert.deepEqual(printed, ['0', '499500 EPERM', '499507', '0 499507']);
  });

  it('a map: the same by its path and its id, and taken again by an object that says so', () => {
    const printed = run(
      `const { createMap } = await import('${here('create-map.ts')}');
       const { Owned } = await import('${here('fd.ts')}');
       const { mapSpec } = await import('${here('../object/map-definitions.ts')}');
       const create = (fields) => createMap(
         mapSpec('map', { type: 2, keySize: 4, valueSize: 8, maxEntries: 10, pinPath: '/sys/fs/bpf/map', ...fields }),
         undefined, new Owned());
       const map = create({});
       map.update(new Uint8Array(4), new Uint8Array(8).fill(3));
       map.close();
       const again = create({});
       console.log(again.id === map.id, again.lookup(new Uint8Array(4))[0], openMapPinned('/sys/fs/bpf/map').id === map.id);
       console.log(outcome(() => create({ maxEntries: 11 })), outcome(() => openMapPinned('/sys/fs/bpf/other')));
       const named = createMap(mapSpec('by_name', { type: 2, keySize: 4, valueSize: 8, maxEntries: 1, pinByName: true }),
         undefined, new Owned());
       console.log(openMapPinned('/sys/fs/bpf/by_name').id === named.id, outcome(() => again.pin('/sys/fs/bpf/by_name')));
       const loaded = await list.load(linux());
       loaded.programs.arena_list_add.pin('/sys/fs/bpf/program');
       console.log(outcome(() => openMapPinned('/sys/fs/bpf/program')));`,
    );
    assert.deepEqual(printed, ['true 3 true', 'EINVAL ENOENT', 'true EEXIST', 'EINVAL']);
  });
});
