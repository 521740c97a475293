import { BpfError } from '../../errors.ts';
import { ETH_HLEN } from './context.ts';

/** What the contexts of packets have in common: structures of the UAPI that user space gives and gets, and the packet's size. */

/**
 * A structure as user space gives it, filled up with zeroes (Linux: bpf_ctx_init, bpf_check_uarg_tail_zero). Throws E2BIG for bytes
 * behind it that are not 0.
 */
export function givenStructure(name: string, ctx: Uint8Array, bytes: number): DataView {
  if (ctx.subarray(bytes).some((byte) => byte !== 0))
    throw new BpfError('E2BIG', `program '${name}': a context has ${bytes} bytes; what follows has to be 0`);
  const whole = new Uint8Array(bytes);
  whole.set(ctx.subarray(0, bytes));
  return new DataView(whole.buffer);
}

/** Throws EINVAL where bytes of a structure are not 0. */
export function checkZero(
  name: string,
  given: DataView,
  ranges: readonly (readonly [number, number])[],
): void {
  for (const [start, end] of ranges)
    for (let at = start; at < end; at++)
      if (given.getUint8(at) !== 0)
        throw new BpfError('EINVAL', `program '${name}': byte ${at} of the context cannot be set`);
}

/** The packet. Throws EINVAL where there is none, or less than an Ethernet header, or more than `most` bytes. */
export function givenPacket(name: string, data: Uint8Array | undefined, most: number): Uint8Array {
  const bytes = data?.length ?? 0;
  if (data === undefined || bytes < ETH_HLEN || bytes > most) {
    const wanted = most === Number.POSITIVE_INFINITY ? `at least ${ETH_HLEN}` : `${ETH_HLEN} to ${most}`;
    const problem = `it needs a packet of ${wanted} bytes, and got ${bytes}`;
    throw new BpfError('EINVAL', `program '${name}': ${problem}; give one by data (--data)`);
  }
  return data;
}

/** The loopback interface, on which test runs receive; there is no other one. */
export const LOOPBACK = 1;

/** Throws ENODEV for an interface that is not there. */
export function checkInterface(name: string, index: number): void {
  if (index === LOOPBACK) return;
  throw new BpfError(
    'ENODEV',
    `program '${name}': there is no interface ${index}, only ${LOOPBACK}, the loopback`,
  );
}
