import assert from 'node:assert/strict';
import { it } from 'node:test';
import { verdictOf } from '../../tools/verdict.ts';
import { assembleObject } from '../object/write.ts';

/** What Linux 6.18 accepts, and must not run: it would leave its memory here, or keep for good what it holds, as it does there. */

const inFunction = (body: string, others = '') => `.license "GPL"
.section syscall
.func f : s32 (void *ctx)
${body.replaceAll('; ', '\n')}
${others}`;

const THROWING = `.map ring, type=ringbuf, max_entries=4096
.extern kfunc bpf_throw : void (u64 cookie)
.extern kfunc bpf_rcu_read_lock : void ()
.extern kfunc bpf_rcu_read_unlock : void ()
.section .text
.func g : s32 (u64 x)
call h
r0 = 0
exit
.func h : s32 (u64 x)
if r1 == 0 goto quiet
call bpf_throw
quiet: r0 = 0
exit`;

const REFUSED = {
  'the number 0 for memory that is tagged nonnull': {
    text: inFunction(
      'r1 = 0; call g; r0 = 0; exit',
      `.section .text
.func g : s32 (struct block *p)
r1 += 1048576
*(u64 *)(r1 + 0) = 7
r0 = 0
exit
.types "struct block { char room[1048576]; long long last; };"
.decl_tag g, 0, "arg:nonnull"`,
    ),
    message: "Caller passes invalid args into func#1 ('g')",
  },
  'an exception out of a global function, where its caller holds something': {
    text: inFunction(
      'r1 = ring ll; r2 = 8; r3 = 0; call 131; if r0 == 0 goto out; r6 = r0; r1 = 1; call g; r1 = r6; r2 = 0; call 132; out: r0 = 0; exit',
      THROWING,
    ),
    message: 'bpf_throw would lead to reference leak',
  },
  'an exception out of a global function, in a section that its caller began': {
    text: inFunction(
      'call bpf_rcu_read_lock; r1 = 1; call g; call bpf_rcu_read_unlock; r0 = 0; exit',
      THROWING,
    ),
    message: 'bpf_throw cannot be used inside bpf_rcu_read_lock-ed region',
  },
} as const;

for (const [what, { text, message }] of Object.entries(REFUSED))
  it(`refuses ${what}`, async () => {
    const found = await verdictOf('embedded', assembleObject(text, 'case'), 'f');
    assert.deepEqual([found.verdict, found.message], ['rejected', message]);
  });
