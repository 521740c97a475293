import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { syscall } from '../src/linux/ffi.ts';
import { inNetworkNamespace } from '../src/linux/interfaces.ts';

/**
 * Two network namespaces with a veth pair between them, for a test or a benchmark and removed with it, so that nothing touches the
 * machine's own interfaces; and sockets in them, without leaving this process.
 */

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 0x80802;

/** Why no network can be made; undefined when it can. */
export function noNetwork(): string | undefined {
  const { error } = spawnSync('ip', ['-V']);
  return error === undefined ? undefined : 'no ip on PATH (Debian package iproute2)';
}

/** Runs `ip`. Throws what it complains of. */
function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

let made = 0;

export interface End {
  /** The namespace's name. */
  readonly netns: string;
  readonly interface: string;
  readonly address: string;
  readonly mac: string;
}

export class Network implements Disposable {
  /** Where programs are attached. */
  readonly near: End;
  /** Where packets come from. */
  readonly far: End;

  constructor() {
    const name = `bpf-arena-${process.pid}-${made++}`;
    this.near = { netns: `${name}-near`, interface: 'near', address: '10.250.0.1', mac: '02:00:00:00:00:01' };
    this.far = { netns: `${name}-far`, interface: 'far', address: '10.250.0.2', mac: '02:00:00:00:00:02' };
    const { near, far } = this;
    try {
      ip('netns', 'add', near.netns);
      ip('netns', 'add', far.netns);
      const peer = ['peer', 'name', far.interface, 'address', far.mac, 'netns', far.netns];
      ip('-n', near.netns, 'link', 'add', near.interface, 'address', near.mac, 'type', 'veth', ...peer);
      for (const [here, there] of [
        [near, far],
        [far, near],
      ]) {
        const run = (...args: readonly string[]) => ip('-n', here.netns, ...args, 'dev', here.interface);
        run('addr', 'add', `${here.address}/24`);
        // No packets but the test's: neither IPv6 looking around nor ARP.
        run('link', 'set', 'addrgenmode', 'none');
        run('link', 'set', 'up');
        run('neigh', 'add', there.address, 'lladdr', there.mac, 'nud', 'permanent');
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  down(end: End): void {
    ip('-n', end.netns, 'link', 'set', end.interface, 'down');
  }

  remove(end: End): void {
    ip('-n', end.netns, 'link', 'del', end.interface);
  }

  /** A UDP socket in a namespace. @param port to receive at; 0 is any. */
  socket({ netns }: End, port = 0): Promise<Socket> {
    const address = new DataView(new ArrayBuffer(16));
    address.setUint16(0, AF_INET, true);
    address.setUint16(2, port);
    const fd = inNetworkNamespace(netns, () => {
      const made = syscall('socket', AF_INET, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
      const result = made < 0 ? made : syscall('bind', made, address, address.byteLength);
      return result < 0 ? result : made;
    });
    if (fd < 0) throw new Error(`socket: errno ${-fd}`);
    const socket = createSocket('udp4');
    return new Promise((resolve) => socket.bind({ fd }, () => resolve(socket)));
  }

  [Symbol.dispose](): void {
    for (const { netns } of [this.near, this.far]) spawnSync('ip', ['netns', 'del', netns]);
  }
}
