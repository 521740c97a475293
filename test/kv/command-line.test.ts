import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { page, type Report } from '../../apps/kv/top.ts';
import { Talk } from './exchanges.ts';
import { freePort, inFolder } from './harness.ts';

const DOOR = fileURLToPath(new URL('../../bin/arena-kv.js', import.meta.url));

/** A run of the command line, and what it says. */
function run(...args: string[]) {
  const child = spawn(process.execPath, [DOOR, ...args]);
  const said = { out: '', err: '' };
  child.stdout.on('data', (data) => {
    said.out += data;
  });
  child.stderr.on('data', (data) => {
    said.err += data;
  });
  const closed = once(child, 'close').then(([code]) => code as number);
  return { child, said, closed };
}

describe('arena-kv, the command line', () => {
  it('serves until it is told to stop, keeps what is stored, and shows what it does meanwhile', async () => {
    await inFolder(async (folder) => {
      const file = join(folder, 'snapshot');
      const port = await freePort();
      for (const round of [0, 1]) {
        const { child, said, closed } = run(
          '-p',
          `${port}`,
          '-l',
          '127.0.0.1',
          '-m',
          '16',
          '--snapshot',
          file,
        );
        while (!/port/.test(said.err) && child.exitCode === null) await once(child.stderr, 'data');
        {
          using talk = new Talk({ port });
          if (round === 0) await talk.step({ send: 'set kept 0 0 3\r\nyes\r\n', receive: 'STORED\r\n' });
          const answer = 'VALUE kept 0 3\r\nyes\r\nEND\r\n';
          await talk.raw('get kept\r\n'.repeat(640), (text) => text === answer.repeat(640));
          assert.equal((await talk.step({ send: 'get kept\r\n', receive: answer })).receive, answer);
        }
        const top = run('top', '--once', ...(round === 0 ? ['--json'] : []), '-i', '0.1', '-p', `${port}`);
        assert.equal(await top.closed, 0, top.said.err);
        if (round === 0) {
          const report: Report = JSON.parse(top.said.out);
          assert.deepEqual([report.kernel, report.items, report.memoryLimit], ['embedded', 1, 16 << 20]);
          assert.deepEqual(report.hotKeys, [{ key: 'kept', share: 1 }]);
        } else {
          assert.match(top.said.out, /100\.0 % {2}kept/);
          assert.ok(!top.said.out.includes('\x1b'), 'no colours where no terminal is');
        }
        // A client that is connected and says nothing is not waited for.
        const idle = connect({ port });
        idle.on('error', () => undefined);
        await once(idle, 'connect');
        child.kill(round === 0 ? 'SIGINT' : 'SIGTERM');
        assert.equal(await closed, 0, said.err);
        if (round === 1) assert.match(said.err, /1 items, as of /);
      }
    });
  });

  it('says what is wrong: status 2 for its usage, 1 for what cannot be done', async () => {
    const usage = run('--port', '99999');
    const nobody = run('top', '--once', '-p', `${await freePort()}`);
    assert.equal(await usage.closed, 2);
    assert.match(usage.said.err, /a whole number from 0 to 65535/);
    assert.equal(await nobody.closed, 1);
    assert.match(nobody.said.err, /ECONNREFUSED/);
  });

  it('shows a page with colours only where they are wanted', () => {
    const report: Report = {
      time: '',
      uptime: 5,
      kernel: 'linux',
      getsPerSecond: 1234,
      setsPerSecond: 1,
      hitRate: 0.5,
      items: 10,
      bytes: 2048,
      memoryUsed: 1 << 20,
      memoryLimit: 2 << 20,
      evictionsPerSecond: 0,
      connections: 2,
      classes: [{ size: 64, items: 10, bytes: 500, memory: 4096, hits: 7, evicted: 1 }],
      hotKeys: [{ key: 'a\x1b[2Jb', share: 0.25 }],
      xdp: { hitsPerSecond: 10, passesPerSecond: 2 },
    };
    const plain = page(report, false);
    assert.ok(!plain.includes('\x1b'), 'keys of strangers move no cursor');
    assert.match(plain, /gets 1,234\/s {2}sets 1\/s {2}hits 50\.0 %/);
    assert.match(plain, /XDP hits 10\/s/);
    assert.ok(page(report, true).includes('\x1b[1m'));
  });
});
