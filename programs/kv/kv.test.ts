import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, type Kernel, type LoadedObject, open } from '../../src/index.ts';
import { onBothKernels } from '../../test/contract/kernels.ts';
import { type Command, OPTION, Port } from './commands.ts';

/** The store's programs, one command at a time. */

const FILE = new URL('kv.bpf.o', import.meta.url);

interface Settings {
  budget?: number;
  ports?: number;
}

/** A store that has started. */
async function start(kernel: Kernel, { budget = 1024, ports = 1 }: Settings = {}): Promise<LoadedObject> {
  const object = await open(FILE);
  Object.assign(object.globals.kv_settings, { budget_pages: budget, ports, buffer_bytes: 1 << 16, seed: 7 });
  object.maps.arena.maxEntries = 2 * budget;
  const loaded = await object.load(kernel);
  loaded.globals.kv.now = 1000;
  assert.equal(loaded.programs.kv_start.run().retval | 0, 0);
  return loaded;
}

const get = (key: string): Command => ({ op: 'get', key, options: OPTION.value });
const set = (key: string, value: string, more: Partial<Command> = {}): Command => ({
  op: 'set',
  key,
  value,
  ...more,
});

function declare(name: string, make: () => Kernel & Disposable): void {
  describe(name, () => {
    it('gives what was set, until it is deleted', async () => {
      using kernel = make();
      using loaded = await start(kernel);
      using port = new Port(loaded);
      const [miss, stored, hit, deleted, again, gone] = port.run([
        get('one'),
        set('one', 'the value', { flags: 42 }),
        get('one'),
        { op: 'delete', key: 'one' },
        { op: 'delete', key: 'one' },
        get('one'),
      ]);
      assert.equal(miss.status, 'not found');
      assert.equal(stored.status, 'ok');
      assert.deepEqual([hit.value, hit.flags, hit.cas], ['the value', 42, stored.cas]);
      assert.deepEqual([deleted.status, again.status, gone.status], ['ok', 'not found', 'not found']);
    });

    it('keeps keys and values of every length apart', async () => {
      using kernel = make();
      using loaded = await start(kernel);
      using port = new Port(loaded);
      const keys = Array.from({ length: 250 }, (_, i) => 'k'.repeat(i + 1));
      const valueFor = (key: string) => String.fromCharCode(key.length).repeat((key.length * 7) % 300);
      port.run(keys.map((key) => set(key, valueFor(key))));
      for (const [i, { value }] of port.run(keys.map(get)).entries()) assert.equal(value, valueFor(keys[i]));
    });
  });
}

onBothKernels('the store', ({ open }) => declare('', () => open()));
declare('the store, interpreted', () => embedded({ engine: 'interpreter' }));
