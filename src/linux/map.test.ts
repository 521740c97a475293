import assert from 'node:assert/strict';
import { it } from 'node:test';
import { onLinux, outcome } from '../../test/contract/kernels.ts';
import { mapSpec } from '../object/map-definitions.ts';
import { MAP_TYPES, type MapTypeName } from '../object/map-types.ts';
import { createMap } from './create-map.ts';
import { Owned } from './fd.ts';
import { openMapById, openMapPinned } from './index.ts';
import { type LinuxMap, possibleCpus } from './map.ts';

/** What Linux maps do beyond the contract: batches, ids, per-CPU values, and sizes that libbpf adjusts. */

const owned = new Owned();

function create(type: MapTypeName, fields: Parameters<typeof mapSpec>[1] = {}): LinuxMap {
  const defaults = { type: MAP_TYPES[type], keySize: 4, valueSize: 8, maxEntries: 1000 };
  return createMap(mapSpec('map', { ...defaults, ...fields }), undefined, owned);
}

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const numberOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

onLinux('maps', () => {
  it('batches: all elements in, out, and out for good', () => {
    const map = create('hash');
    const keys = Array.from({ length: 1000 }, (_, i) => u32(i));
    assert.equal(map.updateBatch({ keys, values: keys.map((_, i) => u64(i * 2)) }), 1000);
    const found = [...map.lookupBatches(64)].flatMap((batch) =>
      batch.keys.map((key, i) => [key, batch.values[i]]),
    );
    assert.equal(found.length, 1000);
    assert.ok(found.every(([key, value]) => numberOf(value) === 2 * numberOf(key)));
    assert.equal(map.deleteBatch(keys.slice(0, 400)), 400);
    const rest = [...map.lookupBatches(1000, true)].flatMap((batch) => batch.keys);
    assert.equal(rest.length, 600);
    assert.equal([...map.keys()].length, 0);
  });

  it('a per-CPU element has a value for each possible CPU, each padded to 8 bytes', () => {
    const map = create('percpu_array', { valueSize: 4, maxEntries: 1 });
    assert.equal(map.elementSize, 8 * possibleCpus());
    const value = new Uint8Array(map.elementSize).map((_, i) => (i % 8 === 0 ? i / 8 + 1 : 0));
    map.update(u32(0), value);
    assert.deepEqual(map.lookup(u32(0)), value);
    assert.equal(
      outcome(() => map.update(u32(0), new Uint8Array(4))),
      'EINVAL',
    );
  });

  it('a queue has no keys; what is taken out is gone', () => {
    const map = create('queue', { keySize: 0 });
    map.update(new Uint8Array(), u64(5));
    assert.deepEqual(map.lookupAndDelete(new Uint8Array()), u64(5));
    assert.equal(map.lookup(new Uint8Array()), undefined);
  });

  it('by its id it is the same map; opened read-only, it cannot be changed', () => {
    const map = create('array');
    using same = openMapById(map.id, { readOnly: true });
    map.update(u32(1), u64(42));
    assert.deepEqual(same.lookup(u32(1)), u64(42));
    assert.equal(
      outcome(() => same.update(u32(1), u64(1))),
      'EPERM',
    );
  });

  it('what is not there: ENOENT', () => {
    assert.equal(
      outcome(() => openMapById(0x7fff_ffff)),
      'ENOENT',
    );
    assert.equal(
      outcome(() => openMapPinned('/sys/fs/bpf/bpf_arena_no_such_map')),
      'ENOENT',
    );
  });

  it('a ring buffer gets a power of two of pages, a perf buffer a slot for each CPU', () => {
    assert.equal(create('ringbuf', { keySize: 0, valueSize: 0, maxEntries: 5000 }).maxEntries, 8192);
    assert.equal(create('perf_event_array', { valueSize: 4, maxEntries: 0 }).maxEntries, possibleCpus());
  });

  it('a map of maps wants to know what is inside', () => {
    const inner = mapSpec('inner', { type: MAP_TYPES.array, keySize: 4, valueSize: 8, maxEntries: 1 });
    const outer = create('hash_of_maps', { valueSize: 4, inner });
    const element = createMap(inner, undefined, owned);
    outer.update(u32(3), u32(element.fdNumber));
    assert.equal(numberOf(outer.lookup(u32(3)) as Uint8Array), element.id);
    assert.equal(
      outcome(() => create('hash_of_maps', { valueSize: 4 })),
      'EINVAL',
    );
  });

  it('a closed map throws EBADF, also when its number belongs to another by then', () => {
    const map = create('array');
    map.close();
    create('array');
    assert.equal(
      outcome(() => map.lookup(u32(0))),
      'EBADF',
    );
  });
});
