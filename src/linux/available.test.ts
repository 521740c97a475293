import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onLinux } from '../../test/contract/kernels.ts';

/** Where Linux cannot be used, one sentence says why, and everything else works as ever. Each case is a process. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LIST = ['programs/arena_list.bpf.o', 'arena_list_add'];
const folder = mkdtempSync(`${tmpdir()}/bpf-arena-`);
after(() => rmSync(folder, { recursive: true }));

/** Scripts that run before ours, and take something away. */
const WITHOUT = {
  koffi: `
    const { Module } = require('node:module');
    const resolve = Module._resolveFilename;
    Module._resolveFilename = function (request, ...rest) {
      if (request === 'koffi') throw new Error("Cannot find module 'koffi'");
      return resolve.call(this, request, ...rest);
    };`,
  Linux: "Object.defineProperty(process, 'platform', { value: 'plan9' });",
  'an architecture we know': "Object.defineProperty(process, 'arch', { value: 'riscv64' });",
} as const;

type Lacking = keyof typeof WITHOUT | 'root';

/**
 * What runs a command as nobody (util-linux). Reading is left to it: a clone, and the Node in it, may lie where only root may look.
 */
const AS_NOBODY = [
  'setpriv',
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  ...['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all,+dac_read_search`),
];

const REASONS: Readonly<Record<Lacking, string>> = {
  koffi: "the package koffi cannot be loaded (npm install koffi): Cannot find module 'koffi'",
  Linux: 'this is plan9, not Linux',
  'an architecture we know': 'riscv64 is not supported; x64 and arm64 are',
  root: 'this process has neither root nor CAP_BPF (kernel.unprivileged_bpf_disabled is N)',
};

/** Node on these arguments, with that taken from it. */
function commandWithout(what: Lacking, args: readonly string[]): string[] {
  if (what === 'root') return [...AS_NOBODY, process.execPath, ...args];
  const path = `${folder}/${what.replaceAll(' ', '-')}.cjs`;
  writeFileSync(path, WITHOUT[what]);
  return [process.execPath, '--require', path, ...args];
}

function without(what: Lacking, ...args: string[]) {
  const [file, ...rest] = commandWithout(what, args);
  const env = { ...process.env, NODE_PATH: `${ROOT}/node_modules`, NO_COLOR: '1' };
  const child = spawnSync(file, rest, { cwd: ROOT, encoding: 'utf8', env });
  const { status, stdout } = child;
  return { status, stdout, stderr: child.stderr.replace(/disabled is \d/, 'disabled is N') };
}

/** Everything of this room that makes a system call, and what it throws. */
const CALLS = `
  const { idsOf, linux, linuxFeatures, openMapById, openMapPinned } = await import('./src/linux/index.ts');
  const calls = [() => linux(), () => linuxFeatures(), () => openMapById(1), () => openMapPinned('/x'), () => [...idsOf('map')]];
  for (const call of calls) try { console.log(call()); } catch (error) { console.log(error.name, error.code, error.message); }`;

function declare(what: Lacking): void {
  const sentence = `the Linux kernel cannot be used: ${REASONS[what]}`;

  const commands = [
    ['run', ...LIST],
    ...(what === 'koffi'
      ? [
          ['verify', LIST[0]],
          ['test', LIST[0]],
        ]
      : []),
    ['features'],
  ];
  for (const command of commands) {
    it(`${command[0]} --kernel linux: one line, exit status 1`, () => {
      const { status, stdout, stderr } = without(what, 'bin/bpf-arena.js', ...command, '--kernel', 'linux');
      assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
      assert.equal(stderr, `bpf-arena: ${sentence}; the embedded kernel does without [EOPNOTSUPP]\n`);
    });
  }

  it('the embedded kernel works', () => {
    const { status, stdout } = without(what, 'bin/bpf-arena.js', 'run', ...LIST, '--json');
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).retval, 0);
  });

  if (what === 'root') return;
  it('every call of the API throws EOPNOTSUPP with the sentence', () => {
    const { stdout, stderr } = without(what, '--input-type=module', '--eval', CALLS);
    assert.equal(stderr, '');
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, 5);
    for (const line of lines) assert.ok(line.startsWith(`BpfError EOPNOTSUPP ${sentence}`), line);
  });
}

for (const what of ['koffi', 'Linux', 'an architecture we know'] as const)
  describe(`without ${what}`, () => declare(what));

if (process.getuid?.() === 0) onLinux('without root', () => declare('root'));
else
  describe('without root', () =>
    it('is how these tests run', { skip: 'not run: this is not root' }, () => {}));
