import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, embedded, open } from '../../index.ts';

// Programs look known indexes of arrays up without a check: page 0 of kernel memory would be theirs where there is none.
it('a per-CPU array with fewer elements than described is put into no map', async () => {
  const text = `.license "GPL"
.map like, type=percpu_array, key_size=4, value_size=8, max_entries=8
.map outer, type=array_of_maps, key_size=4, value_size=4, max_entries=1, inner=like
.map small, type=percpu_array, key_size=4, value_size=8, max_entries=5
.section tc
.func f : s32 (struct __sk_buff *skb)
*(u32 *)(r10 - 4) = 0
r1 = outer ll
r2 = r10
r2 += -4
call 1
if r0 == 0 goto out
r1 = r0
*(u32 *)(r10 - 8) = 5
r2 = r10
r2 += -8
call 1
*(u64 *)(r0 + 0) = 1
r0 = 7
out: exit`;
  using kernel = embedded();
  using loaded = await (await open(assembleObject(text))).load(kernel);
  const { like, outer, small } = loaded.maps;
  const first = new Uint8Array(4);
  const put = (handle: number) => outer.update(first, new Uint8Array(Uint32Array.of(handle).buffer));
  const run = () => loaded.programs.f.run({ data: new Uint8Array(64) }).retval;
  put(like.handle);
  assert.equal(run(), 7);
  assert.throws(() => put(small.handle), { code: 'EINVAL' });
  outer.delete(first);
  assert.equal(run(), 0);
});
