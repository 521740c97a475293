import type { FaultReport } from '../kernel.ts';
import { userIds } from './helpers/environment.ts';
import { taskName } from './helpers/task.ts';

/**
 * What a program's stderr is told of an access to an absent page, in Linux's words (bpf_prog_report_arena_violation). Linux writes it at
 * every access, here it is once for each instruction of a run, at its end, and only where faults are reported; of the calls that led
 * there only the innermost is known.
 */

/** @param cpu on which it ran. @param pid of the process. @param place the instruction in its function, and instructions there. */
export function faultText(
  { access, address, function: name, source }: FaultReport,
  { cpu, pid, userVmStart, at, length }: FaultPlace,
): string {
  const upper = (userVmStart >> 32n) << 32n;
  const where = (upper + BigInt(address)).toString(16);
  const kind = access === 'load' ? 'READ' : 'WRITE';
  const comm = new TextDecoder().decode(taskName());
  return [
    `ERROR: Arena ${kind} access at unmapped address 0x${where}`,
    `CPU: ${cpu} UID: ${userIds().uid} PID: ${pid} Comm: ${comm}`,
    'Call trace:',
    `${name}+0x${(8 * at).toString(16)}/0x${(8 * length).toString(16)}`,
    ...(source ? [`  ${source.text} @ ${source.file}:${source.line}`] : []),
    '',
    '',
  ].join('\n');
}

export interface FaultPlace {
  readonly cpu: number;
  readonly pid: number;
  /** Of the arena. */
  readonly userVmStart: bigint;
  /** Slots from the function's first, and its slots. */
  readonly at: number;
  readonly length: number;
}
