import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, embedded, open } from '../index.ts';

// WebAssembly traps at a misaligned atomic, and no program may die of that.
it('an atomic that reaches a map value on one path, and what its function was handed on another, may be misaligned', async () => {
  const text = `.license "GPL"
.types "struct word { long long value; };"
.map values, type=array, key_size=4, value_size=16, max_entries=1
.section tc
.func f : s32 (struct __sk_buff *skb)
*(u32 *)(r10 - 4) = 0
r2 = r10
r2 += -4
r1 = values ll
call 1
if r0 == 0 goto out
r1 = r0
r1 += 3
r2 = 1
call g
out: exit
.section .text
.func g : s32 (struct word *handed, u64 which)
if r1 == 0 goto none
r7 = r1
r6 = r2
*(u32 *)(r10 - 4) = 0
r2 = r10
r2 += -4
r1 = values ll
call 1
if r0 == 0 goto none
if r6 == 0 goto own
goto add
own: r7 = r0
add: r2 = 5
lock *(u64 *)(r7 + 0) += r2
r0 = *(u64 *)(r7 + 0)
exit
none: r0 = 0
exit`;
  for (const engine of ['jit', 'interpreter'] as const) {
    using kernel = embedded({ engine });
    using loaded = await (await open(assembleObject(text))).load(kernel);
    assert.equal(loaded.programs.f.run({ data: new Uint8Array(64) }).retval, 5);
  }
});
