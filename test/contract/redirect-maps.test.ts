import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, open } from '../../src/index.ts';
import { type ContractKernel, onAllEngines, outcome } from './kernels.ts';

/** Maps of interfaces, CPUs and sockets, and what bpf_redirect_map answers, in test runs of both kernels. Interface 1 is the loopback. */

/** Redirects by the key in the packet's first 8 bytes, with the flags in the next. */
const REDIRECT = `
        r7 = *(u32 *)(r1 + 0)
        r8 = *(u32 *)(r1 + 4)
        r2 = r7
        r2 += 16
        if r2 > r8 goto none
        r2 = *(u64 *)(r7 + 0)
        r3 = *(u64 *)(r7 + 8)
        r1 = targets ll
        call bpf_redirect_map
        exit
none:   r0 = 99
        exit`;
/** Gives the first word of element 1. */
const LOOKUP = `
        r1 = 1
        *(u32 *)(r10 - 4) = r1
        r2 = r10
        r2 += -4
        r1 = targets ll
        call bpf_map_lookup_elem
        if r0 == 0 goto none
        r0 = *(u32 *)(r0 + 0)
        exit
none:   r0 = 99
        exit`;

const BROADCAST = 8n;
const EXCLUDE_INGRESS = 16n;
const [PASS, REDIRECTED] = [2, 4];

const bytes = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);

async function load(kernel: ContractKernel, type: string, valueSize: number, body = REDIRECT) {
  const map = `.map targets, type=${type}, key_size=4, value_size=${valueSize}, max_entries=4`;
  const text = `.license "GPL"\n${map}\n.section xdp\n.func f : s32 (void *ctx)${body}\n`;
  const loaded = await (await open(assembleObject(text, 'redirect.bpfasm'))).load(kernel.open());
  const run = (key: bigint | number, flags: bigint | number): number => {
    const data = new Uint8Array(64);
    data.set(new Uint8Array(BigUint64Array.of(BigInt(key), BigInt(flags)).buffer));
    return loaded.programs.f.run({ data }).retval;
  };
  const value = (word: number) => bytes(word, ...(valueSize > 4 ? [0] : []));
  const set = (key: number, word: number, flags = 0) =>
    outcome(() => targets.update(bytes(key), value(word), flags));
  const targets = loaded.maps.targets;
  return { map: targets, run, set, value, [Symbol.dispose]: () => loaded.close() };
}

const MAPS = [
  ['devmap', 4],
  ['devmap', 8],
  ['devmap_hash', 8],
  ['cpumap', 4],
  ['xskmap', 4],
] as const;

