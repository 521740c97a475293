import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readSnapshot, writeSnapshot } from '../../apps/kv/snapshot.ts';
import { Store } from '../../apps/kv/store.ts';
import { linuxUnavailable } from '../../src/linux/index.ts';
import { Talk } from './exchanges.ts';
import { inFolder, startServer } from './harness.ts';
import { IDENTITY } from './snapshot-writer.ts';

/** How often the writer is killed: KV_KILLS=50 for more than a look. */
const KILLS = Number(process.env.KV_KILLS ?? 6);

const WRITER = fileURLToPath(new URL('snapshot-writer.ts', import.meta.url));

describe('snapshots', () => {
  it('are whole or not there, whenever their writer is killed', async () => {
    await inFolder(async (folder) => {
      const file = join(folder, 'snapshot');
      let last = 0;
      for (let round = 0; round < KILLS; round++) {
        const child = spawn(process.execPath, [WRITER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
        let said = last;
        child.stdout.on('data', (data) => {
          said = Number(`${data}`.trim().split('\n').at(-1));
        });
        while (said === last) await sleep(1);
        await sleep(Math.random() * 15);
        child.kill('SIGKILL');
        await once(child, 'close');
        const read = readSnapshot(file, IDENTITY);
        assert.ok(typeof read === 'object', `round ${round}: ${read}`);
        const [number] = read.image.bytes;
        assert.ok(
          read.image.bytes.every((byte) => byte === number),
          `round ${round}: pages of two snapshots`,
        );
        // The one that was complete last, or the one that was about to say so.
        assert.ok(number === said || number === (said + 1) % 256, `round ${round}: ${number}, not ${said}`);
        last = number;
      }
    });
  });

  it('leave nothing on a disk that is full, and the last one as it was', async (t) => {
    if (!existsSync('/dev/full')) {
      t.diagnostic('not run: there is no /dev/full');
      return;
    }
    await inFolder(async (folder) => {
      const file = join(folder, 'snapshot');
      const identity = { object: 'none', kernel: 'embedded', memory: 8, low: 0 };
      const image = { extents: Uint32Array.of(0, 1), bytes: Buffer.alloc(4096, 7) };
      await writeSnapshot(file, image, identity, 1);
      symlinkSync('/dev/full', `${file}.new`);
      await assert.rejects(writeSnapshot(file, image, identity, 2), { code: 'ENOSPC' });
      assert.deepEqual(readdirSync(folder), ['snapshot']);
      const last = readSnapshot(file, identity);
      assert.ok(typeof last === 'object' && last.seed === 1, `${last}`);
    });
  });

  for (const kernel of ['embedded', 'linux'] as const) {
    it(`bring back what was stored, on the ${kernel} kernel, and nothing of a file that is not theirs`, async (t) => {
      const reason = kernel === 'linux' ? linuxUnavailable() : undefined;
      if (reason !== undefined) {
        t.diagnostic(`not run: ${reason}`);
        return;
      }
      await inFolder(async (folder) => {
        const file = join(folder, 'snapshot');
        const settings = { kernel, memory: 16 };
        const values = new Map<string, string>();
        {
          const { port, server, stop } = await startServer({ ...settings, snapshot: file });
          using talk = new Talk({ port });
          for (let i = 0; i < 12_000; i++) values.set(`key${i}`, `value ${i} `.repeat(i % 40));
          values.set('large', 'L'.repeat(700_000));
          const sets = [...values].map(
            ([key, value]) => `set ${key} 5 0 ${value.length} noreply\r\n${value}\r\n`,
          );
          await talk.step({ send: `${sets.join('')}mn\r\n`, receive: 'MN\r\n' });
          await talk.step({
            send: 'set short 0 -1 1\r\nx\r\nset count 7 1000 2\r\n41\r\n',
            receive: 'STORED\r\nSTORED\r\n',
          });
          await stop();
          t.diagnostic(
            `${server.saved.pages} pages, clients would have waited ${server.saved.pause.toFixed(1)} ms`,
          );
        }
        const identity = Store.identity(settings);
        const restored = readSnapshot(file, identity);
        assert.ok(typeof restored === 'object', `${restored}`);
        const store = await Store.open({ ...settings, restored });
        // V8 takes addresses at random, all of them below that.
        if (settings.kernel === 'linux')
          assert.ok((store.loaded.arena?.userVmStart ?? 0n) >= 0x4000_0000_0000n);
        store.close();
        const { port, stop } = await startServer(settings, restored);
        try {
          using talk = new Talk({ port });
          const hits = [...values]
            .map(([key, value]) => `VALUE ${key} 5 ${value.length}\r\n${value}\r\nEND\r\n`)
            .join('');
          const gets = [...values.keys()].map((key) => `get ${key}\r\n`).join('');
          const { receive } = await talk.raw(gets, (text) => text.length >= hits.length);
          assert.ok(receive === hits, 'all items are what they were');
          await talk.step({ send: 'get short\r\n', receive: 'END\r\n' });
          const more = 'incr count 1\r\nset key1 0 0 3\r\nnew\r\nget key1\r\ndelete large\r\n';
          const answer = await talk.raw(more, (text) => /(DELETED|NOT_FOUND)\r\n$/.test(text));
          assert.match(answer.receive, /^42\r\nSTORED\r\nVALUE key1 0 3\r\nnew\r\nEND\r\n/);
          // It still grows, evicts and gives memory back.
          const sets = Array.from(
            { length: 30_000 },
            (_, i) => `set more${i} 0 0 500 noreply\r\n${'m'.repeat(500)}\r\n`,
          );
          await talk.raw(`${sets.join('')}mn\r\n`, (text) => text === 'MN\r\n');
        } finally {
          await stop();
        }
        const whole = readFileSync(file);
        const damaged = join(folder, 'damaged');
        const read = (bytes: Uint8Array, of = identity) => {
          writeFileSync(damaged, bytes);
          return readSnapshot(damaged, of);
        };
        const flipped = (at: number) => {
          const bytes = Buffer.from(whole);
          bytes[at] ^= 1;
          return bytes;
        };
        assert.equal(readSnapshot(join(folder, 'none'), identity), undefined);
        assert.match(`${read(new Uint8Array(0))}`, /no snapshot/);
        assert.match(`${read(Buffer.from('some other file\n'))}`, /no snapshot/);
        assert.match(`${read(whole.subarray(0, whole.length - 5000))}`, /ends too early/);
        assert.match(`${read(whole.subarray(0, 4100))}`, /list of pages|header/);
        assert.match(`${read(flipped(4096))}`, /list of pages/);
        const [magic, header] = whole.toString('latin1', 0, 4096).split('\n');
        for (const other of [
          'null',
          header.replace(/"time":\d+/, '"time":"now"'),
          header.replace('"seed"', '"sad"'),
        ])
          assert.match(`${read(Buffer.from(`${magic}\n${other}\n`.padEnd(8192)))}`, /header is damaged/);
        assert.match(`${read(flipped(whole.length - 100))}`, /pages are damaged/);
        assert.match(`${read(whole, { ...identity, object: 'another' })}`, /another store: object/);
        assert.match(`${read(whole, { ...identity, memory: 32 })}`, /another store: memory/);
      });
    });
  }
});
