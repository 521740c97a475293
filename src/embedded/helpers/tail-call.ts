import type { Cpu } from '../cpu.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';

/**
 * bpf_tail_call has no function of its own: the engines do it, as it does not come back (src/jit/emit/call.ts, `Cpu.tailCall`).
 */
export function tail_call(_cpu: Cpu, _ctx: KernelOffset, _map: EmbeddedMap, _index: number): never {
  throw new TypeError('a tail call is no call');
}
