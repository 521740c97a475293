import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { PACKET_RUNS } from '../../programs/results.ts';
import { open } from '../../src/index.ts';
import { linux } from '../../src/linux/index.ts';
import { attach } from '../../src/linux/links/index.ts';
import type { LinuxProgram } from '../../src/linux/program.ts';
import { onLinux } from '../contract/kernels.ts';
import { Network, onLinuxWithNetwork, received, send } from './network.ts';

/** programs/xdp_counter on a veth pair: it counts and answers packets while TypeScript looks into its arena. */

const PROGRAMS = new URL('../../programs/', import.meta.url);
const FILES = ['xdp_counter', 'xdp_counter_asm'];
const ECHO_PORT = 7;
const PACKETS = 50;
/** Ethernet, IPv4 and UDP. */
const HEADER_BYTES = 42;

interface Shape {
  globals: {
    counters: { packets: bigint; bytes: bigint; answered: bigint };
    last_packet: { sequence: number; length: number; bytes: ArrayLike<number> };
  };
}

/** The payload of the packet kept last, by the rule of its sequence: undefined while it is being written. */
function lastPayload({ last_packet: last }: Shape['globals']): string | undefined {
  const before = last.sequence;
  const bytes = Array.from({ length: Math.min(last.length, last.bytes.length) }, (_, i) => last.bytes[i]);
  if (before % 2 !== 0 || last.sequence !== before) return undefined;
  return Buffer.from(bytes.slice(HEADER_BYTES)).toString();
}

/** The packet that the native form makes: UDP over IPv4, from port 4000 to the echo port. */
function nativePacket(): Uint8Array {
  const packet = new DataView(new ArrayBuffer(HEADER_BYTES + 5));
  packet.setUint16(12, 0x0800);
  packet.setUint8(14, 0x45);
  packet.setUint8(23, 17);
  packet.setUint16(34, 4000);
  packet.setUint16(36, ECHO_PORT);
  const bytes = new Uint8Array(packet.buffer);
  bytes.set(Buffer.from('hello'), HEADER_BYTES);
  return bytes;
}

onLinux('xdp_counter in test runs', () => {
  for (const file of FILES) {
    it(`${file} gives what its native form gives`, async () => {
      const object = await open<Shape>(new URL(`${file}.bpf.o`, PROGRAMS));
      using loaded = await object.load(linux());
      const { xdp_counter: program } = loaded.programs;
      const echo = program.run({ data: nativePacket() });
      const answer = echo.dataOut as Uint8Array;
      const other = program.run({ data: answer });
      const { counters, last_packet: last } = loaded.globals;
      const results = {
        echo: echo.retval,
        destination: new DataView(answer.buffer, answer.byteOffset).getUint16(36),
        other: other.retval,
        packets: counters.packets,
        bytes: counters.bytes,
        answered: counters.answered,
        sequence: last.sequence,
        length: last.length,
        last: lastPayload(loaded.globals),
      };
      const printed = Object.entries(results).map(([name, value]) => [name, String(value)]);
      assert.deepEqual(Object.fromEntries(printed), PACKET_RUNS.xdp_counter.prints);
    });
  }
});

onLinuxWithNetwork('xdp_counter on a veth pair', () => {
  for (const mode of ['generic', 'native'] as const) {
    for (const file of FILES) {
      it(`${file}, ${mode}: answers packets, its counters and the last packet are in the arena`, async () => {
        using network = new Network();
        const object = await open<Shape>(new URL(`${file}.bpf.o`, PROGRAMS));
        using loaded = await object.load(linux());
        const programs = loaded.programs as Record<string, LinuxProgram>;
        const { near, far } = network;
        using _near = attach(programs.xdp_counter, { kind: 'xdp', mode, ...near });
        using _far = attach(programs.xdp_pass, { kind: 'xdp', mode, ...far });
        const socket = await network.socket(far);
        const answers = received(socket);
        const { counters } = loaded.globals;
        const sent: string[] = [];
        for (let i = 0; i < PACKETS; i++) {
          const text = `packet ${i}, ${mode}`;
          sent.push(text);
          await send(socket, text, near, ECHO_PORT);
          while (answers.length < sent.length) await delay(1);
          // While traffic flows: the arena has what was just answered.
          assert.equal(counters.answered, BigInt(sent.length));
          assert.equal(lastPayload(loaded.globals), text);
        }
        socket.close();
        assert.deepEqual(answers, sent);
        assert.equal(counters.packets, BigInt(PACKETS));
        assert.equal(counters.bytes, BigInt(PACKETS * HEADER_BYTES + sent.join('').length));
      });
    }
  }
});
