import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { it } from 'node:test';
import { onLinux } from '../../test/contract/kernels.ts';
import type { BpfError } from '../errors.ts';
import { assembleObject, type LoadedObject, type OpenedObject, open, toPlain } from '../index.ts';
import type { LinuxArena } from './arena.ts';
import { idsOf, infoOf, openById } from './bpf.ts';
import { linux } from './index.ts';

/** What a load took from Linux it gives back: also when it fails, and while views of its memory are still held. */

const CYCLES = 2000;

/** In the names of our maps and programs: other tests load theirs at the same time. */
const MARK = `${process.pid}`;

const OBJECT = assembleObject(
  `.license "GPL"
.map a${MARK}, type=arena, max_entries=16, map_flags=0x400
.map c${MARK}, type=hash, key=u32, value=u64, max_entries=4
.section .addr_space.1
.var shared : u64 = 5
.bss
.var seen : u64
.section syscall
.func p${MARK} : s32 (void *ctx)
        r1 = shared ll
        r1 = addr_space_cast(r1, 0, 1)
        r0 = *(u64 *)(r1 + 0)
        r2 = seen ll
        *(u64 *)(r2 + 0) = r0
        exit
.func bad : s32 (void *ctx)
        r0 = *(u64 *)(r2 + 0)
        exit
`,
  'lifetime.bpfasm',
);

/** Arenas where the kernel puts them, and at map_extra; each with and without BPF_F_SEGV_ON_FAULT. */
const KINDS = [
  { flags: 0x400, mapExtra: 0n },
  { flags: 0x400, mapExtra: 0x4000_0000_0000n },
  { flags: 0x2_0400, mapExtra: 0n },
  { flags: 0x2_0400, mapExtra: 0x4000_0000_0000n },
];

async function openKind(kind: (typeof KINDS)[number], refused = false): Promise<OpenedObject> {
  const object = await open(OBJECT, { name: MARK });
  object.programs.bad.autoload = refused;
  Object.assign(object.maps[`a${MARK}`], kind);
  return object;
}

/** How many programs or maps there are whose name has our mark. */
function countOurs(kind: 'prog' | 'map'): number {
  let count = 0;
  for (const id of idsOf(kind)) {
    try {
      const fd = openById(kind, id);
      if (infoOf(kind, fd.number).name.includes(MARK)) count++;
      fd.close();
    } catch (error) {
      // Somebody else's, which is gone by now.
      assert.equal((error as BpfError).code, 'ENOENT');
    }
  }
  return count;
}

/** Mappings are those of BPF maps: the JavaScript heap's come and go. */
function held() {
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'latin1')
      .split('\n')
      .filter((line) => line.includes('anon_inode:bpf-map')).length,
    programs: countOurs('prog'),
    maps: countOurs('map'),
  };
}

/** Linux frees what was closed after a grace period. */
async function settled(before: ReturnType<typeof held>): Promise<ReturnType<typeof held>> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (JSON.stringify(held()) === JSON.stringify(before)) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return held();
}

onLinux('what a load takes it gives back', () => {
  it(`after ${CYCLES} times load, run and close, of arenas of each kind, every tenth refused`, async () => {
    const objects = await Promise.all(KINDS.map((kind) => openKind(kind)));
    const refused = await Promise.all(KINDS.map((kind) => openKind(kind, true)));
    using kernel = linux();
    const before = held();
    assert.deepEqual(before.programs, 0);
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      if (cycle % 10 === 9)
        await assert.rejects(refused[cycle % KINDS.length].load(kernel), { code: 'EACCES' });
      using loaded = await objects[cycle % KINDS.length].load(kernel);
      assert.equal(loaded.programs[`p${MARK}`].run().retval, 5);
      assert.equal(loaded.globals.seen, 5n);
      if (cycle === 0)
        assert.deepEqual([countOurs('prog'), countOurs('map')], [1, 3], 'what is counted is there');
    }
    assert.deepEqual(await settled(before), before);
  });

  for (const kind of KINDS) {
    it(`views that are held over the close throw, and touch nothing (map_flags 0x${kind.flags.toString(16)}, map_extra 0x${kind.mapExtra.toString(16)})`, async () => {
      const object = await openKind(kind);
      using kernel = linux();
      const loaded = await object.load(kernel);
      const { arena } = loaded;
      assert.ok(arena);
      const { view } = arena.memory;
      const bytes = (kind.flags & 0x2_0000) === 0 ? arena.bytes : undefined;
      kernel.close();
      assert.throws(() => view.getUint8(0), { name: bytes ? 'TypeError' : 'BpfError' });
      assert.throws(() => loaded.globals.shared, { code: 'EBADF' });
      assert.throws(() => arena.bytes, { code: 'EBADF' });
      if (bytes === undefined) return;
      assert.deepEqual([bytes.length, bytes[0], bytes.buffer.byteLength], [0, undefined, 0]);
    });
  }

  it('of each type', async () => {
    const object = await open(new URL('../../programs/arena_globals.bpf.o', import.meta.url));
    using kernel = linux();
    const loaded: LoadedObject = await object.load(kernel);
    const { globals } = loaded;
    const { arena_item: struct, arena_array: array } = globals;
    const { name: text } = struct;
    const { typed } = array;
    assert.ok(typed.byteLength > 0);
    loaded.close();
    const touches = {
      field: () => struct.weight,
      'field, written': () => Object.assign(struct, { weight: 1 }),
      element: () => array.at(0),
      'element by index': () => array[0],
      'element, written': () => array.set(0, 1),
      iteration: () => [...array],
      subarray: () => array.subarray(1).at(0),
      text: () => text.string,
      'text, written': () => Object.assign(text, { string: 'x' }),
      'typed array': () => array.typed,
      plain: () => toPlain(struct),
      variable: () => globals.arena_u64,
      'variable, written': () => Object.assign(globals, { arena_u64: 1n }),
      touch: () => loaded.arena?.touch(loaded.arena.userVmStart, 1),
      read: () => (loaded.arena as LinuxArena).read(0, 1),
      write: () => (loaded.arena as LinuxArena).write(0, new Uint8Array(1)),
      'state of a page': () => loaded.arena?.pageState(0),
    };
    for (const [what, touch] of Object.entries(touches)) assert.throws(touch, { code: 'EBADF' }, what);
    assert.equal(typed.byteLength, 0);
  });
});

onLinux('signals', () => {
  it('do not keep a program from being loaded: a profiler sends them all the time', () => {
    const folder = mkdtempSync(`${tmpdir()}/bpf-arena-`);
    const script = `
      const { open } = await import('${new URL('../index.ts', import.meta.url)}');
      const { linux } = await import('${new URL('index.ts', import.meta.url)}');
      const object = await open('${new URL('../../programs/arena_htab.bpf.o', import.meta.url).pathname}');
      for (let i = 0; i < 10; i++) (await object.load(linux())).close();`;
    const profiler = ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${folder}`];
    const args = [...profiler, '--input-type=module', '--eval', script];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    assert.deepEqual([child.stderr, child.status], ['', 0]);
  });
});
