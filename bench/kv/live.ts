import { addressOf, type LoadedObject, open } from '../../src/index.ts';
import { attach, type Link, type LinuxProgram, linux } from '../../src/linux/index.ts';
import type { Network } from '../../tools/network.ts';
import { Keys, requestOf } from './load.ts';

/**
 * Packets without sockets: a source at the far end of a veth pair sends requests as live frames, and a sink there counts what comes
 * back. Also the programs that stand around the store's: programs/kv/kv_rig.
 */

const RIG = new URL('../../programs/kv/kv_rig.bpf.o', import.meta.url);
/** As kv_rig.bpf.c has them: how many requests, where in a frame the checksum is, and the last eight bytes of the key. */
const REQUESTS = 65_536;
const FRAME_BYTES = 86;
const CHECKSUM_AT = 40;
const KEY_AT = 76;
const HEADER_BYTES = 42;
const SOURCE_PORT = 40_000;
/** Runs between two looks at the clock. */
const BURST = 100_000;

interface Globals {
  counters: { packets: number; bytes: number };
  frame: { words: ArrayLike<bigint | number> };
  requests: object;
}

export class Rig implements Disposable {
  readonly #loaded: LoadedObject;
  readonly #globals: Globals;
  readonly programs: Readonly<Record<string, LinuxProgram>>;

  private constructor(loaded: LoadedObject) {
    this.#loaded = loaded;
    this.#globals = loaded.globals as Globals;
    this.programs = loaded.programs as unknown as Record<string, LinuxProgram>;
  }

  /** @param network whose addresses the frames have. */
  static async open(network: Network, port: number, items: number, seed: number): Promise<Rig> {
    const object = await open(RIG, { int64: 'number' });
    Object.assign(object.globals, { port: ((port & 0xff) << 8) | (port >> 8) });
    const rig = new Rig(await object.load(linux()));
    rig.#fill(network, port, new Keys(items, seed));
    return rig;
  }

  #fill(network: Network, port: number, keys: Keys): void {
    if (this.programs.kv_requests.run().retval !== 0) throw new Error('no memory for requests');
    const { arena } = this.#loaded;
    if (arena === undefined) throw new Error('the rig has an arena');
    const placeOf = (what: object) => Number((addressOf(what) ?? 0n) - arena.userVmStart);
    const { bytes } = arena;
    const first = placeOf(this.#globals.requests);
    for (let i = 0; i < REQUESTS; i++) {
      const frame = frameOf(network, port, requestOf(keys.next()));
      if (frame.length !== FRAME_BYTES) throw new Error(`a request of ${frame.length} bytes`);
      if (i === 0) bytes.set(frame, placeOf(this.#globals.frame));
      bytes.set(frame.subarray(KEY_AT, KEY_AT + 8), first + 16 * i);
      bytes.set(frame.subarray(CHECKSUM_AT, CHECKSUM_AT + 2), first + 16 * i + 8);
    }
  }

  /** Sends for some seconds, and counts what comes back. The sink must be attached to the far end. */
  run({ far }: Network, seconds: number): { seconds: number; answers: number; sent: number; bytes: number } {
    const { counters } = this.#globals;
    const [packets, bytes] = [counters.packets, counters.bytes];
    const start = performance.now();
    let now = start;
    let sent = 0;
    // One byte longer than what is sent: see kv_inject.
    const data = new Uint8Array(FRAME_BYTES + 1);
    while (now < start + 1000 * seconds) {
      this.programs.kv_inject.runLive({ data, repeat: BURST, interface: far.interface, netns: far.netns });
      sent += BURST;
      now = performance.now();
    }
    return {
      seconds: (now - start) / 1000,
      answers: counters.packets - packets,
      sent,
      bytes: counters.bytes - bytes,
    };
  }

  /** Attaches one of the programs to an end. */
  attach(program: string, end: { readonly netns: string; readonly interface: string }): Link {
    return attach(this.programs[program], { kind: 'xdp', mode: 'native', ...end });
  }

  [Symbol.dispose](): void {
    this.#loaded.close();
  }
}

/** Ethernet, IPv4 and UDP, from the far end to the near one. */
function frameOf({ near, far }: Network, port: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  const mac = (text: string) => text.split(':').map((byte) => Number.parseInt(byte, 16));
  const ip = (text: string) => text.split('.').map(Number);
  frame.set([...mac(near.mac), ...mac(far.mac), 0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17]);
  view.setUint16(16, frame.length - 14);
  frame.set([...ip(far.address), ...ip(near.address)], 26);
  view.setUint16(24, ~onesSum(frame.subarray(14, 34), 0) & 0xffff);
  view.setUint16(34, SOURCE_PORT);
  view.setUint16(36, port);
  view.setUint16(38, 8 + payload.length);
  frame.set(payload, HEADER_BYTES);
  const pseudo = onesSum(frame.subarray(26, 34), 17 + 8 + payload.length);
  view.setUint16(40, ~onesSum(frame.subarray(34), pseudo) & 0xffff || 0xffff);
  return frame;
}

function onesSum(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
