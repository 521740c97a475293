import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleObject, embedded, type LoadedObject, open } from '../index.ts';

/** User space that is told something in the middle of a run, and does what it had better not do there. */

const OBJECT = `.license "GPL"
.map records, type=ringbuf, max_entries=4096
.map numbers, type=hash, key_size=4, value_size=8, max_entries=4
.section .rodata
.var text : char[3] = 104, 105, 0
.section syscall
.func speaks : s32 (void *ctx)
r1 = records ll
r2 = 8
r3 = 0
call bpf_ringbuf_reserve
if r0 == 0 goto none
r6 = r0
*(u64 *)(r6 + 0) = 41
r1 = text ll
r2 = 3
call bpf_trace_printk
*(u64 *)(r6 + 0) = 42
r1 = r6
r2 = 0
call bpf_ringbuf_submit
*(u32 *)(r10 - 4) = 1
*(u64 *)(r10 - 16) = 7
r1 = numbers ll
r2 = r10
r2 += -4
r3 = r10
r3 += -16
r4 = 0
call bpf_map_update_elem
r1 = numbers ll
r2 = r10
r2 += -4
call bpf_map_lookup_elem
if r0 == 0 goto none
r0 = *(u64 *)(r0 + 0)
exit
none: r0 = 1
exit
`;

for (const engine of ['jit', 'interpreter'] as const)
  describe(`a listener to what programs print, ${engine}`, () => {
    const loadWith = async (listen: (loaded: LoadedObject) => void) => {
      const told: { loaded?: LoadedObject } = {};
      const kernel = embedded({ engine, onTrace: () => told.loaded && listen(told.loaded) });
      const loaded = await (await open(assembleObject(OBJECT))).load(kernel);
      told.loaded = loaded;
      return { kernel, loaded };
    };

    it('that throws ends no run in the middle: what was reserved is sent', async () => {
      const { kernel, loaded } = await loadWith(() => {
        throw new TypeError('not now');
      });
      using _ = kernel;
      assert.throws(() => loaded.programs.speaks.run(), { name: 'TypeError', message: 'not now' });
      using call = loaded.programs.speaks.prepare();
      assert.throws(() => call.run(), { message: 'not now' });
      using reader = loaded.maps.records.reader();
      const first = (record: Uint8Array | undefined) => record?.[0];
      assert.deepEqual([first(reader.take()), first(reader.take()), reader.take()], [42, 42, undefined]);
    });

    it('that closes everything takes nothing away from what runs', async () => {
      for (const what of ['object', 'maps', 'kernel'] as const) {
        const { kernel, loaded } = await loadWith((each) => {
          if (what === 'object') each.close();
          else if (what === 'kernel') kernel.close();
          else for (const map of Object.values(each.maps)) map.close();
        });
        assert.equal(loaded.programs.speaks.run().retval, 7, what);
        kernel.close();
      }
    });

    it('that runs a program is told that one runs', async () => {
      const { kernel, loaded } = await loadWith((each) => each.programs.speaks.run());
      using _ = kernel;
      assert.throws(() => loaded.programs.speaks.run(), { code: 'EBUSY' });
    });
  });
