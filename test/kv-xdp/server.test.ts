import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { readSnapshot } from '../../apps/kv/snapshot.ts';
import { Store } from '../../apps/kv/store.ts';
import { ServerProcess } from '../../bench/kv/servers.ts';
import { TcpClient } from '../../bench/kv/sockets.ts';
import { open } from '../../src/index.ts';
import { attach, type LinuxProgram, linux } from '../../src/linux/index.ts';
import { Network } from '../../tools/network.ts';
import { startServer } from '../kv/harness.ts';
import { onLinuxWithNetwork } from '../linux/network.ts';
import { datagram } from './frames.ts';

/** arena-kv --xdp: its UDP socket behind the accelerator, on the embedded kernel and on an interface. */

const PORT = 11_211;
const RIG = new URL('../../programs/kv/kv_rig.bpf.o', import.meta.url);

/** Sends a request, and waits for the answer: its text, without memcached's header. */
async function ask(socket: Socket, text: string, port: number, address: string): Promise<string> {
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(5000) });
  socket.send(datagram(text, 0x4242), port, address);
  const [bytes] = (await answer) as [Buffer];
  assert.equal(bytes.subarray(0, 8).toString('hex'), '4242000000010000');
  return bytes.subarray(8).toString('latin1');
}

const ITEMS = 'set one 7 0 3 noreply\r\n111\r\nset two 0 0 2\r\n22\r\n';
const BOTH = 'VALUE one 7 3\r\n111\r\nVALUE two 0 2\r\n22\r\nEND\r\n';

const ONE = 'VALUE one 7 3\r\n111\r\nEND\r\n';

/** Numbers of `stats`, by name. */
function numbers(stats: string): Record<string, number> {
  return Object.fromEntries(
    [...stats.matchAll(/^STAT (\w+) (\d+)\r$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
}

it('on the embedded kernel: the program answers what comes to the UDP socket, the server the rest', async () => {
  const { server, stop } = await startServer({ udpPort: -1, xdp: 'lo' });
  const socket = createSocket('udp4');
  try {
    await server.accelerate('lo');
    const send = (text: string) => ask(socket, text, server.udpPort, '127.0.0.1');
    assert.equal(await send(ITEMS), 'STORED\r\n');
    assert.equal(await send('get one two\r\n'), BOTH);
    assert.equal(await send('get two\r\n'), 'VALUE two 0 2\r\n22\r\nEND\r\n');
    assert.equal(await send('get two three\r\n'), 'VALUE two 0 2\r\n22\r\nEND\r\n');
    const stats = numbers(server.engine.statistics('') ?? '');
    assert.deepEqual([stats.xdp_hits, stats.xdp_keys, stats.xdp_passed_miss], [2, 3, 1]);
    assert.deepEqual([stats.cmd_get, stats.get_hits, stats.get_misses], [5, 4, 1]);
  } finally {
    socket.close();
    await stop();
  }
});

it('a store from a snapshot is accelerated, whether it was before or not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kv-xdp-'));
  try {
    for (const before of [undefined, 'lo']) {
      const snapshot = join(folder, `${before}`);
      const settings = { udpPort: -1, memory: 16, ...(before === undefined ? {} : { xdp: before }) };
      const first = await startServer({ ...settings, snapshot });
      if (before !== undefined) await first.server.accelerate(before);
      const socket = createSocket('udp4');
      try {
        assert.equal(await ask(socket, ITEMS, first.server.udpPort, '127.0.0.1'), 'STORED\r\n');
        // Hot answers, where there are such.
        for (let i = 0; i < 3; i++)
          assert.equal(await ask(socket, 'get one\r\n', first.server.udpPort, '127.0.0.1'), ONE);
        const { pages } = first.server.store.loaded.globals.kv;
        await first.stop();
        const restored = readSnapshot(snapshot, Store.identity({ kernel: 'embedded', memory: 16 }));
        assert.ok(typeof restored === 'object', `${restored}`);
        const { server, stop } = await startServer({ ...settings, xdp: 'lo' }, restored);
        try {
          // It has neither the pages that the one before had for each CPU, nor what was in them.
          const { loaded } = server.store;
          assert.deepEqual([loaded.globals.kv_xdp.cpu, loaded.globals.kv_xdp.hot], [0n, 0n]);
          await server.accelerate('lo');
          if (before !== undefined) assert.equal(loaded.globals.kv.pages, pages);
          const { hot, hot_pages } = loaded.globals.kv_xdp;
          const at = Number(hot - (loaded.arena?.userVmStart ?? 0n));
          assert.ok(
            hot_pages > 0 &&
              loaded.arena?.bytes.subarray(at, at + 4096 * hot_pages).every((byte) => byte === 0),
          );
          assert.equal(await ask(socket, 'get one two\r\n', server.udpPort, '127.0.0.1'), BOTH);
          const { xdp_keys } = numbers(server.engine.statistics('') ?? '');
          assert.equal(xdp_keys, 2);
        } finally {
          await stop();
        }
      } finally {
        socket.close();
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('a store that was opened without it cannot be accelerated', async () => {
  const { server, stop } = await startServer({ udpPort: -1 });
  try {
    await assert.rejects(server.accelerate('lo'), /opened with xdp/);
  } finally {
    await stop();
  }
});

onLinuxWithNetwork('arena-kv --xdp on an interface', () => {
  const attached = ({ netns, interface: name }: Network['near']) =>
    / xdp /.test(spawnSync('ip', ['-n', netns, 'link', 'show', name], { encoding: 'utf8' }).stdout);

  it('answers before the network stack, and is detached when the server ends', async () => {
    using network = new Network();
    const { near, far } = network;
    // What XDP sends over a veth pair arrives only where a program is attached, too.
    using rig = await (await open(RIG)).load(linux());
    using _far = attach(rig.programs.kv_pass as LinuxProgram, { kind: 'xdp', mode: 'native', ...far });
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      using server = new ServerProcess('arena-kv xdp', near, PORT, 0);
      await server.saying(/xdp, native/);
      assert.ok(attached(near));
      using client = new TcpClient(far.netns, { address: near.address, port: PORT });
      client.send(Buffer.from(ITEMS));
      client.receive(new Uint8Array('STORED\r\n'.length));
      const socket = await network.socket(far);
      const send = (text: string) => ask(socket, text, PORT, near.address);
      try {
        for (let i = 0; i < 10; i++) assert.equal(await send('get one two\r\n'), BOTH);
        // The server's thread changes it, this one's CPU has its answer: a new one at once.
        for (let i = 100; i < 300; i++) {
          client.send(Buffer.from(`set often 0 0 3\r\n${i}\r\n`));
          client.receive(new Uint8Array('STORED\r\n'.length));
          for (let again = 0; again < 2; again++)
            assert.equal(await send('get often\r\n'), `VALUE often 0 3\r\n${i}\r\nEND\r\n`);
        }
        // Too long to grow into: the network stack has it.
        assert.equal(await send(`set long 0 0 900\r\n${'l'.repeat(900)}\r\n`), 'STORED\r\n');
        assert.equal(await send('get long\r\n'), `VALUE long 0 900\r\n${'l'.repeat(900)}\r\nEND\r\n`);
        client.send(Buffer.from('stats\r\nquit\r\n'));
        const stats = numbers(client.receiveAll());
        assert.deepEqual([stats.xdp_hits, stats.xdp_keys, stats.get_hits], [410, 420, 421]);
        assert.ok(stats.xdp_passed_room >= 1);
      } finally {
        socket.close();
      }
      await server.end(signal);
      assert.ok(!attached(near), signal);
    }
  });
});
