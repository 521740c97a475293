import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/**
 * The kernel's own BPF selftests as objects: Debian's package of kernel sources, installed beforehand, is unpacked to a
 * folder for temporary files, and each program file compiled there with clang as the selftests' Makefile does. Nothing of
 * them is kept in this repository.
 */

const ARCHIVE = '/usr/src/linux-source-6.12.tar.xz';
const WORK = join(tmpdir(), 'bpf-arena-selftests');
const ROOT = join(WORK, 'linux-source-6.12');
const SELFTESTS = join(ROOT, 'tools/testing/selftests/bpf');
const PROGRAMS = join(SELFTESTS, 'progs');
const OBJECTS = join(WORK, 'objects');
const INCLUDE = join(WORK, 'include');
const CLANG = 'clang-22';

/** What of the archive is needed. */
const WANTED = [
  'tools/testing/selftests/bpf',
  'tools/lib/bpf',
  'tools/include',
  'scripts/bpf_doc.py',
  'include/uapi/linux/bpf.h',
];

const FLAGS = [
  ...['-O2', '-g', '-target', 'bpf', '-mcpu=v4', '-Wno-everything', '-D__TARGET_ARCH_x86'],
  // The kernel's types come with prototypes of its kfuncs, newer than those that the selftests declare.
  '-DBPF_NO_KFUNC_PROTOTYPES',
  ...[INCLUDE, join(INCLUDE, 'bpf'), SELFTESTS, PROGRAMS, join(ROOT, 'tools/include/uapi')].flatMap(
    (folder) => ['-I', folder],
  ),
  ...['-idirafter', '/usr/include/x86_64-linux-gnu'],
];

function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    maxBuffer: 2 ** 28,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr ?? error}`);
  return stdout;
}

/** Why the selftests cannot be had, or undefined. */
export function missing(): string | undefined {
  if (!existsSync(INCLUDE) && !existsSync(ARCHIVE))
    return 'the kernel sources are missing: apt-get install linux-source-6.12';
  if (spawnSync(CLANG, ['--version']).status !== 0)
    return `${CLANG} is missing: apt-get install clang-22 llvm-22`;
  return undefined;
}

/** Unpacks the sources and makes the headers that libbpf's build would, once. */
export function unpack(): void {
  if (existsSync(OBJECTS)) return;
  console.error('unpacking the kernel sources');
  mkdirSync(WORK, { recursive: true });
  run('tar', ['xf', ARCHIVE, ...WANTED.map((path) => `linux-source-6.12/${path}`)], WORK);
  const bpf = join(INCLUDE, 'bpf');
  mkdirSync(bpf, { recursive: true });
  for (const name of readdirSync(join(ROOT, 'tools/lib/bpf')).filter((each) => each.endsWith('.h')))
    cpSync(join(ROOT, 'tools/lib/bpf', name), join(bpf, name));
  const uapi = join(ROOT, 'include/uapi/linux/bpf.h');
  const helpers = run('python3', [join(ROOT, 'scripts/bpf_doc.py'), '--header', '--file', uapi]);
  writeFileSync(join(bpf, 'bpf_helper_defs.h'), helpers);
  const cli = new URL('../../bin/bpf-arena.js', import.meta.url).pathname;
  writeFileSync(join(INCLUDE, 'vmlinux.h'), run(process.execPath, [cli, 'btf', '/sys/kernel/btf/vmlinux']));
  mkdirSync(OBJECTS);
}

/** Names of the program files that begin with one of the prefixes; all without one. */
export function sourcesWith(prefixes: readonly string[]): string[] {
  return readdirSync(PROGRAMS)
    .filter((name) => name.endsWith('.c'))
    .filter((name) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)))
    .sort();
}

/** @returns the object's path, compiled once, or undefined where clang refuses the source. */
export function compile(name: string): string | undefined {
  const object = join(OBJECTS, `${basename(name, '.c')}.o`);
  if (existsSync(object)) return object;
  const { status } = spawnSync(CLANG, [...FLAGS, '-c', join(PROGRAMS, name), '-o', object]);
  return status === 0 ? object : undefined;
}
