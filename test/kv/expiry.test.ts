import assert from 'node:assert/strict';
import { it } from 'node:test';
import { COMMAND, OP } from '../../apps/kv/layout.ts';
import { Store } from '../../apps/kv/store.ts';

it('another CPU gives the memory of what has expired back, while this one goes on', async () => {
  using store = await Store.open({ kernel: 'embedded', memory: 16, cpus: 2 });
  const put = (name: string, expires: number) => {
    const key = Buffer.from(name);
    const command = store.batch.add(OP.SET, 0, key, 0, key.length);
    store.batch.set(command, COMMAND.expires, expires);
    store.batch.value(command, key, 0, key.length);
    store.run(store.batch);
    store.batch.clear();
  };
  store.setTime(1000);
  for (let i = 0; i < 2000; i++) put(`old${i}`, 1010);
  store.setTime(1020);
  const crawled = store.expire(1);
  for (let i = 0; i < 500; i++) put(`new${i}`, 0);
  await crawled;
  await store.expire(1);
  await store.idle();
  assert.equal(Number(store.statistics().all.items), 500);
});
