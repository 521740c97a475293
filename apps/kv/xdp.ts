/**
 * The accelerator: the store's XDP program, which answers UDP requests for keys that are there, and where it runs. On Linux it is
 * attached to an interface, and the server hears only of what it lets pass. On the embedded kernel, which has no interfaces, each
 * datagram of the server's socket is put into a frame and shown to it first; a packet that it sends back is the answer.
 */
import { readFileSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import type { LoadedProgram } from 'bpf-arena';
import type { Row } from './statistics.ts';
import type { Store } from './store.ts';

/** The program, which is loaded only where it is wanted. */
export const XDP_PROGRAM = 'kv_xdp_answer';
const XDP_TX = 3;
/** Ethernet, IPv4 without options, UDP. */
const HEADER_BYTES = 42;
const PAGE = 4096;

/** enum kv_xdp_count, as `stats` has it. */
const COUNTS = [
  'xdp_hits',
  'xdp_passed_other',
  'xdp_passed_headers',
  'xdp_passed_request',
  'xdp_passed_miss',
  'xdp_passed_busy',
  'xdp_passed_large',
  'xdp_passed_room',
  'xdp_keys',
  'xdp_bytes',
] as const;

export interface AcceleratorOptions {
  readonly kernel: 'embedded' | 'linux';
  /** On Linux: the interface it is attached to. */
  readonly interface: string;
  /** The server's UDP port. */
  readonly port: number;
  /** The address that the server listens at; undefined: all. */
  readonly listen?: string | undefined;
  /** Of an embedded kernel. */
  readonly cpus: number;
}

export class Accelerator {
  /** Where it runs, in words: `interface 'eth0' (xdp, native)`. */
  readonly where: string;
  readonly #store: Store;
  readonly #detach: () => void;
  readonly #frame = emptyFrame();
  readonly #program: LoadedProgram;
  /** As a packet has it. */
  readonly #port: number;

  private constructor(store: Store, where: string, detach: () => void) {
    this.#store = store;
    this.#port = store.loaded.globals.kv_xdp.port;
    this.#program = store.loaded.programs[XDP_PROGRAM];
    this.where = where;
    this.#detach = detach;
  }

  /** Starts it for a store that was opened with `xdp`. Throws what attaching throws: ENODEV, EPERM, EBUSY. */
  static async start(store: Store, options: AcceleratorOptions): Promise<Accelerator> {
    const { kernel, port, listen } = options;
    const { programs, globals } = store.loaded;
    if (programs[XDP_PROGRAM] === undefined)
      throw new Error('the store was not opened with xdp: it has no XDP program');
    const cpus = kernel === 'linux' ? possibleCpus() : options.cpus;
    const error =
      programs.kv_xdp_start.run({ ctx: new Uint8Array(Uint32Array.of(0, cpus).buffer) }).retval | 0;
    if (error !== 0) throw new Error(`kv_xdp_start: error ${error}`);
    const settings = globals.kv_xdp;
    const { ipv4, ipv6 } = addressesOf(kernel === 'linux' ? listen : undefined);
    settings.ipv4 = ipv4;
    [settings.ipv6[0], settings.ipv6[1]] = ipv6;
    settings.port = ((port & 0xff) << 8) | (port >> 8);
    if (kernel === 'embedded') return new Accelerator(store, 'the UDP socket', () => undefined);
    const link = await attached(programs[XDP_PROGRAM], options.interface, settings);
    return new Accelerator(store, link.where, () => link.close());
  }

  /**
   * Shows the program a datagram, with memcached's header. @returns the answer, with one, or undefined where that is the server's
   * matter.
   */
  answer(datagram: Uint8Array, fromPort: number): Uint8Array | undefined {
    const data = this.#frame.subarray(0, HEADER_BYTES + datagram.length);
    if (data.length < HEADER_BYTES + datagram.length) return undefined;
    data.set(datagram, HEADER_BYTES);
    finishHeaders(data, fromPort, this.#port);
    const { retval, dataOut } = this.#program.run({ data });
    return retval === XDP_TX ? dataOut?.subarray(HEADER_BYTES) : undefined;
  }

  /** What was answered and what has passed, on all CPUs. */
  statistics(): Row[] {
    const { arena, globals } = this.#store.loaded;
    const { cpu, cpus } = globals.kv_xdp;
    if (arena === undefined) return [];
    const view = new DataView(arena.bytes.buffer, arena.bytes.byteOffset + Number(cpu - arena.userVmStart));
    return COUNTS.map((name, i) => {
      let sum = 0n;
      for (let number = 0; number < cpus; number++) sum += view.getBigUint64(PAGE * number + 8 * i, true);
      return [name, sum];
    });
  }

  /** Keys that it has found for clients: hits that the store has not counted. */
  get keys(): bigint {
    const [, keys] = this.statistics()[COUNTS.indexOf('xdp_keys')];
    return BigInt(keys);
  }

  /** Detaches it. The link goes with the process, too, however that ends. */
  close(): void {
    this.#detach();
  }
}

/** Where packets grow first, as kv_xdp.grow has it. */
const GROW = { front: 0, end: 1 } as const;

/**
 * Attaches the program where the driver runs it, else in the network stack: there a packet's checksum may be noted by its place, which
 * moves when packets grow at their front.
 */
async function attached(
  program: LoadedProgram,
  name: string,
  settings: { grow: number },
): Promise<{ where: string; close(): void }> {
  const { attach, LinuxProgram } = await import('bpf-arena/linux');
  if (!(program instanceof LinuxProgram)) throw new Error('the program is not in the Linux kernel');
  settings.grow = GROW.front;
  try {
    return attach(program, { kind: 'xdp', mode: 'native', interface: name });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'EOPNOTSUPP' && code !== 'ERANGE' && code !== 'EINVAL') throw error;
    settings.grow = GROW.end;
    return attach(program, { kind: 'xdp', mode: 'generic', interface: name });
  }
}

/** CPUs that there may be: programs know theirs by number. */
function possibleCpus(): number {
  const ranges = readFileSync('/sys/devices/system/cpu/possible', 'ascii').trim();
  return Number(ranges.split(/[,-]/).at(-1)) + 1;
}

/** Destinations that are answered for, as packets have them; zeroes: all, ones: none, since nobody has that address. */
export interface Addresses {
  readonly ipv4: number;
  readonly ipv6: readonly [bigint, bigint];
}

const ALL: Addresses = { ipv4: 0, ipv6: [0n, 0n] };
const NO_IPV4 = 0xffff_ffff;
const NO_IPV6 = [0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn] as const;

/** Those that a server hears which listens there. A name, and `::`, are all of them. */
export function addressesOf(listen: string | undefined): Addresses {
  if (listen === undefined) return ALL;
  if (isIPv4(listen))
    return { ipv4: wordsOf(listen.split('.').map(Number)).getUint32(0, true), ipv6: NO_IPV6 };
  if (!isIPv6(listen)) return ALL;
  const words = wordsOf(bytesOfIPv6(listen));
  const ipv6 = [words.getBigUint64(0, true), words.getBigUint64(8, true)] as const;
  return ipv6.every((word) => word === 0n) ? ALL : { ipv4: NO_IPV4, ipv6 };
}

const wordsOf = (bytes: number[]) => new DataView(Uint8Array.from(bytes).buffer);

/** The bytes of a valid address, with or without a zone. */
function bytesOfIPv6(address: string): number[] {
  // URLs have it in hexadecimal groups, whatever it was: [fe80::1:2].
  const groups = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1);
  const [front, back] = groups.split('::').map((part) => part.split(':').filter(Boolean));
  const zeroes = Array<string>(8 - front.length - (back?.length ?? 0)).fill('0');
  return [...front, ...zeroes, ...(back ?? [])]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff]);
}

/** Room for a frame from 192.0.2.1 to 192.0.2.2 (TEST-NET-1), with what is the same in all of them. */
function emptyFrame(): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + 1400);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
  frame.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2], 14);
  return frame;
}

/** Puts lengths, ports and IP's checksum into a frame; UDP over IPv4 may go without. @param to in network order, as a number */
function finishHeaders(frame: Uint8Array, from: number, to: number): void {
  const put = (at: number, value: number) => {
    frame[at] = value >> 8;
    frame[at + 1] = value;
  };
  put(16, frame.length - 14);
  put(24, 0);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += (frame[at] << 8) | frame[at + 1];
  put(24, ~((sum & 0xffff) + (sum >>> 16)));
  put(34, from);
  frame[36] = to;
  frame[37] = to >> 8;
  put(38, frame.length - 34);
  put(40, 0);
}
