import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';

/** Helpers on sockets. The only one is that of a test run's packet, which belongs to nobody and is no TCP socket. */

export const sk_fullsock = (_: Cpu, sock: KernelOffset): number => sock;
export const tcp_sock = (): number => 0;
export const get_listener_sock = (): number => 0;
export const get_socket_cookie = (): number => 1;
export const get_socket_uid = (): number => 0;
export const get_netns_cookie = (): number => 1;
