import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Btf } from '../btf/index.ts';
import { parseObject } from './object.ts';
import { ATTACH_TYPES, PROGRAM_TYPES, sectionRule, similarSection } from './program-types.ts';
import { assembleObject } from './write.ts';

const VMLINUX = '/sys/kernel/btf/vmlinux';
const noVmlinux: false | string = existsSync(VMLINUX) ? false : `${VMLINUX} is not there`;

/** Section, program type, attach type, what to attach to, s(leepable) and f(rags). */
const SECTIONS = [
  ['syscall', 'syscall', undefined, undefined, 's'],
  ['socket', 'socket_filter', undefined, undefined, ''],
  ['xdp', 'xdp', 'xdp', undefined, ''],
  ['xdp.frags', 'xdp', 'xdp', undefined, 'f'],
  ['xdp/devmap', 'xdp', 'xdp_devmap', 'devmap', ''],
  ['xdp.frags/cpumap', 'xdp', 'xdp_cpumap', 'cpumap', 'f'],
  ['tc', 'sched_cls', undefined, undefined, ''],
  ['tcx/ingress', 'sched_cls', 'tcx_ingress', 'ingress', ''],
  ['netkit/peer', 'sched_cls', 'netkit_peer', 'peer', ''],
  ['tp/sched/sched_switch', 'tracepoint', undefined, 'sched/sched_switch', ''],
  ['raw_tp/sys_enter', 'raw_tracepoint', undefined, 'sys_enter', ''],
  ['raw_tp.w/x', 'raw_tracepoint_writable', undefined, 'x', ''],
  ['tp_btf/sys_enter', 'tracing', 'trace_raw_tp', 'sys_enter', ''],
  ['fentry/do_unlinkat', 'tracing', 'trace_fentry', 'do_unlinkat', ''],
  ['fexit.s/do_unlinkat', 'tracing', 'trace_fexit', 'do_unlinkat', 's'],
  ['fmod_ret/f', 'tracing', 'modify_return', 'f', ''],
  ['freplace/f', 'ext', undefined, 'f', ''],
  ['iter.s/task', 'tracing', 'trace_iter', 'task', 's'],
  ['lsm/file_open', 'lsm', 'lsm_mac', 'file_open', ''],
  ['lsm_cgroup/socket_bind', 'lsm', 'lsm_cgroup', 'socket_bind', ''],
  ['kprobe/f', 'kprobe', undefined, 'f', ''],
  ['kprobe.multi/f*', 'kprobe', 'trace_kprobe_multi', 'f*', ''],
  ['uprobe.s//bin/sh:f', 'kprobe', undefined, '/bin/sh:f', 's'],
  ['usdt', 'kprobe', undefined, undefined, ''],
  ['struct_ops/init', 'struct_ops', undefined, 'init', ''],
  ['struct_ops.s/init', 'struct_ops', undefined, 'init', 's'],
  ['cgroup_skb/egress', 'cgroup_skb', 'cgroup_inet_egress', 'egress', ''],
  ['cgroup/connect_unix', 'cgroup_sock_addr', 'cgroup_unix_connect', 'connect_unix', ''],
  ['sk_reuseport/migrate', 'sk_reuseport', 'sk_reuseport_select_or_migrate', 'migrate', ''],
  ['netfilter', 'netfilter', 'netfilter', undefined, ''],
  ['my_own_section', 'unspec', undefined, undefined, ''],
  ['xdp_old', 'unspec', undefined, undefined, ''],
  ['syscall/x', 'unspec', undefined, 'x', ''],
  ['kprobes', 'unspec', undefined, undefined, ''],
] as const;

const open = (section: string) =>
  parseObject(assembleObject(`.section "${section}"\n.func main\nexit`)).programs.main;

for (const [section, type, attachType, attachTo, options] of SECTIONS) {
  test(`section ${section} is ${type}`, () => {
    const program = open(section);
    const shown = (program.sleepable ? 's' : '') + (program.frags ? 'f' : '');
    assert.deepEqual(
      [program.section, program.type, program.attachType, program.attachTo, shown, program.autoload],
      [section, type, attachType, attachTo, options, true],
    );
  });
}

test('a section that starts with ? is loaded only when asked for', () => {
  const { section, type, attachTo, autoload } = open('?fentry/do_unlinkat');
  assert.deepEqual(
    [section, type, attachTo, autoload],
    ['fentry/do_unlinkat', 'tracing', 'do_unlinkat', false],
  );
});

test('a section that is nearly right has a suggestion', () => {
  const meant = {
    xdp_old: 'xdp',
    kprobes: 'kprobe',
    'tcx/ingress_x': 'tcx/ingress',
    sycall: 'syscall',
    XDP: 'xdp',
    'cgroup_skb/egres': 'cgroup_skb/egress',
    'tracepont/sched/sched_switch': 'tracepoint/sched/sched_switch',
    mine: undefined,
  };
  for (const [section, similar] of Object.entries(meant))
    assert.equal(similarSection(section), similar, section);
});

test('functions of .text and static ones are no programs', () => {
  const { programs } = parseObject(
    assembleObject(
      '.func a\nexit\n.section xdp\n.func static b\nexit\n.func c\nexit\n.weak d\n.func d\nexit',
    ),
  );
  assert.deepEqual(Object.keys(programs), ['c', 'd']);
});

test('refused: two programs of one name', () => {
  const twice = '.section xdp\n.func a\nexit\n.section tc\n.func b\nexit';
  const bytes = assembleObject(twice);
  // The second name in the string table becomes the first.
  const at = Buffer.from(bytes).lastIndexOf('\0b\0');
  bytes[at + 1] = 'a'.charCodeAt(0);
  assert.throws(() => parseObject(bytes), { code: 'EEXIST', message: "two programs are called 'a'" });
});

/** The enumerators of a kernel enum by libbpf's names: `BPF_PROG_TYPE_XDP` is `xdp`. */
function kernelEnum(name: string, prefix: string): Record<string, number> {
  const btf = Btf.read(readFileSync(VMLINUX));
  const type = btf.type(btf.idOf(name, 'enum') ?? assert.fail(`no enum ${name}`));
  assert.ok(type.kind === 'enum');
  const named = type.values.filter((each) => each.name.startsWith(prefix) && !each.name.startsWith('__MAX'));
  return Object.fromEntries(named.map((each) => [each.name.slice(prefix.length).toLowerCase(), each.value]));
}

test("program types have the running kernel's numbers", { skip: noVmlinux }, () => {
  assert.deepEqual(PROGRAM_TYPES, { ...PROGRAM_TYPES, ...kernelEnum('bpf_prog_type', 'BPF_PROG_TYPE_') });
});

test("attach types have the running kernel's numbers", { skip: noVmlinux }, () => {
  assert.deepEqual(ATTACH_TYPES, { ...ATTACH_TYPES, ...kernelEnum('bpf_attach_type', 'BPF_') });
});

test('every program type but unspec has a section', () => {
  const found = new Set<string>(SECTIONS.map(([section]) => sectionRule(section)?.type ?? 'unspec'));
  const other = [
    'action',
    'perf_event',
    'cgroup/sock',
    'lwt_in',
    'lwt_out',
    'lwt_xmit',
    'lwt_seg6local',
    'sockops',
  ];
  other.push('sk_skb', 'sk_msg', 'lirc_mode2', 'flow_dissector', 'cgroup/dev', 'cgroup/sysctl');
  other.push('cgroup/getsockopt', 'sk_lookup');
  for (const section of other) found.add(sectionRule(section)?.type ?? 'none');
  assert.deepEqual([...found].sort(), Object.keys(PROGRAM_TYPES).sort());
});
