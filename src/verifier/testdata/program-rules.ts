import { readFileSync } from 'node:fs';

/**
 * What Linux 6.18 lets programs of each section do, as tools/record-program-rules.ts found out by trying all of it: accesses of the
 * context, helpers, results.
 */

export interface RecordedRules {
  /** `off:sizes` that may be read, then `/w` and sizes that may be written: `4:124/w4`. */
  readonly context: string;
  /** Numbers. */
  readonly helpers: string;
  /** Of {@link RESULTS}. */
  readonly returns: string;
}

export const RULES_FILE = new URL('program-rules.json', import.meta.url);

export const programRules = (): Record<string, RecordedRules> => JSON.parse(readFileSync(RULES_FILE, 'utf8'));

/** Offsets that are tried, each size where it is aligned; numbers of helpers; results. */
const CONTEXT_END = 232;
export const SIZES = [1, 2, 4, 8] as const;
const LAST_HELPER = 211;
export const RESULTS = [-4096, -1, 0, 1, 2, 3, 4, 5, 1000] as const;

/** The sections whose rules are recorded: those of the program types that are judged, by how they are attached. */
export const SECTIONS: readonly string[] = [
  ...[
    'xdp',
    'xdp/devmap',
    'tc',
    'action',
    'socket',
    'cgroup_skb/ingress',
    'cgroup_skb/egress',
    'raw_tp',
    'perf_event',
  ],
  ...['cgroup/sock_create', 'cgroup/sock_release', 'cgroup/post_bind4', 'cgroup/post_bind6'],
  ...['cgroup/bind4', 'cgroup/bind6', 'cgroup/connect4', 'cgroup/connect6', 'cgroup/connect_unix'],
  ...['cgroup/sendmsg4', 'cgroup/sendmsg6', 'cgroup/sendmsg_unix'],
  ...['cgroup/recvmsg4', 'cgroup/recvmsg6', 'cgroup/recvmsg_unix'],
  ...['cgroup/getpeername4', 'cgroup/getpeername6', 'cgroup/getpeername_unix'],
  ...['cgroup/getsockname4', 'cgroup/getsockname6', 'cgroup/getsockname_unix'],
  ...['cgroup/sysctl', 'cgroup/getsockopt', 'cgroup/setsockopt', 'cgroup/dev', 'sockops'],
  ...['sk_skb/stream_parser', 'sk_skb/stream_verdict', 'sk_skb', 'sk_msg', 'sk_lookup', 'sk_reuseport'],
  ...['flow_dissector', 'lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local', 'netfilter', 'raw_tp.w/x'],
  ...['tp_btf/sched_switch', 'tp_btf/kfree_skb', 'iter/task'],
];

/**
 * Tries everything in a section. @param allows whether an access is allowed, whether a helper may be called, whether a result is.
 */
export async function describe(allows: {
  access(kind: 'read' | 'write', off: number, size: number): Promise<boolean> | boolean;
  helper(id: number): Promise<boolean> | boolean;
  result(value: number): Promise<boolean> | boolean;
}): Promise<RecordedRules> {
  const fields: string[] = [];
  for (let off = 0; off < CONTEXT_END; off++) {
    const sizes = { read: '', write: '' };
    for (const size of SIZES.filter((each) => off % each === 0))
      for (const kind of ['read', 'write'] as const)
        if (await allows.access(kind, off, size)) sizes[kind] += size;
    if (sizes.read + sizes.write !== '')
      fields.push(`${off}:${sizes.read}${sizes.write && `/w${sizes.write}`}`);
  }
  const helpers: number[] = [];
  for (let id = 1; id <= LAST_HELPER; id++) if (await allows.helper(id)) helpers.push(id);
  const returns: number[] = [];
  for (const value of RESULTS) if (await allows.result(value)) returns.push(value);
  return { context: fields.join(' '), helpers: helpers.join(' '), returns: returns.join(' ') };
}
