import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleObject, embedded, type LoadedObject, open } from '../../index.ts';

/** Maps that several CPUs change at once, while user space looks. Sums are exact, and what is read is whole. */

const CPUS = 3;
const ROUNDS = 1500;

/** A program that does `ROUNDS` rounds with a map of its own. */
const program = (name: string, body: string) => `
.func ${name}_work : s32 (void *ctx)
r9 = 0
${name}_again: may_goto ${name}_end
if r9 == ${ROUNDS} goto ${name}_end
r9 += 1
${body}
goto ${name}_again
${name}_end: r0 = r9
exit
`;

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const KEY = (map: string) => `call bpf_get_prandom_u32
r0 &= 63
*(u32 *)(r10 - 4) = r0
r7 = r0
r1 = ${map} ll
r2 = r10
r2 += -4
`;
/** Stores a value whose halves are each other's complement. */
const STORE = (map: string) => `${KEY(map)}
r3 = r9
r3 <<= 8
r3 |= r7
*(u64 *)(r10 - 24) = r3
r3 ^= -1
*(u64 *)(r10 - 16) = r3
r3 = r10
r3 += -24
r4 = 0
call bpf_map_update_elem
`;
const CHURN = (map: string) => `${STORE(map)}${KEY(map)}call bpf_map_delete_elem\n${STORE(map)}`;

const OBJECT = `.license "GPL"
.types "struct bpf_spin_lock { unsigned int val; }; struct pair { struct bpf_spin_lock lock; unsigned int a; unsigned int b; };"
.map pairs, type=array, key=u32, value=struct pair, max_entries=1
.map hash, type=hash, key_size=4, value_size=16, max_entries=48
.map lru_hash, type=lru_hash, key_size=4, value_size=16, max_entries=48
.map ring, type=ringbuf, max_entries=262144
.map queue, type=queue, key_size=0, value_size=8, max_entries=100
.map counts, type=percpu_array, key_size=4, value_size=8, max_entries=1
.section syscall
${program('hash', CHURN('hash'))}
${program(
  'pairs',
  `*(u32 *)(r10 - 4) = 0
r1 = pairs ll
r2 = r10
r2 += -4
call bpf_map_lookup_elem
if r0 == 0 goto pairs_end
r6 = r0
r1 = r0
call bpf_spin_lock
r1 = *(u32 *)(r6 + 4)
r1 += 1
*(u32 *)(r6 + 4) = r1
r1 = *(u32 *)(r6 + 8)
r1 += 1
*(u32 *)(r6 + 8) = r1
r1 = r6
call bpf_spin_unlock`,
)}
${program('lru_hash', CHURN('lru_hash'))}
${program(
  'ring',
  `call bpf_get_smp_processor_id
*(u64 *)(r10 - 16) = r0
*(u64 *)(r10 - 8) = r9
r1 = ring ll
r2 = r10
r2 += -16
r3 = 16
r4 = 0
call bpf_ringbuf_output
if r0 != 0 goto ring_end`,
)}
${program(
  'queue',
  `*(u64 *)(r10 - 8) = 1
r1 = queue ll
r2 = r10
r2 += -8
r3 = 0
call bpf_map_push_elem
if r0 != 0 goto queue_end
r1 = queue ll
r2 = r10
r2 += -8
call bpf_map_pop_elem
if r0 != 0 goto queue_end`,
)}
${program(
  'counts',
  `*(u32 *)(r10 - 4) = 0
r1 = counts ll
r2 = r10
r2 += -4
call bpf_map_lookup_elem
if r0 == 0 goto counts_end
r1 = *(u64 *)(r0 + 0)
r1 += 1
*(u64 *)(r0 + 0) = r1`,
)}`;

describe('several CPUs at once', () => {
  const kernel = embedded({ cpus: CPUS, mayGoto: { iterations: 10 * ROUNDS } });
  let loaded: LoadedObject;
  const runAll = async (name: string) => loaded.programs[`${name}_work`].runOnAll();

  it('programs of the object are loaded', async () => {
    loaded = await (await open(assembleObject(OBJECT, 'concurrent'))).load(kernel);
  });

  for (const type of ['hash', 'lru_hash'] as const) {
    it(`a ${type} keeps each element whole, and all its room`, async () => {
      const map = loaded.maps[type];
      const done = runAll(type);
      let running = true;
      void done.finally(() => {
        running = false;
      });
      do {
        for (const key of map.keys()) {
          const value = map.lookup(key);
          if (value === undefined) continue;
          const [a, b] = new BigUint64Array(value.buffer);
          assert.equal(a, BigInt.asUintN(64, ~b));
          assert.equal(Number(a & 0xffn), key[0]);
        }
        await new Promise((resolve) => setImmediate(resolve));
      } while (running);
      for (const { retval } of await done) assert.equal(retval, ROUNDS);
      for (const key of map.keys()) map.delete(key);
      for (let i = 0; i < 48; i++) map.update(u32(1000 + i), new Uint8Array(16));
      assert.equal([...map.keys()].length, 48);
      if (type === 'hash') assert.throws(() => map.update(u32(1), new Uint8Array(16)), { code: 'E2BIG' });
    });
  }

  it("a ring buffer has all records of all CPUs, each CPU's in order", async () => {
    using reader = loaded.maps.ring.reader();
    const seen = new Array<number>(CPUS).fill(0);
    const reading = (async () => {
      for await (const record of reader) {
        const [cpu, round] = [...new BigUint64Array(record.buffer)].map(Number);
        assert.equal(round, ++seen[cpu]);
        if (seen.every((count) => count === ROUNDS)) return;
      }
    })();
    for (const { retval } of await runAll('ring')) assert.equal(retval, ROUNDS);
    await reading;
  });

  it('a lock in a value is one for all CPUs, and for user space that asks for it', async () => {
    const done = runAll('pairs');
    let running = true;
    void done.finally(() => {
      running = false;
    });
    const pair = () => new Uint32Array((loaded.maps.pairs.lookup(u32(0), 4) as Uint8Array).buffer);
    do {
      const [lock, a, b] = pair();
      assert.deepEqual([lock, a], [0, b]);
      await new Promise((resolve) => setImmediate(resolve));
    } while (running);
    await done;
    assert.deepEqual([...pair()], [0, CPUS * ROUNDS, CPUS * ROUNDS]);
  });

  it('a queue hands out each value once', async () => {
    for (const { retval } of await runAll('queue')) assert.equal(retval, ROUNDS);
    assert.equal(loaded.maps.queue.lookup(new Uint8Array(0)), undefined);
  });

  it('a per-CPU array counts on each CPU by itself', async () => {
    await runAll('counts');
    const values = new BigUint64Array((loaded.maps.counts.lookup(u32(0)) as Uint8Array).buffer);
    assert.deepEqual([...values], Array(CPUS).fill(BigInt(ROUNDS)));
    kernel.close();
  });
});
