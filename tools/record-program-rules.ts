import { writeFileSync } from 'node:fs';
import { assembleObject } from '../src/object/write.ts';
import {
  describe,
  type RecordedRules,
  RULES_FILE,
  SECTIONS,
} from '../src/verifier/testdata/program-rules.ts';
import { argumentsOf } from './arguments.ts';
import { verdictOf } from './verdict.ts';

/**
 * `npm run record:program-rules`: asks Linux, as root on 6.18, what programs of each section may do with their context, which helpers they
 * may call and what they may return, by loading a program for each. The answers are what src/verifier/program-rules.test.ts expects.
 */

const USAGE = 'usage: npm run record:program-rules';
/** What Linux says where it is the access or the call itself that is refused. */
const REFUSAL = /^invalid bpf_context access|cannot use helper|^invalid func unknown/;

async function ask(section: string, body: string): Promise<string | undefined> {
  const text = `.license "GPL"\n.section ${section}\n.func f : s32 (void *ctx)\n${body.replaceAll('; ', '\n')}\n`;
  const { message } = await verdictOf('linux', assembleObject(text, 'case'), 'f');
  return message;
}

argumentsOf(USAGE, {});
const rules: Record<string, RecordedRules> = {};
for (const section of SECTIONS) {
  const may = async (body: string) => !REFUSAL.test((await ask(section, body)) ?? '');
  rules[section] = await describe({
    access: (kind, off, size) =>
      may(
        kind === 'read'
          ? `r0 = *(u${8 * size} *)(r1 + ${off}); r0 = 1; exit`
          : `r0 = 1; *(u${8 * size} *)(r1 + ${off}) = r0; exit`,
      ),
    helper: (id) => may(`r2 = 0; r3 = 0; r4 = 0; r5 = 0; call ${id}; r0 = 1; exit`),
    result: async (value) => (await ask(section, `r0 = ${value}; exit`)) === undefined,
  });
  console.log(`${section}: ${rules[section].context.split(' ').length} places in the context`);
}
writeFileSync(RULES_FILE, `${JSON.stringify(rules, undefined, 2)}\n`);
