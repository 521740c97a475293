import type { Socket } from 'node:dgram';
import { it } from 'node:test';
import { type End, Network, noNetwork } from '../../tools/network.ts';
import { onLinux } from '../contract/kernels.ts';

/** Tests that need a {@link Network}; and packets as text. */

export { Network };

/** As {@link onLinux}, for tests that need {@link Network}. */
export function onLinuxWithNetwork(what: string, declare: () => void): void {
  const reason = noNetwork();
  if (reason === undefined) onLinux(what, declare);
  else it(what, { skip: `not run: ${reason}` }, () => {});
}

/** Sends one packet. */
export function send(socket: Socket, text: string, { address }: End, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(text, port, address, (error) => (error ? reject(error) : resolve()));
  });
}

/** What comes to a socket, as text, in the order in which it comes. */
export function received(socket: Socket): string[] {
  const texts: string[] = [];
  socket.on('message', (bytes) => texts.push(bytes.toString()));
  return texts;
}
