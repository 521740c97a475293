import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, embedded, open } from '../index.ts';

/**
 * Ordered loads through pointers that may lead nowhere, as plain ones do, give 0 there. (Linux 6.18 has no such protection for them,
 * and dies.)
 */

const load = (address: string, load: string) => `.license "GPL"
.extern kfunc bpf_rdonly_cast : void * (const void *obj__ign, u32 btf_id__k)
.section .data
.var value : u64 = 0x1122334455667788
.section syscall
.func f : s32 (void *ctx)
r1 = ${address} ll
r2 = 0
call bpf_rdonly_cast
${load}
r1 = 0x55667788
if r0 == r1 goto found
exit
found:
r0 = 77
exit
`;

const LOADS = ['r0 = load_acquire((u64 *)(r0 + 0))', 'w0 = load_acquire((u32 *)(r0 + 0))'];
const NOWHERE = ['4096', '0', '-1', '0xffff8880ffffffff', '0xffff8880fffffffc', '0xffff8881ffffffff'];

for (const engine of ['jit', 'interpreter'] as const)
  it(`ordered loads give 0 where nothing is, ${engine}`, async () => {
    using kernel = embedded({ engine });
    const run = async (text: string) => {
      using loaded = await (await open(assembleObject(text, 'case'))).load(kernel);
      return loaded.programs.f.run().retval;
    };
    for (const each of LOADS)
      for (const address of NOWHERE) assert.equal(await run(load(address, each)), 0, address);
    assert.equal(await run(load('value', LOADS[1])), 77);
  });
