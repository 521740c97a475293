import { BpfError } from '../errors.ts';
import type { ProgramType } from '../object/program-types.ts';
import { bpf, withoutSignals } from './bpf.ts';
import { findInterface, inNetworkNamespace } from './interfaces.ts';
import { refusal } from './test-run.ts';

/**
 * Test runs with live frames (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18): what an XDP program says of a packet is done. So a program
 * that answers XDP_TX for each is a source of packets that needs no socket, millions a second.
 */

const BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1;
/** Linux: TEST_XDP_MAX_BATCH. */
const MAX_BATCH = 256;
/** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
const XDP_MD_WORDS = 6;

export interface LiveFrames {
  /**
   * The packet of each run. Frames are used again: each comes back with the bytes that the program, or whoever received it, has left
   * there; and with the length that a receiver gave it, unless the program changes the packet's length itself.
   */
  readonly data: Uint8Array;
  /** Runs. Default 1. */
  readonly repeat?: number;
  /** Frames in a go: at most 256. Default: the kernel's, 64. */
  readonly batchSize?: number;
  /** The interface that the packets seem to come from, to which XDP_TX sends them: name or index. */
  readonly interface: string | number;
  /** The network namespace it is in, and in which packets that pass are received: a name or a path. Default: this thread's. */
  readonly netns?: string;
}

/** @returns nanoseconds a packet. Throws EINVAL for what is no such run and for types other than xdp, ENODEV without the interface. */
export function runLiveFrames(
  fd: number,
  name: string,
  type: ProgramType,
  { data, repeat = 1, batchSize, netns, interface: wanted }: LiveFrames,
): number {
  const refuse = (problem: string) => new BpfError('EINVAL', `program '${name}': ${problem}`);
  if (type !== 'xdp') throw refuse(`it is of type ${type}: live frames are for XDP programs`);
  if (!Number.isInteger(repeat) || repeat < 1 || repeat > 0x7fffffff)
    throw refuse(`repeat is ${repeat}, not a number of runs`);
  if (batchSize !== undefined && !(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= MAX_BATCH))
    throw refuse(`batchSize is ${batchSize}, not a number from 1 to ${MAX_BATCH}`);
  return inNetworkNamespace(netns, () => {
    const { index } = findInterface(wanted);
    const context = new Uint32Array(XDP_MD_WORDS);
    context[1] = data.length;
    context[3] = index;
    const answer = withoutSignals(() =>
      bpf('prog_test_run', {
        prog_fd: fd,
        repeat,
        data_in: data,
        data_size_in: data.length,
        ctx_in: context,
        ctx_size_in: context.byteLength,
        flags: BPF_F_TEST_XDP_LIVE_FRAMES,
        batch_size: batchSize ?? 0,
      }),
    );
    if (answer.result < 0) throw refusal(answer.result, name, type);
    return answer.field('duration');
  });
}
