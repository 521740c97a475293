import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadedObject, open } from '../../src/index.ts';
import { linux } from '../../src/linux/index.ts';
import { executablePath, functionOffset } from '../../src/linux/links/executable.ts';
import { type AttachTarget, attach, type Link } from '../../src/linux/links/index.ts';
import { LinuxProgram } from '../../src/linux/program.ts';
import { assembleObject } from '../../src/object/write.ts';
import { onLinux } from '../contract/kernels.ts';
import { Network, onLinuxWithNetwork, received, send } from './network.ts';
import { linksOf, resources } from './resources.ts';

/** Each way of attaching: the program runs while the link is open, and not after; and what a refused one says. */

const FILE = 'links.bpfasm';
const BYTES = assembleObject(readFileSync(new URL(FILE, import.meta.url), 'utf8'), FILE);
const PORT = 4000;

/** The programs of links.bpfasm, and how often each ran. */
class Programs implements Disposable {
  readonly #loaded: LoadedObject<{ globals: Record<string, bigint> }>;

  private constructor(loaded: LoadedObject<{ globals: Record<string, bigint> }>) {
    this.#loaded = loaded;
  }

  static async load(): Promise<Programs> {
    return new Programs(await (await open<{ globals: Record<string, bigint> }>(BYTES)).load(linux()));
  }

  program(name: string): LinuxProgram {
    const program = this.#loaded.programs[name];
    assert.ok(program instanceof LinuxProgram);
    return program;
  }

  attach(name: string, target: AttachTarget): Link {
    return attach(this.program(name), target);
  }

