import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, rawContext, rawRunOptions } from '../../src/bytes.ts';
import { assembleObject, BpfError, type Bytes, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

const SEVEN = Uint32Array.of(7);
/** The number 7 in 32 bits, in all shapes of bytes. */
const shapes: Record<string, Bytes> = {
  Uint8Array: Uint8Array.of(7, 0, 0, 0),
  Uint32Array: SEVEN,
  DataView: new DataView(SEVEN.buffer),
  ArrayBuffer: SEVEN.buffer,
  Buffer: Buffer.from([1, 7, 0, 0, 0, 2]).subarray(1, 5),
};

describe('bytes', () => {
  it('are the same memory in all shapes, and no Buffer, whose slice is no copy', () => {
    for (const [name, shape] of Object.entries(shapes)) {
      const bytes = bytesOf(shape, 'a context');
      assert.deepEqual([bytes.constructor, ...bytes], [Uint8Array, 7, 0, 0, 0], name);
    }
  });

  it('are no text, number or array, and the error says what to pass', () => {
    for (const [given, advice] of [
      ['x', /not text: new TextEncoder/],
      [7, /Uint32Array\.of\(7\)/],
      [7n, /BigUint64Array\.of\(7n\)/],
      [[1], /Uint32Array\.from\(array\)/],
      [null, /not null/],
      [{}, /not an object/],
    ] as const) {
      const refused = { name: BpfError.name, code: 'EINVAL', message: advice };
      assert.throws(() => bytesOf(given as unknown as Bytes, 'a key'), refused);
      assert.throws(
        () => rawRunOptions('p', { data: given as unknown as Bytes }),
        /^.*'p': a packet is bytes/,
      );
      assert.throws(() => rawContext('p', given as unknown as Bytes), /'p': a context is bytes/);
    }
  });
});

const TEXT = `
.license "GPL"
.map m, type=hash, key_size=4, value_size=4, max_entries=4
.section syscall
.func first : s32 (void *ctx)
        r0 = *(u32 *)(r1 + 0)
        exit
`;

onBothKernels('bytes in all shapes', (contract) => {
  it('are contexts, keys and values', async () => {
    using kernel = contract.open();
    using loaded = await (await open(assembleObject(TEXT, 'bytes.bpfasm'))).load(kernel);
    const { first } = loaded.programs;
    const { m } = loaded.maps;
    for (const [shape, bytes] of Object.entries(shapes)) {
      assert.equal(first.run({ ctx: bytes }).retval, 7, shape);
      assert.equal((await first.runOn(0, { ctx: bytes })).retval, 7, shape);
      using prepared = first.prepare({ ctx: bytes });
      assert.equal(prepared.run(), 7, shape);
      m.update(bytes, bytes);
      assert.deepEqual([...(m.lookup(bytes) ?? [])], [7, 0, 0, 0], shape);
      assert.equal(m.delete(bytes), true, shape);
    }
    const refused = { code: 'EINVAL', message: /^map 'm': a key is bytes/ };
    assert.throws(() => m.lookup([7, 0, 0, 0] as unknown as Bytes), refused);
  });
});
