import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseObject } from '../../object/object.ts';
import { assembleObject } from '../../object/write.ts';
import { UnsupportedProgram, VerifierError } from '../../verifier/errors.ts';
import { EmbeddedKernel } from '../kernel.ts';
import { TestKernel } from '../testdata/harness.ts';

/** The helpers that maps do not need, and which arguments the verifier takes. */

/** A format, its arguments (`text`: a pointer to "ello"), and what Linux 6.18 returned and printed. */
type PrintCase = [format: string, args: string[], result: number, printed?: string];

const prints: PrintCase[] = JSON.parse(
  readFileSync(new URL('../testdata/printk.json', import.meta.url), 'utf8'),
);

/** A function that prints; the bytes of the format, with its final 0, are put on the stack. */
function printing(bytes: number[], args: readonly string[]): string {
  const size = Math.ceil(bytes.length / 8) * 8;
  const stores = bytes.map((byte, i) => `*(u8 *)(r10 - ${size - i}) = ${byte}`);
  const registers = args.map((arg, i) =>
    arg === 'text' ? `r${3 + i} = r10; r${3 + i} += -256` : `r${3 + i} = ${arg} ll`,
  );
  const call = [`r1 = r10; r1 += -${size}`, `r2 = ${bytes.length}`, 'call 6', 'exit'];
  return ['*(u64 *)(r10 - 256) = 0x6f6c6c65', ...stores, ...registers, ...call].join('; ');
}

describe('bpf_trace_printk', () => {
  for (const [format, args, result, printed] of prints) {
    it(`${JSON.stringify(format)} of (${args}): ${printed === undefined ? 'EINVAL' : JSON.stringify(printed)}`, () => {
      const lines: string[] = [];
      using test = new TestKernel([], { onTrace: (line) => lines.push(line) });
      const bytes = [...Buffer.from(`${format}\0`)];
      assert.equal(BigInt.asIntN(64, test.run(printing(bytes, args)).r0), BigInt(result));
      // Linux ends a line that ends itself once more.
      const expected = printed?.replace(/\n$/, '');
      assert.deepEqual(lines, expected === undefined ? [] : [expected]);
    });
  }

  it('wants the format to end in a 0', () => {
    using test = new TestKernel([]);
    assert.equal(BigInt.asIntN(64, test.run(printing([...Buffer.from('hello')], [])).r0), -22n);
  });

  it('prints text of the arena for %s of an arena address', () => {
    const lines: string[] = [];
    const arena = { type: 33, keySize: 0, valueSize: 0, maxEntries: 1, flags: 1 << 10 };
    using test = new TestKernel([arena], { onTrace: (line) => lines.push(line) });
    const alloc =
      'r1 = MAP 0; r2 = 0; r3 = 1; r4 = -1; r5 = 0; call bpf_arena_alloc_pages; r7 = r0; r0 = addr_space_cast(r0, 0, 1); *(u32 *)(r0 + 0) = 0x6968';
    const print = '*(u32 *)(r10 - 8) = 0x7325; r1 = r10; r1 += -8; r2 = 3; r3 = r7; call 6; exit';
    assert.equal(test.run(`${alloc}; ${print}`).r0, 2n);
    assert.deepEqual(lines, ['hi']);
  });
});

describe('where and when a program runs', () => {
  using test = new TestKernel([]);

  it('bpf_ktime_get_ns moves forward', () => {
    const [first, second] = [test.run('call 5; exit').r0, test.run('call 5; exit').r0];
    assert.ok(first > 0n && second > first);
  });

  it('bpf_get_prandom_u32 gives 32 bits that vary', () => {
    const values = Array.from({ length: 20 }, () => test.run('call 7; exit').r0);
    assert.ok(values.every((value) => value < 2n ** 32n));
    assert.ok(new Set(values).size > 15);
  });

  it('bpf_get_smp_processor_id is 0 on the calling thread', () => {
    assert.equal(test.run('call 8; exit').r0, 0n);
  });

  it('bpf_get_current_pid_tgid holds the process in both halves', () => {
    assert.equal(test.run('call 14; exit').r0, (BigInt(process.pid) << 32n) | BigInt(process.pid));
  });
});

describe('a map', () => {
  it('is followed to where nothing is, which reads as 0', async () => {
    for (const engine of ['jit', 'interpreter'] as const) {
      using kernel = new EmbeddedKernel({ engine });
      const text = `.license "GPL"
.map values, type=array, key_size=4, value_size=8, max_entries=1
.section syscall
.func f : s32 (void *ctx)
r1 = values ll
r1 = *(u64 *)(r1 + 48)
r0 = *(u32 *)(r1 + 72)
exit`;
      const { programs } = await kernel.load(parseObject(assembleObject(text)));
      assert.equal(programs.f.run().retval, 0);
    }
  });

  it('has fields that programs may read', () => {
    using test = new TestKernel([{ type: 2, valueSize: 12, maxEntries: 2 }]);
    assert.equal(test.run('r1 = MAP 0; r0 = *(u32 *)(r1 + 72); exit').r0, 12n);
  });
});