  /** How often the program that counts in this variable ran. */
  runs(variable: string): number {
    return Number(this.#loaded.globals[variable]);
  }

  [Symbol.dispose](): void {
    this.#loaded.close();
  }
}

/** Sends a packet from far to near and waits until it arrived, or 20 ms. */
async function deliver(from: Socket, to: string[], network: Network): Promise<void> {
  const before = to.length;
  await send(from, 'x', network.near, PORT);
  for (let i = 0; i < 20 && to.length === before; i++) await delay(1);
}

async function withNetwork(
  work: (programs: Programs, network: Network, packet: () => Promise<number>) => Promise<void>,
): Promise<void> {
  using programs = await Programs.load();
  using network = new Network();
  const [near, far] = [await network.socket(network.near, PORT), await network.socket(network.far)];
  const arrived = received(near);
  try {
    await work(programs, network, async () => {
      await deliver(far, arrived, network);
      return arrived.length;
    });
  } finally {
    near.close();
    far.close();
  }
}

onLinuxWithNetwork('links to interfaces', () => {
  for (const mode of ['generic', 'native', undefined] as const) {
    it(`xdp, ${mode ?? 'either mode'}`, async () => {
      await withNetwork(async (programs, { near }, packet) => {
        const link = programs.attach('count_xdp', { kind: 'xdp', mode, ...near });
        assert.deepEqual([await packet(), programs.runs('xdp')], [1, 1]);
        assert.equal(link.problem, undefined);
        const { id, ...info } = link.info;
        assert.ok(id > 0);
        const interfaceIndex = info.interfaceIndex ?? 0;
        assert.ok(interfaceIndex > 0);
        assert.deepEqual(info, { type: 'xdp', programId: programs.program('count_xdp').id, interfaceIndex });
        link.close();
        assert.deepEqual([await packet(), programs.runs('xdp')], [2, 1]);
      });
    });
  }

  it('what an XDP program drops does not arrive, until another takes its place', async () => {
    await withNetwork(async (programs, { near }, packet) => {
      using link = programs.attach('drop_xdp', { kind: 'xdp', ...near });
      assert.equal(await packet(), 0);
      link.update(programs.program('count_xdp'));
      assert.equal(await packet(), 1);
      assert.equal(link.info.programId, programs.program('count_xdp').id);
      assert.throws(() => link.update(programs.program('count_tc')), { code: 'EINVAL' });
    });
  });

  for (const [name, variable, direction, end] of [
    ['count_ingress', 'ingress', undefined, 'near'],
    ['count_egress', 'egress', undefined, 'far'],
    ['count_tc', 'tc', 'ingress', 'near'],
    ['count_tc', 'tc', 'egress', 'far'],
  ] as const) {
    it(`tcx, ${name} ${direction ?? 'as its section says'}`, async () => {
      await withNetwork(async (programs, network, packet) => {
        const link = programs.attach(name, { kind: 'tcx', direction, ...network[end] });
        assert.equal(link.info.type, 'tcx');
        assert.deepEqual([await packet(), programs.runs(variable)], [1, 1]);
        link.close();
        assert.deepEqual([await packet(), programs.runs(variable)], [2, 1]);
      });
    });
  }

  it('a link tells that its interface is down, and gone', async () => {
    await withNetwork(async (programs, network) => {
      const links = [
        programs.attach('count_xdp', { kind: 'xdp', ...network.near }),
        programs.attach('count_tc', { kind: 'tcx', ...network.near }),
      ];
      network.down(network.near);
      assert.deepEqual(
        links.map(({ problem }) => problem),
        Array(2).fill("interface 'near' is down"),
      );
      network.remove(network.near);
      assert.deepEqual(
        links.map(({ problem }) => problem),
        Array(2).fill("interface 'near' is gone"),
      );
      for (const link of links) link.close();
    });
  });

  it('a link that was detached tells so', async () => {
    await withNetwork(async (programs, { near }, packet) => {
      using link = programs.attach('drop_xdp', { kind: 'xdp', ...near });
      link.detach();
      assert.equal(link.problem, "it was detached from interface 'near'");
      assert.equal(await packet(), 1);
    });
  });

  it('a refused attach says why', async () => {
    await withNetwork(async (programs, { near }) => {
      using _link = programs.attach('count_xdp', { kind: 'xdp', mode: 'native', ...near });
      const refused = (name: string, target: AttachTarget, code: string, message: RegExp) =>
        assert.throws(() => programs.attach(name, target), { code, message });
      refused('drop_xdp', { kind: 'xdp', mode: 'native', ...near }, 'EBUSY', /attached there already/);
      refused('drop_xdp', { kind: 'xdp', mode: 'generic', ...near }, 'EEXIST', /already in another mode/);
      refused(
        'drop_xdp',
        { kind: 'xdp', ...near, interface: 'nowhere' },
        'ENODEV',
        /^there is no network interface 'nowhere' in this network namespace$/,
      );
      refused('drop_xdp', { kind: 'xdp', ...near, netns: 'no-such' }, 'ENOENT', /no such network namespace/);
      refused(
        'not_attachable',
        { kind: 'xdp', ...near },
        'EINVAL',
        /^program 'not_attachable' is of type syscall; what is attached as xdp is of type xdp$/,
      );
    });
  });

  // Linux waits for all CPUs whenever such a program goes: tens of milliseconds.
  for (const [name, kind, times] of [
    ['count_xdp', 'xdp', 20],
    ['count_tc', 'tcx', 20],
  ] as const) {
    it(`${kind}, ${times} times attached, refused and detached: no descriptor, thread or link is left`, async () => {
      await withNetwork(async (programs, { near }) => {
        const cycle = () => {
          using _link = programs.attach(name, { kind, ...near });
          assert.throws(() => programs.attach(name, { kind, ...near }), { code: /EEXIST|EBUSY/ });
        };
        cycle();
        const before = resources();
        for (let i = 0; i < times; i++) cycle();
        assert.deepEqual(resources(), before);
        assert.equal(linksOf(programs.program(name).id), 0);
      });
    });
  }
});

/** Spends this thread's time. */
function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

onLinux('links to the kernel itself', () => {
  for (const [name, variable, target] of [
    ['count_raw', 'raw', { kind: 'raw_tracepoint' }],
    ['count_raw', 'raw', { kind: 'raw_tracepoint', name: 'sys_exit' }],
    ['count_tp', 'tp', { kind: 'tracepoint' }],
    ['count_tp', 'tp', { kind: 'tracepoint', name: 'raw_syscalls/sys_exit' }],
    ['count_btf', 'btf', { kind: 'tracing' }],
    ['count_clock', 'clock', { kind: 'perf_event', event: 'cpu-clock', every: { hertz: 1000 }, pid: 0 }],
    ['count_clock', 'clock', { kind: 'perf_event', event: 'task-clock', every: { events: 1e6 }, pid: 0 }],
  ] as const satisfies readonly (readonly [string, string, AttachTarget])[]) {
    it(`${JSON.stringify(target)}`.replaceAll('"', ''), async () => {
      using programs = await Programs.load();
      const link = programs.attach(name, target);
      assert.ok(link.info.id > 0);
      // Reads a file: system calls, and time.
      spin(30);
      readFileSync('/proc/self/comm');
      assert.ok(programs.runs(variable) > 0);
      link.close();
      // What ran when it was detached has ended.
      await delay(10);
      const runs = programs.runs(variable);
      spin(10);
      readFileSync('/proc/self/comm');
      assert.equal(programs.runs(variable), runs);
    });
  }

  for (const [target, name, code, message] of [
    [
      { kind: 'raw_tracepoint', name: 'no_such' },
      'count_raw',
      'ENOENT',
      /this kernel has no such tracepoint/,
    ],
    [{ kind: 'tracepoint', name: 'sched/no_such' }, 'count_tp', 'ENOENT', /no tracepoint 'sched\/no_such'/],
    [{ kind: 'tracepoint', name: 'sched_switch' }, 'count_tp', 'EINVAL', /write category\/name/],
    [
      { kind: 'perf_event', event: 'cpu-clock', every: { events: 1e6 } },
      'count_clock',
      'EINVAL',
      /say on which CPU, or in which thread/,
    ],
    [{ kind: 'cgroup', path: '/no/such' }, 'count_received', 'ENOENT', /there is no such cgroup/],
    [{ kind: 'cgroup', path: '/tmp' }, 'count_received', 'EBADF', /no cgroup of version 2/],
    [{ kind: 'cgroup', path: '/tmp' }, 'count_skb', 'EINVAL', /give a direction/],
  ] as const satisfies readonly (readonly [AttachTarget, string, string, RegExp])[]) {
    it(`refused: ${JSON.stringify(target)}`.replaceAll('"', ''), async () => {
      using programs = await Programs.load();
      assert.throws(() => programs.attach(name, target), { code, message });
    });
  }
});

onLinux('links to functions of this process', () => {
  const skip = !existsSync('/sys/bus/event_source/devices/uprobe') && 'not run: this kernel has no uprobes';
  for (const target of [
    { kind: 'uprobe' },
    { kind: 'uprobe', pid: 0 },
    { kind: 'uprobe', binary: 'libc.so.6', function: 'getuid', pid: 0 },
    { kind: 'uprobe', pid: 0, returns: true },
  ] as const satisfies readonly AttachTarget[]) {
    it(`${JSON.stringify(target)}`.replaceAll('"', ''), { skip }, async () => {
      using programs = await Programs.load();
      const link = programs.attach('count_probe', target);
      assert.equal(link.info.type, 'perf_event');
      for (let i = 0; i < 5; i++) process.getuid?.();
      assert.ok(programs.runs('probe') >= 5);
      link.close();
      const runs = programs.runs('probe');
      process.getuid?.();
      assert.equal(programs.runs('probe'), runs);
    });
  }

  it('a uretprobe sees what its function returns', {
    skip: skip || (process.arch !== 'x64' && 'not run: the program knows registers of x86-64'),
  }, async () => {
    using programs = await Programs.load();
    using link = programs.attach('keep_result', { kind: 'uprobe', pid: 0 });
    const uid = process.getuid?.() ?? 0;
    assert.match(link.where, /^uretprobe '\/.*libc\.so\.6:getuid', process \d+$/);
    assert.equal(programs.runs('result'), uid + 1);
  });

  it('a place in a file may be given by its offset', { skip }, async () => {
    const binary = executablePath('libc.so.6');
    using programs = await Programs.load();
    using _ = programs.attach('count_probe', {
      kind: 'uprobe',
      binary,
      offset: functionOffset(binary, 'getuid'),
      pid: 0,
    });
    process.getuid?.();
    assert.ok(programs.runs('probe') > 0);
  });

  for (const [target, code, message] of [
    [{ kind: 'uprobe', function: 'no_such' }, 'ENOENT', /libc\.so\.6' has no function 'no_such'/],
    [{ kind: 'uprobe', binary: 'no_such.so' }, 'ENOENT', /is in none of the usual folders/],
    [{ kind: 'uprobe', binary: '/no/such' }, 'ENOENT', /'\/no\/such' cannot be read/],
    [{ kind: 'uprobe', binary: '/etc/passwd', function: 'f' }, undefined, /no little-endian ELF file/],
    [{ kind: 'kprobe', function: 'bpf_arena_no_such' }, 'ENOENT', /no kprobes|no such event or function/],
  ] as const satisfies readonly (readonly [AttachTarget, string | undefined, RegExp])[]) {
    it(`refused: ${JSON.stringify(target)}`.replaceAll('"', ''), { skip }, async () => {
      using programs = await Programs.load();
      assert.throws(() => programs.attach('count_probe', target), { ...(code && { code }), message });
    });
  }
});

/** A cgroup for one test, below the root of version 2. */
class Cgroup implements Disposable {
  readonly path: string;

  constructor(root: string) {
    this.path = `${root}/bpf-arena-${process.pid}`;
    mkdirSync(this.path);
  }

  /** Has a process of this cgroup send a packet to itself, in a namespace. */
  packet({ netns, address }: Network['near']): void {
    const script = `echo $$ > ${this.path}/cgroup.procs && exec ip netns exec ${netns} bash -c 'echo x > /dev/udp/${address}/${PORT}'`;
    const { status, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  }

  remove(): void {
    // Its process has just ended: the kernel may not have noticed.
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(this.path);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT') return;
        if (tries > 1000) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

/** Where cgroups of version 2 are mounted. */
function cgroupRoot(): string | undefined {
  const mounts = existsSync('/proc/mounts') ? readFileSync('/proc/mounts', 'latin1') : '';
  return /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
}

const CGROUPS = cgroupRoot();

onLinuxWithNetwork('links to cgroups', () => {
  const skip = CGROUPS === undefined && 'not run: cgroups of version 2 are mounted nowhere';
  for (const [name, variable, direction] of [
    ['count_sent', 'sent', undefined],
    ['count_skb', 'skb', 'egress'],
  ] as const) {
    it(`cgroup, ${name} ${direction ?? 'as its section says'}`, { skip }, async () => {
      using programs = await Programs.load();
      using network = new Network();
      using cgroup = new Cgroup(CGROUPS as string);
      const link = programs.attach(name, { kind: 'cgroup', path: cgroup.path, direction });
      cgroup.packet(network.far);
      assert.ok(programs.runs(variable) > 0);
      assert.equal(link.problem, undefined);
      link.close();
      const runs = programs.runs(variable);
      cgroup.packet(network.far);
      assert.equal(programs.runs(variable), runs);
    });
  }

  it('a link tells that its cgroup is gone', { skip }, async () => {
    using programs = await Programs.load();
    const cgroup = new Cgroup(CGROUPS as string);
    using link = programs.attach('count_received', { kind: 'cgroup', path: cgroup.path });
    assert.equal(link.problem, undefined);
    cgroup.remove();
    while (link.problem === undefined) await delay(1);
    assert.equal(link.problem, `cgroup '${cgroup.path}' is gone`);
  });
});