onAllEngines('redirecting by maps', (kernel) => {
  for (const [type, valueSize] of MAPS) {
    it(`a ${type} with values of ${valueSize} bytes gives the verdict in the flags where nothing is`, async () => {
      using redirect = await load(kernel, type, valueSize);
      assert.deepEqual(
        [0, 1, 2, 3, 4, 5, 32, 1n << 32n, -1n & ((1n << 64n) - 1n)].map((flags) => redirect.run(0, flags)),
        [0, 1, 2, 3, 0, 0, 0, 0, 0],
      );
      assert.deepEqual([redirect.run(4, PASS), redirect.run((1n << 64n) - 1n, PASS)], [PASS, PASS]);
      const toMany = type.startsWith('devmap') ? REDIRECTED : 0;
      assert.deepEqual([redirect.run(0, BROADCAST), redirect.run(0, EXCLUDE_INGRESS)], [toMany, 0]);
    });
  }

  for (const [type, valueSize] of MAPS.slice(0, -1)) {
    it(`a ${type} with values of ${valueSize} bytes leads where an element is`, async () => {
      using redirect = await load(kernel, type, valueSize);
      assert.equal(redirect.set(0, 1), 'ok');
      assert.deepEqual([redirect.run(0, PASS), redirect.run(1, PASS)], [REDIRECTED, PASS]);
      assert.equal(redirect.run(1n << 32n, PASS), REDIRECTED);
      assert.deepEqual(redirect.map.lookup(bytes(0)), redirect.value(1));
      assert.equal(redirect.map.lookup(bytes(1)), undefined);
      assert.equal(redirect.map.delete(bytes(0)), true);
      assert.equal(redirect.map.delete(bytes(0)), type !== 'devmap_hash');
      assert.equal(redirect.run(0, PASS), PASS);
    });
  }

  it('a devmap takes interfaces that there are, and 0 to take one out', async () => {
    using redirect = await load(kernel, 'devmap', 4);
    const { set } = redirect;
    assert.deepEqual(
      [set(0, 99_999), set(0, 1, 1), set(0, 1, 2), set(0, 1, 3), set(0, 1, 4), set(4, 1), set(0, 0)],
      ['EINVAL', 'EEXIST', 'ok', 'EINVAL', 'EINVAL', 'E2BIG', 'ok'],
    );
    assert.equal(redirect.run(0, PASS), PASS);
    assert.equal(
      outcome(() => redirect.map.delete(bytes(4))),
      'EINVAL',
    );
  });

  it('a devmap_hash has any keys, as many as there is room for', async () => {
    using redirect = await load(kernel, 'devmap_hash', 4);
    const { set } = redirect;
    assert.deepEqual(
      [set(0, 99_999), set(0, 0), set(0, 1, 2), set(0, 1, 1), set(77, 1, 1), set(0, 1, 3)],
      ['EINVAL', 'EINVAL', 'ok', 'EEXIST', 'ok', 'EINVAL'],
    );
    assert.deepEqual([set(1, 1), set(2, 1), set(3, 1)], ['ok', 'ok', 'E2BIG']);
    assert.deepEqual([redirect.run(77, PASS), redirect.run(3, PASS)], [REDIRECTED, PASS]);
    assert.equal([...redirect.map.keys()].length, 4);
  });

  it('a cpumap takes CPUs that there are, with a queue of at most 16,384', async () => {
    using redirect = await load(kernel, 'cpumap', 8);
    const { set } = redirect;
    assert.deepEqual(
      [set(0, 16_384), set(0, 16_385), set(0, 5, 1), set(4, 1), set(0, 5, 3)],
      ['ok', 'EOVERFLOW', 'EEXIST', 'E2BIG', 'EINVAL'],
    );
    assert.equal(redirect.run(0, PASS), REDIRECTED);
    assert.equal(set(0, 0), 'ok');
    assert.equal(redirect.run(0, PASS), PASS);
  });

  it('an xskmap takes sockets, and shows them to nobody', async () => {
    using redirect = await load(kernel, 'xskmap', 4);
    const { set, map } = redirect;
    assert.deepEqual([set(0, 99_999), set(0, 99_999, 3), set(4, 99_999)], ['EBADF', 'EINVAL', 'E2BIG']);
    assert.equal(
      outcome(() => map.lookup(bytes(0))),
      'EOPNOTSUPP',
    );
    assert.equal(map.delete(bytes(0)), true);
  });

  it('programs that run where packets arrive are refused where they are none', async () => {
    using redirect = await load(kernel, 'devmap', 8);
    assert.equal(
      outcome(() => redirect.map.update(bytes(0), bytes(1, 99_999))),
      'EINVAL',
    );
    assert.equal(
      outcome(() => redirect.map.update(bytes(0), bytes(1, 0xffff_ffff))),
      'ok',
    );
    assert.deepEqual(redirect.map.lookup(bytes(0)), bytes(1, 0));
  });

  for (const type of ['devmap', 'devmap_hash'] as const) {
    it(`programs read a ${type}`, async () => {
      using redirect = await load(kernel, type, 4, LOOKUP);
      assert.equal(redirect.run(0, 0), 99);
      redirect.set(1, 1);
      assert.equal(redirect.run(0, 0), 1);
    });
  }

  for (const [type] of MAPS)
    it(`a ${type} has no operations on many elements`, () => {
      using bench = kernel.bench([
        { type: { devmap: 14, devmap_hash: 25, cpumap: 16, xskmap: 17 }[type], valueSize: 4 },
      ]);
      const [map] = bench.maps;
      const operations = [
        () => [...map.lookupBatches()],
        () => map.updateBatch({ keys: [bytes(0)], values: [bytes(0)] }),
        () => map.deleteBatch([bytes(0)]),
        () => map.lookupAndDelete(bytes(0)),
      ];
      assert.deepEqual(operations.map(outcome), Array(4).fill('ENOTSUPP'));
    });
});
