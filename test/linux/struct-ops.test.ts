import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BpfError, open } from '../../src/index.ts';
import { linux } from '../../src/linux/index.ts';
import { compileBpf, noClang } from '../clang.ts';
import { onLinux } from '../contract/kernels.ts';

/** Programs that are operations of a structure of the kernel's: what says so is a variable of the object. */

const SOURCE = `
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
struct tcp_congestion_ops___mine {
  unsigned (*ssthresh)(void *sk);
  void (*not_there)(void *sk);
  char name[16];
};
SEC("struct_ops/any") unsigned threshold(unsigned long long *ctx) { return 5; }
SEC("struct_ops.s/any") int other(unsigned long long *ctx) { return 5; }
SEC("struct_ops") int lost(unsigned long long *ctx) { return 5; }
SEC(".struct_ops.link") struct tcp_congestion_ops___mine unnamed;
SEC(".struct_ops") struct tcp_congestion_ops___mine mine = { .ssthresh = (void *)threshold, .not_there = (void *)other };
`;

it('a variable in .struct_ops says which operation a program is', { skip: noClang }, async () => {
  const { programs } = await open(compileBpf(SOURCE));
  const found = Object.values(programs).map(({ name, attachTo }) => [name, attachTo]);
  assert.deepEqual(Object.fromEntries(found), {
    threshold: 'tcp_congestion_ops.ssthresh',
    other: 'tcp_congestion_ops.not_there',
    lost: undefined,
  });
});

onLinux('operations', () => {
  it('are verified as the member that they are', { skip: noClang }, async () => {
    using kernel = linux();
    const object = await open(compileBpf(SOURCE));
    await object.verify('threshold', kernel);
    for (const [name, code] of [
      ['other', 'ESRCH'],
      ['lost', 'EINVAL'],
    ] as const)
      await assert.rejects(
        object.verify(name, kernel),
        (error) => error instanceof BpfError && error.code === code,
      );
  });
});
