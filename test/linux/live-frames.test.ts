import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { addressOf, open } from '../../src/index.ts';
import { attach, type LinuxArena, type LinuxProgram, linux } from '../../src/linux/index.ts';
import { Network, onLinuxWithNetwork } from './network.ts';

/** Packets that an XDP program sends without a socket: programs/kv/kv_rig, whose source, echo and sink are told apart by counters. */

const RIG = new URL('../../programs/kv/kv_rig.bpf.o', import.meta.url);
const HEADER_BYTES = 42;
/** What the source sends is that long. */
const FRAME_BYTES = 86;
const PACKETS = 500;

interface Shape {
  globals: { counters: { next: number; packets: number; bytes: number }; frame: object };
}

/** UDP over IPv4 to memcached's port. */
function packet(bytes: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint8(23, 17);
  view.setUint16(36, 11211);
  return new Uint8Array(view.buffer);
}

onLinuxWithNetwork('live frames', () => {
  it('each run sends its packet, which comes back from the other end as its program says', async () => {
    using network = new Network();
    const { near, far } = network;
    const object = await open<Shape>(RIG, { int64: 'number' });
    using loaded = await object.load(linux());
    const programs = loaded.programs as Record<string, LinuxProgram>;
    using _near = attach(programs.kv_echo, { kind: 'xdp', mode: 'native', ...near });
    using _far = attach(programs.kv_sink, { kind: 'xdp', mode: 'native', ...far });
    const data = packet(FRAME_BYTES);
    assert.equal(programs.kv_requests.run().retval, 0);
    const { counters, frame } = loaded.globals;
    const arena = loaded.arena as LinuxArena;
    arena.bytes.set(data, Number(addressOf(frame) - arena.userVmStart));
    const ns = programs.kv_inject.runLive({ data: packet(data.length + 1), repeat: PACKETS, ...far });
    assert.ok(ns > 0);
    while (counters.packets < PACKETS) await delay(1);
    assert.equal(counters.next, PACKETS);
    assert.equal(counters.bytes, PACKETS * data.length);
  });

  it('are for XDP programs, and for interfaces that are there', async () => {
    using kernel = linux();
    const object = await open<Shape>(RIG);
    using loaded = await object.load(kernel);
    const { kv_requests: other, kv_pass: pass } = loaded.programs as Record<string, LinuxProgram>;
    const data = packet(HEADER_BYTES);
    assert.throws(() => other.runLive({ data, interface: 'lo' }), {
      code: 'EINVAL',
      message: /for XDP programs/,
    });
    assert.throws(() => pass.runLive({ data, interface: 'no-such' }), { code: 'ENODEV' });
    assert.throws(() => pass.runLive({ data, interface: 'lo', batchSize: 257 }), {
      code: 'EINVAL',
      message: /256/,
    });
    assert.throws(() => pass.runLive({ data, interface: 'lo', repeat: 0 }), {
      code: 'EINVAL',
      message: /repeat/,
    });
  });
});
