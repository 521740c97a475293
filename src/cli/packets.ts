import { BpfError, type LoadedProgram, type RunOptions } from '../index.ts';
import { type Pcap, type PcapPacket, readPcap, writePcap } from './pcap.ts';
import { verdictName } from './verdict-names.ts';

/** Runs a program on each packet of a file, and counts what it says. */

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
      count(verdicts, verdictName(program.type, retval) ?? String(retval));
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
