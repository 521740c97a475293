import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeferredField } from './deferred.ts';
import { EmbeddedKernel } from './kernel.ts';
import type { KernelOffset } from './layout.ts';

const TIMER_MAP = { type: 2, keySize: 4, valueSize: 16, maxEntries: 1 };

it('a timer whose map is closed is not looked for in what is there instead', async () => {
  using kernel = new EmbeddedKernel();
  const map = kernel.createMap(TIMER_MAP);
  const place = map.region?.start as KernelOffset;
  const timer = new DeferredField(kernel.memory, place);
  timer.initialize(map.id);
  timer.setCallback(1, 0);
  const generation = timer.arm(kernel.starts) as number;
  kernel.defer({ field: place, map: map.id, generation, at: 0 });
  kernel.closeMap(map);
  const other = kernel.createMap(TIMER_MAP);
  assert.equal(other.region?.start, place, 'the memory is used anew');
  const forged = Int32Array.of(other.id, 1, 0, generation);
  other.update(new Uint8Array(4), new Uint8Array(forged.buffer));
  await sleep(5);
  const value = other.lookup(new Uint8Array(4)) as Uint8Array;
  assert.deepEqual(new Int32Array(value.slice().buffer), forged, 'nobody has taken it for a timer');
});
