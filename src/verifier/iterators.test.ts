import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verdictOf } from '../../tools/verdict.ts';
import { assembleObject } from '../object/write.ts';

/**
 * Keys and values that iterators are shown. Unlike the verifier's cases these stand here with their verdicts, from Linux's source: the
 * machine on which verdicts are recorded refuses iterators over elements whatever they do. The rest is iterator-programs.txt.
 */

const KEY = 'r7 = *(u64 *)(r1 + 16); if r7 == 0 goto out';
const VALUE = 'r7 = *(u64 *)(r1 + 24); if r7 == 0 goto out';
const SEQ = 'r9 = *(u64 *)(r1 + 0); r9 = *(u64 *)(r9 + 0)';

/** What is written, and Linux's last line; undefined: accepted. */
const CASES: readonly (readonly [rule: string, text: string, message?: string])[] = [
  ['a key is read', `${KEY}; r2 = *(u32 *)(r7 + 0); out: r0 = 0; exit`],
  ['a key is read as far as one likes', `${KEY}; r2 = *(u64 *)(r7 + 4096); out: r0 = 0; exit`],
  [
    'a key may be missing',
    'r7 = *(u64 *)(r1 + 16); r2 = *(u32 *)(r7 + 0); r0 = 0; exit',
    "R7 invalid mem access 'rdonly_buf_or_null'",
  ],
  [
    'a value may be missing',
    'r7 = *(u64 *)(r1 + 24); r2 = *(u32 *)(r7 + 0); r0 = 0; exit',
    "R7 invalid mem access 'buf_or_null'",
  ],
  [
    'a key is not written',
    `${KEY}; r2 = 0; *(u32 *)(r7 + 0) = r2; out: r0 = 0; exit`,
    'R7 cannot write into rdonly_buf',
  ],
  ['a value is written', `${VALUE}; r2 = 0; *(u64 *)(r7 + 8) = r2; out: r0 = 0; exit`],
  ['a value is changed by an atomic', `${VALUE}; r2 = 1; lock *(u64 *)(r7 + 8) += r2; out: r0 = 0; exit`],
  [
    'nothing is read before a value',
    `${VALUE}; r2 = *(u32 *)(r7 - 4); out: r0 = 0; exit`,
    'R7 invalid rdwr buffer access: off=-4, size=4',
  ],
  [
    'nothing is read before a key',
    `${KEY}; r7 += -8; r2 = *(u64 *)(r7 + 0); out: r0 = 0; exit`,
    'R7 invalid rdonly buffer access: off=-8, size=8',
  ],
  [
    'a place that is not known is none of a value',
    `r6 = r1; call 7; r0 &= 8; r1 = r6; ${VALUE}; r7 += r0; r2 = *(u64 *)(r7 + 0); out: r0 = 0; exit`,
    'R7 invalid variable buffer offset: off=0, var_off=(0x0; 0x8)',
  ],
  ['a key is written to the file', `${SEQ}; ${KEY}; r1 = r9; r2 = r7; r3 = 4; call 127; out: r0 = 0; exit`],
  [
    'a value is written to the file',
    `${SEQ}; ${VALUE}; r1 = r9; r2 = r7; r3 = 40; call 127; out: r0 = 0; exit`,
  ],
  [
    'a key is no key for a lookup, which may write it',
    `${KEY}; r1 = table ll; r2 = r7; call 1; out: r0 = 0; exit`,
    'R2 type=rdonly_buf expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_',
  ],
  ['a value is a key for a lookup', `${VALUE}; r1 = table ll; r2 = r7; call 1; out: r0 = 0; exit`],
  ['the map is always there', 'r2 = *(u64 *)(r1 + 8); r2 = *(u32 *)(r2 + 0); r0 = 0; exit'],
];

const DECLARATIONS = '.license "GPL"\n.map table, type=hash, key_size=8, value_size=16, max_entries=4\n';

describe('what an iterator over elements may do', () => {
  for (const [rule, body, message] of CASES) {
    it(rule, async () => {
      const statements = body.replaceAll('; ', '\n');
      const text = `${DECLARATIONS}.section iter/bpf_map_elem\n.func f : s32 (void *ctx)\n${statements}\n`;
      const here = await verdictOf('embedded', assembleObject(text, 'case'), 'f');
      assert.deepEqual(
        { verdict: here.verdict, message: here.message },
        { verdict: message === undefined ? 'accepted' : 'rejected', message },
      );
    });
  }

  it('an iterator over what is not known is not judged, by name', async () => {
    const text = '.license "GPL"\n.section iter/netlink\n.func f : s32 (void *ctx)\nr0 = 0\nexit\n';
    const { verdict, message } = await verdictOf('embedded', assembleObject(text, 'case'), 'f');
    assert.equal(verdict, 'unsupported');
    assert.match(message ?? '', /iter\/netlink is not verified here/);
  });

  it('an iterator has to say over what', async () => {
    const text = '.license "GPL"\n.section iter\n.func f : s32 (void *ctx)\nr0 = 0\nexit\n';
    const { verdict, code } = await verdictOf('embedded', assembleObject(text, 'case'), 'f');
    assert.deepEqual({ verdict, code }, { verdict: 'error', code: 'EINVAL' });
  });
});
