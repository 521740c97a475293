import assert from 'node:assert/strict';
import { it } from 'node:test';
import { embedded, open } from '../../src/index.ts';
import { onAllEngines, outcome } from './kernels.ts';

/** Task storage as user space sees it; what programs see are the rules of task_storage.bpf.c. */

const FILE = new URL('../../programs/contract/task_storage.bpf.o', import.meta.url);
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

onAllEngines('task storage', (kernel) => {
  it('a key that names no task is refused, and there is no next one', async () => {
    using loaded = await (await open(FILE)).load(kernel.open());
    const map = loaded.maps.others;
    const nobody = u32(60_000);
    const operations = [
      () => map.lookup(nobody),
      () => map.update(nobody, u32(1)),
      () => map.update(nobody, u32(1), 3),
      () => map.delete(nobody),
      () => map.nextKey(),
      () => map.lookupAndDelete(nobody),
      () => [...map.lookupBatches()],
    ];
    assert.deepEqual(operations.map(outcome), [
      'EBADF',
      'EBADF',
      'EBADF',
      'EBADF',
      'ENOTSUPP',
      'ENOTSUPP',
      'ENOTSUPP',
    ]);
  });

  it('it has no elements to count, and is made as programs need it', () => {
    const create = (settings: object) =>
      outcome(() => {
        using _ = kernel.bench([{ type: 29, flags: 1, maxEntries: 0, ...settings }]);
      });
    for (const settings of [
      { flags: 0 },
      { flags: 5 },
      { maxEntries: 1 },
      { keySize: 8 },
      { valueSize: 65_408 },
    ])
      assert.equal(create(settings), 'EINVAL');
  });
});

it('on the embedded kernel a key is the number of the CPU whose task it is', async () => {
  using loaded = await (await open(FILE)).load(embedded({ cpus: 2 }));
  const map = loaded.maps.others;
  const of = (cpu: number) => map.lookup(u32(cpu))?.[0];
  assert.deepEqual([of(0), of(1)], [undefined, undefined]);
  const results = await loaded.programs.packets_are_counted_by_task.runOnAll({ data: new Uint8Array(64) });
  assert.deepEqual(
    results.map(({ retval }) => retval),
    [0, 0],
  );
  assert.deepEqual([of(0), of(1)], [3, 3]);
  assert.equal(
    outcome(() => map.update(u32(1), u32(5), 1)),
    'EEXIST',
  );
  map.update(u32(1), u32(5));
  assert.deepEqual([of(0), of(1)], [3, 5]);
  assert.deepEqual([map.delete(u32(0)), map.delete(u32(0)), of(0), of(1)], [true, false, undefined, 5]);
  assert.equal(
    outcome(() => map.update(u32(0), u32(5), 2)),
    'ENOENT',
  );
});
