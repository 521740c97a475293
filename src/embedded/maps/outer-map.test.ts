import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, embedded, open } from '../../index.ts';
import { EmbeddedKernel } from '../kernel.ts';

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

for (const engine of ['jit', 'interpreter'] as const)
  it(`pages of an arena that a program only found have their user address, on the ${engine}`, async () => {
    const text = `.license "GPL"
.map arena, type=arena, max_entries=4, map_flags=0x400, map_extra=0x700000002000
.map outer, type=array_of_maps, key_size=4, value_size=4, max_entries=1, inner=arena
.extern kfunc bpf_arena_alloc_pages : void __arena * (void *map, void __arena *addr, u32 pages, s32 node, u64 flags)
.section syscall
.func f : s32 (void *ctx)
r6 = r1
*(u32 *)(r10 - 4) = 0
r1 = outer ll
r2 = r10
r2 += -4
call 1
if r0 == 0 goto out
r1 = r0
r2 = 0
r3 = 1
r4 = -1
r5 = 0
call bpf_arena_alloc_pages
*(u64 *)(r6 + 0) = r0
out: r0 = 0
exit`;
    using kernel = new EmbeddedKernel({ engine });
    using loaded = await (await open(assembleObject(text))).load(kernel);
    const { arena, outer } = loaded.maps;
    const pageOf = (handle: number) => {
      outer.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(handle).buffer));
      const { ctxOut } = loaded.programs.f.run({ ctx: new Uint8Array(8) });
      return new BigUint64Array((ctxOut as Uint8Array<ArrayBuffer>).buffer)[0];
    };
    assert.equal(pageOf(arena.handle), 0x7000_0000_2000n);
    const { type, keySize, valueSize, maxEntries, flags } = arena;
    const other = kernel.createMap({ name: 'x', type, keySize, valueSize, maxEntries, flags, mapExtra: 0n });
    assert.equal(pageOf(other.handle), 0n, 'nobody has mapped it');
  });
