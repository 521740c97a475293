import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { onLinux } from '../../test/contract/kernels.ts';
import type { BpfError } from '../errors.ts';
import { assembleObject, open } from '../index.ts';
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
  it(`after ${CYCLES} times load, run and close`, async () => {
    const object = await open(OBJECT, { name: MARK });
    object.programs.bad.autoload = false;
    using kernel = linux();
    const before = held();
    assert.deepEqual(before.programs, 0);
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      using loaded = await object.load(kernel);
      assert.equal(loaded.programs[`p${MARK}`].run().retval, 5);
      assert.equal(loaded.globals.seen, 5n);
      if (cycle === 0)
        assert.deepEqual([countOurs('prog'), countOurs('map')], [1, 3], 'what is counted is there');
    }
    assert.deepEqual(await settled(before), before);
  });

  it('when a program is refused after maps and others were made', async () => {
    const object = await open(OBJECT, { name: MARK });
    using kernel = linux();
    const before = held();
    for (let cycle = 0; cycle < 20; cycle++) await assert.rejects(object.load(kernel), { code: 'EACCES' });
    assert.deepEqual(await settled(before), before);
  });

  it('views that are held over the close throw, and touch nothing', async () => {
    const object = await open(OBJECT, { name: MARK });
    object.programs.bad.autoload = false;
    using kernel = linux();
    const loaded = await object.load(kernel);
    const { arena } = loaded;
    assert.ok(arena);
    const { bytes, memory } = arena;
    const { view } = memory;
    kernel.close();
    assert.equal(bytes.length, 0);
    assert.equal(bytes[0], undefined);
    assert.throws(() => view.getUint8(0), TypeError);
    assert.throws(() => loaded.globals.shared, { code: 'EBADF' });
  });
});