const KEY = '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = MAP 0;';
const VALUE = `${KEY} call 1; if r0 == 0 goto none;`;
const NONE = 'none: r0 = 0; exit';

/** What the verifier refuses, in Linux's words; maps are arrays of two 12-byte values. */
const VIOLATIONS: readonly (readonly [what: string, asm: string, message: string, flags?: number])[] = [
  [
    'a read behind a value',
    `${VALUE} r0 = *(u64 *)(r0 + 8); exit; ${NONE}`,
    'invalid access to map value, value_size=12 off=8 size=8',
  ],
  ['a read before a value', `${VALUE} r0 = *(u8 *)(r0 - 1); exit; ${NONE}`, 'R0 min value is outside'],
  [
    'a read between two values',
    `${VALUE} r0 = *(u32 *)(r0 + 12); exit; ${NONE}`,
    'invalid access to map value, value_size=12 off=12 size=4',
  ],
  [
    'a write into a read-only map',
    `${VALUE} *(u8 *)(r0 + 0) = 1; exit; ${NONE}`,
    'write into map forbidden, value_size=12 off=0 size=1',
    0x80,
  ],
  [
    'an atomic on a read-only map',
    `${VALUE} r1 = 1; lock *(u32 *)(r0 + 0) += w1; exit; ${NONE}`,
    'write into map forbidden, value_size=12 off=0 size=4',
    0x80,
  ],
  [
    'a read of a write-only map',
    `${VALUE} r0 = *(u8 *)(r0 + 0); exit; ${NONE}`,
    'read from map forbidden, value_size=12 off=0 size=1',
    0x100,
  ],
  [
    'a write through a map pointer',
    'r1 = MAP 0; *(u32 *)(r1 + 0) = 1; r0 = 0; exit',
    'only read from bpf_array is supported',
  ],
  [
    'a value that may be NULL',
    `*(u32 *)(r10 - 4) = 9; r2 = r10; r2 += -4; r1 = MAP 0; call 1; r0 = *(u8 *)(r0 + 0); exit`,
    "R0 invalid mem access 'map_value_or_null'",
  ],
  ['a number for a map', `${KEY} r1 = 5; call 1; exit`, 'R1 type=scalar expected=map_ptr'],
  [
    'a value for a map',
    `${VALUE} r1 = r0; r2 = r10; r2 += -4; call 1; exit; ${NONE}`,
    'R1 type=map_value expected=map_ptr',
  ],
  ['a number for a key', 'r1 = MAP 0; r2 = 5; call 1; exit', 'R2 type=scalar expected=fp'],
  [
    'a key below the stack',
    'r1 = MAP 0; r2 = r10; r2 += -514; call 1; exit',
    'invalid read from stack R2 off=-514 size=4',
  ],
  [
    'a key above the stack',
    'r1 = MAP 0; r2 = r10; r2 += 100000; call 1; exit',
    'invalid read from stack R2 off=100000',
  ],
  [
    'a key that reaches over the stack',
    'r1 = MAP 0; r2 = r10; r2 += 4094; call 1; exit',
    'invalid read from stack R2 off=4094',
  ],
  ['a helper that no kernel has', 'call 9999; exit', 'invalid func unknown#9999'],
  ['a helper of other programs', 'call 49; exit', 'program of this type cannot use helper bpf_setsockopt#49'],
  [
    'a store below the stack',
    '*(u8 *)(r10 - 4097) = 1; r0 = 0; exit',
    'invalid write to stack R10 off=-4097 size=1',
  ],
  [
    'a store above the stack',
    '*(u8 *)(r10 + 512) = 1; r0 = 0; exit',
    'invalid write to stack R10 off=512 size=1',
  ],
];

describe('the verifier refuses', () => {
  for (const [what, asm, message, flags = 0] of VIOLATIONS) {
    it(`${what}: ${message}`, () => {
      using test = new TestKernel([{ type: 2, valueSize: 12, maxEntries: 2, flags }]);
      assert.throws(
        () => test.run(asm),
        (error) =>
          (error instanceof VerifierError && error.log.includes(message)) ||
          (error instanceof UnsupportedProgram && error.message.includes(message)) ||
          assert.fail(String(error)),
      );
    });
  }

  it('nothing of what user space froze: programs still write it', () => {
    using test = new TestKernel([{ type: 2, valueSize: 12, maxEntries: 2 }]);
    test.maps[0].freeze();
    test.run(`${VALUE} *(u8 *)(r0 + 0) = 7; ${NONE}`);
    assert.equal(test.maps[0].lookup(new Uint8Array(4))?.[0], 7);
  });
});
