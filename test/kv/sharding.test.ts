import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Memcache } from 'memcache';
import { type Running, startServer } from './harness.ts';

/** Beyond one machine clients share keys among servers: nothing of ours, so what is tested is that ours are servers like others. */
describe('three servers behind a client that hashes consistently', () => {
  const servers: Running[] = [];
  before(async () => {
    for (let i = 0; i < 3; i++) servers.push(await startServer({ memory: 16 }));
  });
  after(() => Promise.all(servers.map(({ stop }) => stop())));

  it('each have a part of the keys; one may stop, and start again', async () => {
    const client = new Memcache({
      nodes: servers.map(({ port }) => `127.0.0.1:${port}`),
      timeout: 5000,
      retries: 0,
    });
    client.on('error', () => undefined);
    const keys = Array.from({ length: 300 }, (_, i) => `key${i}`);
    const get = (key: string) => client.get(key).catch(() => undefined);
    const set = (key: string) => client.set(key, `value of ${key}`).catch(() => false);
    const items = (running: Running) => Number(running.server.store.statistics().all.items);
    try {
      for (const key of keys) assert.equal(await set(key), true);
      const parts = servers.map(items);
      assert.equal(
        parts.reduce((sum, part) => sum + part),
        keys.length,
      );
      // The one with most keys stops: they are gone, all others are where they were.
      const most = parts.indexOf(Math.max(...parts));
      const { port } = servers[most];
      await servers[most].stop();
      const left = await Promise.all(keys.map(get));
      assert.equal(left.filter((value) => value !== undefined).length, keys.length - parts[most]);

      // Another comes in its place, empty: it gets the same keys again.
      servers[most] = await startServer({ memory: 16, port });
      assert.equal(items(servers[most]), 0);
      await client.removeNode(`127.0.0.1:${port}`);
      await client.addNode(`127.0.0.1:${port}`);
      for (const key of keys) assert.equal(await set(key), true, key);
      assert.deepEqual(servers.map(items), parts);
      for (const key of keys) assert.equal(await get(key), `value of ${key}`);
    } finally {
      await client.disconnect();
    }
  });
});
