import { BpfError, type LoadedProgram, type ProgramType, type RunOptions } from '../index.ts';
import { type Pcap, type PcapPacket, readPcap, writePcap } from './pcap.ts';

/** Runs a program on each packet of a file, and counts what it says. */

/** What a program's result means, by its type. Others are numbers. */
const TC_VERDICTS: Readonly<Record<number, string>> = {
  4294967295: 'TC_ACT_UNSPEC',
  0: 'TC_ACT_OK',
  1: 'TC_ACT_RECLASSIFY',
  2: 'TC_ACT_SHOT',
  3: 'TC_ACT_PIPE',
  4: 'TC_ACT_STOLEN',
  5: 'TC_ACT_QUEUED',
  6: 'TC_ACT_REPEAT',
  7: 'TC_ACT_REDIRECT',
  8: 'TC_ACT_TRAP',
};
const VERDICTS: Partial<Record<ProgramType, Readonly<Record<number, string>>>> = {
  xdp: { 0: 'XDP_ABORTED', 1: 'XDP_DROP', 2: 'XDP_PASS', 3: 'XDP_TX', 4: 'XDP_REDIRECT' },
  sched_cls: TC_VERDICTS,
  sched_act: TC_VERDICTS,
  cgroup_skb: { 0: 'drop', 1: 'pass' },
};

function verdictOf(type: ProgramType, retval: number): string {
  if (type === 'socket_filter') return retval === 0 ? 'drop' : 'accept';
  return VERDICTS[type]?.[retval] ?? String(retval);
}

export interface PacketSummary {
  readonly program: string;
  readonly packets: number;
  /** How often each was the answer. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Packets that the kernel did not take, by errno: those shorter than an Ethernet header, or too long. */
  readonly refused: Readonly<Record<string, number>>;
  /** Of one run, the mean. */
  readonly durationNs: number;
}

/**
 * Runs each packet of a file.
 * @param name of the file, for errors. @returns what was said, and a file with each packet as the program left it, at its old time.
 */
export function runPackets(
  program: LoadedProgram,
  file: Uint8Array,
  name: string,
  options: Pick<RunOptions, 'ctx' | 'repeat'>,
): { summary: PacketSummary; answers: Uint8Array } {
  const pcap = readPcap(file, name);
  const verdicts: Record<string, number> = {};
  const refused: Record<string, number> = {};
  const count = (counts: Record<string, number>, what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const answers: PcapPacket[] = [];
  let time = 0;
  for (const packet of pcap.packets) {
    try {
      const { retval, durationNs, dataOut = packet.data } = program.run({ ...options, data: packet.data });
      count(verdicts, verdictOf(program.type, retval));
      time += durationNs;
      answers.push({ ...packet, data: dataOut });
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      count(refused, error.code);
    }
  }
  const summary: PacketSummary = {
    program: program.name,
    packets: pcap.packets.length,
    verdicts,
    refused,
    durationNs: answers.length === 0 ? 0 : Math.round(time / answers.length),
  };
  return { summary, answers: writePcap({ ...pcap, packets: answers } satisfies Pcap) };
}
