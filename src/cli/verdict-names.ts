import type { ProgramType } from '../index.ts';

/** What a program's result means, by the program's type: the names of the UAPI where it has some. */

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

/** What a program of this type asks for with its result; undefined where that is only a number. */
export function verdictName(type: ProgramType, retval: number): string | undefined {
  if (type === 'socket_filter') return retval === 0 ? 'drop' : 'accept';
  return VERDICTS[type]?.[retval];
}
