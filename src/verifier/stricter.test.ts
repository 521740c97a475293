import assert from 'node:assert/strict';
import { it } from 'node:test';
import { verdictOf } from '../../tools/verdict.ts';
import { assembleObject } from '../object/write.ts';

/** What Linux 6.18 accepts, and must not run: it would leave its memory here, as it does there. */

const inFunction = (body: string, others = '') => `.license "GPL"
.section syscall
.func f : s32 (void *ctx)
${body.replaceAll('; ', '\n')}
${others}`;

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
} as const;

for (const [what, { text, message }] of Object.entries(REFUSED))
  it(`refuses ${what}`, async () => {
    const found = await verdictOf('embedded', assembleObject(text, 'case'), 'f');
    assert.deepEqual([found.verdict, found.message], ['rejected', message]);
  });
