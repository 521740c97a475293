import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, embedded, open } from '../index.ts';

/** A tail call may lead to a program that reads more of the context than the one that was run was given. */

const objectOf = (section: string, off: number) =>
  assembleObject(`.license "GPL"
.map progs, type=prog_array, key_size=4, value_size=4, max_entries=1
.section ${section}
.func first : s32 (void *ctx)
r2 = progs ll
r3 = 0
call 12
r0 = 7
exit
.func second : s32 (void *ctx)
r0 = *(u64 *)(r1 + ${off})
exit`);

const LAST = { raw_tp: 88, 'tp/sched/sched_switch': 8184, perf_event: 176, 'kprobe/x': 160 } as const;

for (const [section, off] of Object.entries(LAST))
  it(`what no one gave of a context is 0 behind a tail call: ${section}`, async () => {
    // The checked mode stops an access to what does not belong to the program.
    for (const options of [{ checked: true }, { engine: 'jit' }] as const) {
      using kernel = embedded(options);
      using loaded = await (await open(objectOf(section, off))).load(kernel);
      const { first, second } = loaded.programs;
      loaded.maps.progs.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(second.handle).buffer));
      assert.equal(first.run().retval, 0);
      assert.equal(first.run({ ctx: Uint8Array.of(1) }).retval, 0);
      for (const settings of [{}, { ctx: { size: 8 } }]) {
        using prepared = first.prepare(settings);
        assert.equal(prepared.run(), 0);
        assert.equal(prepared.ctx.length, settings.ctx?.size ?? 0);
      }
    }
  });

/** What Linux 6.18 said to a program of the second section in an array that one of the first jumps through. */
const TOGETHER = [
  ['cgroup_skb/ingress', 'cgroup_skb/egress', false],
  ['cgroup_skb/ingress', 'cgroup/skb', true],
  ['xdp', 'xdp.frags', false],
  ['xdp', 'xdp/devmap', false],
  ['iter/bpf_map', 'iter/bpf_prog', false],
  ['iter/bpf_map', 'iter/bpf_map', true],
  ['tc', 'tcx/ingress', false],
  ['kprobe/x', 'kprobe.session/x', false],
  ['kprobe/x', 'uprobe/x', true],
] as const;

async function put(first: string, second: string, body = ''): Promise<void> {
  using kernel = embedded();
  using loaded = await (
    await open(
      assembleObject(`.license "GPL"
.map progs, type=prog_array, key_size=4, value_size=4, max_entries=1
.section ${first}
.func first : s32 (void *ctx)
r2 = progs ll
r3 = 0
call 12
r0 = 0
exit
.section ${second}
.func second : s32 (void *ctx)
${body}
r0 = 0
exit`),
    )
  ).load(kernel);
  const handle = Uint32Array.of(loaded.programs.second.handle);
  loaded.maps.progs.update(new Uint8Array(4), new Uint8Array(handle.buffer));
}

for (const [first, second, fits] of TOGETHER)
  it(`tail calls lead ${fits ? '' : 'not '}from ${first} to ${second}`, () =>
    fits ? put(first, second) : assert.rejects(put(first, second), { code: 'EINVAL' }));

it('tail calls lead from no iterator to one that reaches more of what it is shown', async () => {
  const reaches = 'r1 = *(u64 *)(r1 + 24)\nif r1 == 0 goto out\n*(u64 *)(r1 + 4096) = 1\nout:';
  const elements = 'iter/bpf_map_elem';
  await put(elements, elements);
  await assert.rejects(put(elements, elements, reaches), { code: 'EINVAL' });
});

for (const options of [{ engine: 'jit' }, { checked: true }] as const)
  it(`an exception behind a tail call ends the program there, not its caller: ${Object.keys(options)[0]}`, async () => {
    using kernel = embedded(options);
    using loaded = await (
      await open(
        assembleObject(`.license "GPL"
.map progs, type=prog_array, key_size=4, value_size=4, max_entries=1
.map_values progs, 0, thrower
.map ring, type=ringbuf, max_entries=4096
.extern kfunc bpf_throw : void (u64 cookie)
.section tc
.func f : s32 (struct __sk_buff *skb)
r6 = r1
r1 = ring ll
r2 = 8
r3 = 0
call bpf_ringbuf_reserve
if r0 == 0 goto out
r7 = r0
r1 = r6
call jump
r8 = r0
r1 = r7
r2 = 0
call bpf_ringbuf_submit
r0 = r8
r0 += 1000
out: exit
.func thrower : s32 (struct __sk_buff *skb)
r1 = 5
call bpf_throw
r0 = 0
exit
.section .text
.func static jump : s32 (struct __sk_buff *skb)
r2 = progs ll
r3 = 0
call bpf_tail_call
r0 = 1
exit`),
      )
    ).load(kernel);
    assert.equal(loaded.programs.f.run({ data: new Uint8Array(64) }).retval, 1005);
    using reader = loaded.maps.ring.reader();
    assert.equal(reader.take()?.length, 8, 'the record was given back');
  });

for (const options of [{ engine: 'jit' }, { checked: true }] as const)
  it(`an exception callback may be as deep as who throws: ${Object.keys(options)[0]}`, async () => {
    const chain = (name: string, type: string, last: string) =>
      Array.from({ length: 7 }, (_, i) => {
        const body = i < 6 ? `call ${name}${i + 1}` : last;
        return `.func static ${name}${i} : s32 (${type})\n*(u64 *)(r10 - 8) = 1\n${body}\nr0 = 1\nexit`;
      }).join('\n');
    const text = `.license "GPL"
.extern kfunc bpf_throw : void (u64 cookie)
.section tc
.func f : s32 (struct __sk_buff *skb)
call s0
exit
.decl_tag f, "exception_callback:handler"
.section .text
${chain('s', 'struct __sk_buff *skb', 'r1 = 5\ncall bpf_throw')}
.func handler : s32 (u64 cookie)
call h0
r0 = 77
exit
${chain('h', 'u64 cookie', '')}`;
    using kernel = embedded(options);
    using loaded = await (await open(assembleObject(text))).load(kernel);
    assert.equal(loaded.programs.f.run({ data: new Uint8Array(64) }).retval, 77);
  });
