import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Memcache } from 'memcache';
import { command, compare, randomFrom, startMemcached } from '../../fuzz/kv.ts';
import { linuxUnavailable } from '../../src/linux/index.ts';
import { readExchanges, Talk } from './exchanges.ts';
import { inFolder, type Running, startServer } from './harness.ts';

/** One server a kernel: what every client sees must not depend on it. */
for (const kernel of ['embedded', 'linux'] as const) {
  describe(`arena-kv on the ${kernel} kernel`, () => {
    const reason = kernel === 'linux' ? linuxUnavailable() : undefined;
    if (reason !== undefined) {
      it('does not run here', (t) => t.diagnostic(`not run: ${reason}`));
      return;
    }
    let running: Running;
    before(async () => {
      running = await startServer({ kernel });
    });
    after(() => running.stop());

    const say = async (text: string, answer: string) => {
      using talk = new Talk({ port: running.port });
      assert.equal((await talk.step({ send: text, receive: answer })).receive, answer);
    };

    it('answers what memcached answered, byte for byte', async () => {
      for (const { name, steps } of readExchanges()) {
        await say('flush_all\r\n', 'OK\r\n');
        using talk = new Talk({ port: running.port });
        for (const step of steps) assert.deepEqual(await talk.step(step), step, name);
      }
    });

    it('passes memccapable', async (t) => {
      const child = spawn('memccapable', ['-h', '127.0.0.1', '-p', `${running.port}`, '-a']);
      let output = '';
      child.stdout.on('data', (data) => {
        output += data;
      });
      const status = await new Promise((resolve) => {
        child.once('error', () => resolve(undefined));
        child.once('close', resolve);
      });
      if (status === undefined) {
        t.diagnostic('not run: memccapable (libmemcached-tools) is not installed');
        return;
      }
      assert.equal(output.match(/\[pass\]/g)?.length, 27, output);
      assert.equal(status, 0);
    });

    it('answers random commands as memcached does', async (t) => {
      const memcached = await startMemcached();
      if (memcached === undefined) {
        t.diagnostic('not run: memcached is not installed');
        return;
      }
      try {
        const seed = Math.floor(Math.random() * 2 ** 31);
        const { difference, commands } = await compare(memcached.port, running.port, seed, 1000);
        t.diagnostic(`${commands} commands, seed ${seed}`);
        assert.equal(difference, undefined);
      } finally {
        memcached.stop();
      }
    });

    it('serves a client from npm', async () => {
      const client = new Memcache(`127.0.0.1:${running.port}`);
      try {
        const large = 'large value '.repeat(20_000);
        assert.equal(await client.set('one', 'first', 0, 42), true);
        assert.equal(await client.set('two', large), true);
        assert.deepEqual(await client.get('one'), 'first');
        assert.deepEqual(await client.get('two'), large);
        assert.deepEqual(
          await client.gets(['one', 'two', 'three']),
          new Map([
            ['one', 'first'],
            ['two', large],
          ]),
        );
        assert.equal(await client.add('one', 'again'), false);
        assert.equal(await client.append('one', '!'), true);
        assert.equal(await client.get('one'), 'first!');
        await client.set('count', '41');
        assert.equal(await client.incr('count'), 42);
        assert.equal(await client.touch('count', 100), true);
        assert.equal(await client.delete('count'), true);
        assert.equal(await client.get('count'), undefined);
        await Promise.all(Array.from({ length: 200 }, (_, i) => client.set(`key${i}`, `value${i}`)));
        const values = await Promise.all(Array.from({ length: 200 }, (_, i) => client.get(`key${i}`)));
        assert.deepEqual(
          values,
          Array.from({ length: 200 }, (_, i) => `value${i}`),
        );
      } finally {
        await client.disconnect();
      }
    });

    it('gives the same answers however the input is cut', async () => {
      const random = randomFrom(7);
      const text = `flush_all\r\n${Array.from({ length: 60 }, () => command(random)).join('')}set big 0 0 20000\r\n${'b'.repeat(20_000)}\r\nget big\r\nmg big s\r\n`;
      const answers: string[] = [];
      for (const most of [1 << 20, 1000, 7]) {
        const socket = connect({ port: running.port, noDelay: true });
        let heard = '';
        socket.on('data', (data) => {
          heard += data.toString('latin1');
        });
        for (let at = 0; at < text.length; ) {
          const bytes = 1 + random(most);
          socket.write(Buffer.from(text.slice(at, at + bytes), 'latin1'));
          at += bytes;
          if (random(10) === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        socket.end();
        await once(socket, 'close');
        answers.push(heard.replace(/ [ctl]?\d+(?=\r|$| )/gm, ''));
      }
      assert.equal(answers[1], answers[0]);
      assert.equal(answers[2], answers[0]);
    });

    it('gives memory back that a value was coming into whose client went away', async () => {
      const before = running.server.engine.reservable;
      const used = () => running.server.store.statistics().pages;
      await say('flush_all\r\n', 'OK\r\n');
      const pages = used();
      for (let i = 0; i < 20; i++) {
        const socket = connect({ port: running.port });
        socket.write(`set gone${i} 0 0 1000000\r\n${'x'.repeat(100_000)}`);
        for (let tries = 0; running.server.engine.reservable === before && tries < 200; tries++)
          await pause(5);
        assert.notEqual(running.server.engine.reservable, before);
        socket.destroy();
        for (let tries = 0; running.server.engine.reservable !== before && tries < 200; tries++)
          await pause(5);
        assert.equal(running.server.engine.reservable, before);
      }
      assert.ok(used() <= pages + 300n, `${used()} pages, ${pages} before`);
    });
  });
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Reads until so many bytes have come, or the end. */
async function hear(socket: Socket, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let have = 0;
  for await (const part of socket) {
    parts.push(part);
    have += part.length;
    if (have >= bytes) break;
  }
  return Buffer.concat(parts);
}

describe('the sockets of arena-kv', () => {
  let running: Running;
  before(async () => {
    running = await startServer({ maxConnections: 5, udpPort: -1 });
  });
  after(() => running.stop());

  it('answer datagrams, in as many as it takes, with the request they belong to', async () => {
    const socket = createSocket('udp4');
    const got: Buffer[] = [];
    socket.on('message', (message) => got.push(message));
    const ask = (request: number, text: string, count = 1) => {
      const frame = Buffer.alloc(8);
      frame.writeUInt16BE(request, 0);
      frame.writeUInt16BE(count, 4);
      socket.send([frame, Buffer.from(text)], running.server.udpPort, '127.0.0.1');
    };
    const answer = async (request: number) => {
      for (let tries = 0; tries < 200; tries++) {
        const mine = got.filter((message) => message.readUInt16BE(0) === request);
        if (mine.length > 0 && mine.length === mine[0].readUInt16BE(4)) {
          const inOrder = mine.toSorted((a, b) => a.readUInt16BE(2) - b.readUInt16BE(2));
          assert.ok(inOrder.every((message) => message.length <= 1400 && message.readUInt16BE(6) === 0));
          return Buffer.concat(inOrder.map((message) => message.subarray(8))).toString();
        }
        await pause(5);
      }
      return undefined;
    };
    try {
      ask(1, 'set u 3 0 5\r\nvalue\r\n');
      assert.equal(await answer(1), 'STORED\r\n');
      ask(2, 'get u\r\n');
      assert.equal(await answer(2), 'VALUE u 3 5\r\nvalue\r\nEND\r\n');
      const value = 'x'.repeat(5000);
      const twice = `set long 0 0 1200\r\n${value.slice(0, 1200)}\r\n`;
      ask(3, twice);
      assert.equal(await answer(3), 'STORED\r\n');
      ask(4, 'get long long long u\r\n');
      const long = `VALUE long 0 1200\r\n${value.slice(0, 1200)}\r\n`;
      assert.equal(await answer(4), `${long}${long}${long}VALUE u 3 5\r\nvalue\r\nEND\r\n`);
      // A request in two datagrams is nobody's; neither is one without a frame, or one that breaks off.
      ask(5, 'get u\r\n', 2);
      socket.send(Buffer.from('get u\r\n'), running.server.udpPort, '127.0.0.1');
      ask(6, 'get u');
      ask(7, 'get u\r\n');
      assert.equal(await answer(7), 'VALUE u 3 5\r\nvalue\r\nEND\r\n');
      assert.equal(got.filter((message) => [5, 6].includes(message.readUInt16BE(0))).length, 0);
    } finally {
      socket.close();
    }
  });

  it('turn clients away that are too many, and say so', async () => {
    const sockets = Array.from({ length: 5 }, () => connect({ port: running.port }));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    while (running.server.connections.size < 5) await pause(5);
    const late = connect({ port: running.port });
    assert.equal((await hear(late, 100)).toString(), 'ERROR Too many open connections\r\n');
    for (const socket of sockets) socket.destroy();
    while (running.server.connections.size > 0) await pause(5);
    using talk = new Talk({ port: running.port });
    assert.equal((await talk.step({ send: 'mn\r\n', receive: 'MN\r\n' })).receive, 'MN\r\n');
  });

  it('cost little for a client that takes no answers, and serve others meanwhile', async () => {
    using other = new Talk({ port: running.port });
    const value = 'v'.repeat(500_000);
    await other.step({ send: `set big 0 0 ${value.length}\r\n${value}\r\n`, receive: 'STORED\r\n' });
    const slow = connect({ port: running.port });
    await once(slow, 'connect');
    slow.pause();
    // A hundred thousand answers of half a megabyte.
    slow.write('get big big big big big\r\n'.repeat(20_000));
    for (let tries = 0; tries < 400 && running.server.engine.counters.waits === 0; tries++) await pause(5);
    assert.ok(running.server.engine.counters.waits > 0, 'the server waits for it');
    const pending = () => [...running.server.connections].reduce((sum, { pending: bytes }) => sum + bytes, 0);
    for (let i = 0; i < 20; i++) {
      assert.equal((await other.step({ send: 'mn\r\n', receive: 'MN\r\n' })).receive, 'MN\r\n');
      assert.ok(pending() < 4 << 20, `${pending()} bytes wait`);
    }
    // It gets its answers after all, when it takes them.
    const heard = await hear(slow, 20 * value.length);
    assert.equal(heard.toString('latin1', 0, 30), `VALUE big 0 500000\r\n${value.slice(0, 10)}`);
    slow.destroy();
  });

  it('keep little of what many take no answers to, and let go of those', async () => {
    const pendingMax = 1 << 20;
    const few = await startServer({ pendingMax });
    const { engine, connections } = few.server;
    const slow: Socket[] = [];
    try {
      using other = new Talk({ port: few.port });
      const value = 'v'.repeat(1_000_000);
      await other.step({ send: `set big 0 0 ${value.length}\r\n${value}\r\n`, receive: 'STORED\r\n' });
      const most = 4 * pendingMax + 3 * value.length;
      for (let i = 0; i < 12; i++) {
        const socket = connect({ port: few.port });
        socket.on('error', () => undefined);
        socket.pause();
        socket.write('get big\r\n'.repeat(100));
        slow.push(socket);
      }
      for (let tries = 0; tries < 1000 && engine.counters.slowConnections < 5; tries++) {
        const pending = [...connections].reduce((sum, each) => sum + each.pending, 0);
        assert.ok(pending <= most, `${pending} bytes wait`);
        await pause(5);
      }
      assert.ok(engine.counters.slowConnections >= 5, `${engine.counters.slowConnections} were let go`);
      assert.equal((await other.step({ send: 'mn\r\n', receive: 'MN\r\n' })).receive, 'MN\r\n');
    } finally {
      for (const socket of slow) socket.destroy();
      await few.stop();
    }
  });

  it('keep no memory for a value that does not go on', async () => {
    const { engine, connections } = running.server;
    const slow = connect({ port: running.port });
    slow.on('error', () => undefined);
    const gone = once(slow, 'close');
    const free = engine.reservable;
    slow.write(`set stalled 0 0 100000\r\n${'s'.repeat(9000)}`);
    while (engine.reservable === free) await pause(5);
    for (const connection of connections) if (connection.session.isReceiving) connection.lastCommand -= 61;
    await gone;
    while (connections.size > 0) await pause(5);
    assert.equal(engine.reservable, free);
  });

  it('stay in step with a client that sends rubbish, or let it go', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = randomFrom(seed);
    const pieces = [
      'get ',
      'set a 0 0 5\r\n',
      'ms a 3 ',
      '\r\n',
      '\n',
      '\0',
      ' ',
      'mg ',
      'a',
      '9'.repeat(30),
      'x'.repeat(300),
      'noreply',
      '-1',
      '\xff',
    ];
    for (let round = 0; round < 40; round++) {
      const socket = connect({ port: running.port });
      const heard: Buffer[] = [];
      socket.on('data', (data) => heard.push(data));
      socket.on('error', () => undefined);
      const rubbish = Array.from({ length: 30 }, () =>
        random(3) === 0 ? String.fromCharCode(random(256)) : pieces[random(pieces.length)],
      ).join('');
      socket.end(Buffer.from(`${rubbish}\r\n${'mn\r\n'.repeat(300)}`, 'latin1'));
      await once(socket, 'close');
      // No value was longer than what came behind, so in the end it is understood again, if it is still listened to.
      const text = Buffer.concat(heard).toString('latin1');
      assert.ok(
        text === '' || text.endsWith('MN\r\n') || !/MN/.test(text),
        `seed ${seed}: ${JSON.stringify(text.slice(-60))}`,
      );
      assert.ok(
        heard.length > 0 || rubbish.length > 2048 || /HTTP/.test(rubbish),
        `seed ${seed}: ${JSON.stringify(rubbish)}`,
      );
    }
  });

  it('listen on a unix socket, also where a dead server left its file', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'socket');
      for (let round = 0; round < 2; round++) {
        // A file that nobody listens at: what a killed server leaves.
        if (round === 1) {
          const child = spawn(process.execPath, [
            '-e',
            `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
          ]);
          await once(child, 'close');
        }
        const { server } = running;
        const own = new (server.constructor as typeof import('../../apps/kv/server.ts').Server)(
          server.store,
          {
            ...server.options,
            socket: path,
            udpPort: 0,
          },
        );
        await own.start();
        {
          using talk = new Talk({ path });
          assert.equal((await talk.step({ send: 'mn\r\n', receive: 'MN\r\n' })).receive, 'MN\r\n');
        }
        await own.stop();
      }
    });
  });

  it('say what is wrong when they cannot be had', async () => {
    const { Server } = await import('../../apps/kv/server.ts');
    const second = new Server(running.server.store, {
      ...running.server.options,
      port: running.port,
      udpPort: 0,
    });
    await assert.rejects(second.start(), { code: 'EADDRINUSE' });
    await second.stop();
  });
});
