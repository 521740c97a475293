import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JitOptions, Target } from '../target.ts';
import { compiled } from '../testdata/harness.ts';

/**
 * What the JIT decides, as the WebAssembly shows it: of each function only accesses to memory, calls and conditional
 * branches are listed. `page?` is a look into the page table, `pages?` one at two entries, `leave` a branch that is not expected to
 * be taken.
 */

interface Case {
  readonly rule: string;
  readonly asm: string;
  /** Of the function that is entered. */
  readonly code: string;
  readonly options?: JitOptions;
  readonly target?: Partial<Target>;
}

/** r6 is an arena pointer, of which nothing is known. */
const POINTER = 'r5 = ARENA; r6 = *(u64 *)(r1 + 0); r6 = addr_space_cast(r6, 0, 1);';
const WITH_MARGINS = { pageTable: 0x10000, noUserConv: false, start: 0x10_0000, end: 0x11_0000 };
const WHOLE_WINDOW = { pageTable: 0x10000, noUserConv: false, start: 0, end: 2 ** 32 };
const COUNT = 'r0 = 0; l: may_goto out; r0 += 1; goto l; out: exit';
const FILL = `${POINTER} l: may_goto out; *(u64 *)(r6 + 0) = 1; r6 += 8; goto l; out: r0 = 0; exit`;

const ARENA_ACCESSES: readonly Case[] = [
  {
    rule: 'a load of one byte is a load',
    asm: `${POINTER} r0 = *(u8 *)(r6 + 8); exit`,
    code: 'i64.load8_u $arena',
  },
  {
    rule: 'so is one that is proven to be aligned',
    asm: `${POINTER} r6 <<= 3; r0 = *(u64 *)(r6 + 8); exit`,
    code: 'i64.load $arena',
  },
  {
    rule: 'but not at an offset that makes it straddle',
    asm: `${POINTER} r6 <<= 3; r0 = *(u64 *)(r6 + 4); exit`,
    code: 'leave; i64.load $arena; return_call $function_0.careful',
  },
  {
    rule: 'another load is checked for alignment, for then it straddles no pages',
    asm: `${POINTER} r0 = *(u64 *)(r6 + 8); exit`,
    code: 'leave; i64.load $arena; return_call $function_0.careful',
  },
  {
    rule: 'where an offset may lead out of the window, the base has to be far enough from a page’s end',
    asm: `${POINTER} r0 = *(u64 *)(r6 + 8); exit`,
    target: { arena: WHOLE_WINDOW },
    code: 'leave; i64.load $arena offset=8; return_call $function_0.careful',
  },
  {
    rule: 'or, with a large offset, from the window’s end',
    asm: `${POINTER} r0 = *(u8 *)(r6 + 2000); exit`,
    target: { arena: WHOLE_WINDOW },
    code: 'leave; i64.load8_u $arena; return_call $function_0.careful',
  },
  {
    rule: 'a load looks its page up where faults are reported',
    asm: `${POINTER} r0 = *(u8 *)(r6 + 8); exit`,
    target: { reportsFaults: true },
    code: 'page?; leave; i64.load8_u $arena; return_call $function_0.careful',
  },
  {
    rule: 'a store always does',
    asm: `${POINTER} *(u8 *)(r6 + 8) = 1; r0 = 0; exit`,
    code: 'page?; leave; i64.store8 $arena; return_call $function_0.careful',
  },
  {
    rule: 'several accesses through a pointer have one check',
    asm: `${POINTER} *(u32 *)(r6 + 0) = 1; *(u32 *)(r6 + 4) = 2; r0 = *(u64 *)(r6 + 8); exit`,
    code: 'pages?; page?; leave; i64.store32 $arena; i64.store32 $arena offset=4; i64.load $arena offset=8; return_call $function_0.careful',
  },
  {
    rule: 'which looks one page up where nothing of them can lie in another',
    asm: `${POINTER} r6 <<= 4; *(u32 *)(r6 + 0) = 1; *(u32 *)(r6 + 4) = 2; r0 = *(u64 *)(r6 + 8); exit`,
    code: 'page?; leave; i64.store32 $arena; i64.store32 $arena offset=4; i64.load $arena offset=8; return_call $function_0.careful',
  },
  {
    rule: 'or, where an offset may lead out of the window, where nothing of them does',
    asm: `${POINTER} *(u32 *)(r6 + 0) = 1; *(u32 *)(r6 + 4) = 2; r0 = *(u64 *)(r6 + 8); exit`,
    target: { arena: WHOLE_WINDOW },
    code: 'leave; page?; leave; i64.store32 $arena; i64.store32 $arena offset=4; i64.load $arena offset=8; return_call $function_0.careful',
  },
  {
    rule: 'loads through a pointer are aligned where the first one is, and need no page',
    asm: `${POINTER} r0 = *(u64 *)(r6 + 16); r2 = *(u32 *)(r6 + 4); r0 += r2; exit`,
    code: 'leave; i64.load $arena; i64.load32_u $arena; return_call $function_0.careful',
  },
  {
    rule: 'those that are not have to lie in one',
    asm: `${POINTER} r0 = *(u64 *)(r6 + 0); r2 = *(u64 *)(r6 + 4); r0 += r2; exit`,
    code: 'leave; i64.load $arena; i64.load $arena offset=4; return_call $function_0.careful',
  },
  {
    rule: 'also behind a jump over a call, and what stands right behind that',
    asm: `${POINTER} r7 = 0; if r6 == 0 goto a; call 5; a: *(u32 *)(r6 + 0) = 1; *(u32 *)(r6 + 4) = 2; r0 = 0; exit`,
    code: 'br_if; call $bpf_ktime_get_ns; pages?; page?; leave; i64.store32 $arena; i64.store32 $arena offset=4; return_call $function_0.careful',
  },
  {
    rule: 'but not across a call',
    asm: `${POINTER} *(u32 *)(r6 + 0) = 1; call 5; *(u32 *)(r6 + 4) = 2; r0 = 0; exit`,
    code: 'leave; page?; leave; i64.store32 $arena; call $bpf_ktime_get_ns; leave; page?; leave; i64.store32 $arena; return_call $function_0.careful; return_call $function_0.careful',
  },
  {
    rule: 'what was checked for alignment once is aligned',
    asm: `${POINTER} if r6 == 0 goto a; r0 = *(u64 *)(r6 + 0); a: r0 = *(u64 *)(r6 + 0); r7 = r6; r7 += 16; if r0 == 7 goto b; r0 = *(u64 *)(r7 + 0); b: exit`,
    code: 'br_if; leave; i64.load $arena; leave; i64.load $arena; br_if; i64.load $arena; return_call $function_0.careful; return_call $function_0.careful',
  },
  {
    rule: 'what was found far enough from a page’s end need not be',
    asm: `${POINTER} r0 = *(u64 *)(r6 + 8); if r0 == 1 goto a; r0 = *(u64 *)(r6 + 0); a: exit`,
    target: { arena: WHOLE_WINDOW },
    code: 'leave; i64.load $arena offset=8; br_if; leave; i64.load $arena; return_call $function_0.careful; return_call $function_0.careful',
  },
  {
    rule: 'loads that need no check go into no group',
    asm: `${POINTER} r6 <<= 3; r0 = *(u64 *)(r6 + 0); r2 = *(u64 *)(r6 + 8); exit`,
    code: 'i64.load $arena; i64.load $arena',
  },
  {
    rule: 'an atomic operation on what is aligned is one',
    asm: `${POINTER} r6 <<= 3; r2 = 1; lock *(u64 *)(r6 + 0) += r2; r0 = 0; exit`,
    code: 'page?; leave; i64.atomic.rmw.add $arena; return_call $function_0.careful',
  },
  {
    rule: 'it is a load and a store while no other thread can be there',
    asm: `${POINTER} r6 <<= 3; r2 = 1; lock *(u64 *)(r6 + 0) += r2; r0 = 0; exit`,
    target: { arena: { ...WITH_MARGINS, exposed: 4096 } },
    code: 'page?; leave; i32.load $memory; i64.atomic.rmw.add $arena; i64.load $arena; i64.store $arena; return_call $function_0.careful',
  },
];

const OTHERS: readonly Case[] = [
  {
    rule: 'a promoted stack slot is no access to memory',
    asm: '*(u64 *)(r10 - 8) = 5; r0 = *(u64 *)(r10 - 8); exit',
    code: '',
  },
  {
    rule: 'another is one at a constant offset',
    asm: '*(u64 *)(r10 - 8) = 5; r0 = *(u64 *)(r10 - 8); exit',
    options: { promotion: false },
    code: 'i64.store $memory offset=504; i64.load $memory offset=504',
  },
  {
    rule: 'a lookup in an array is arithmetic',
    asm: '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = ARRAY; call 1; if r0 == 0 goto out; r0 = *(u64 *)(r0 + 0); out: exit',
    code: 'i64.store32 $memory offset=508; i32.load $memory; br_if; i64.load $memory',
  },
  { rule: 'the number of the CPU is a constant of the instance', asm: 'call 8; exit', code: '' },
  { rule: 'other helpers are called', asm: 'call 5; exit', code: 'call $bpf_ktime_get_ns' },
  { rule: 'a small function is put into its caller', asm: 'call f; exit; f: r0 = 1; exit', code: '' },
  {
    rule: 'or is called',
    asm: 'call f; exit; f: r0 = 1; exit',
    options: { inlining: false },
    code: 'call $function_2',
  },
  {
    rule: 'a may_goto counts down, and leaves for a version that begins behind it',
    asm: COUNT,
    code: 'leave; return_call $function_0.behind1',
  },
  {
    rule: 'without versions it asks for more iterations in its place',
    asm: COUNT,
    options: { versions: false },
    code: 'call $refill; br_if',
  },
];

function shown(lines: readonly string[]): string {
  const kept = lines.flatMap((line, i) => {
    // Loops begin with a load of a zero.
    if (line === 'i32.load8_u $memory' && lines[i + 1] === 'i32.add') return [];
    const leaves = line.startsWith('(@metadata.code.branch_hint "\\00") br_if');
    const text = line.replace(/ align=\d+| \$block\d+/g, '');
    if (leaves) return ['leave'];
    if (text === 'i32.load8_u $memory offset=65536') return ['page?'];
    if (text === 'i32.load16_u $memory offset=65536') return ['pages?'];
    return /^\S*(load|store|atomic|call|br_if)/.test(text) ? [text] : [];
  });
  return kept.join('; ');
}

/** What the code that follows the setting of r6 does. */
function body(lines: readonly string[], asm: string): string {
  const text = shown(lines);
  return asm.startsWith(POINTER) ? text.replace(/^i64\.load \$memory(; )?/, '') : text;
}

for (const [what, cases] of [
  ['accesses to the arena', ARENA_ACCESSES],
  ['other code', OTHERS],
] as const)
  describe(what, () => {
    for (const { rule, asm, options, target, code } of cases)
      it(rule, () => {
        const functions = compiled(asm, options, target);
        assert.equal(body(functions.get('function_0') ?? [], asm), code);
      });
  });

describe('versions', () => {
  it('the careful one checks each access by itself, and in full where that fails', () => {
    const asm = `${POINTER} *(u32 *)(r6 + 0) = 1; *(u32 *)(r6 + 4) = 2; r0 = 0; exit`;
    const one = 'leave; page?; leave; i64.store32 $arena; call $arena.check; i64.store32 $arena';
    assert.equal(shown(compiled(asm).get('function_0.careful') ?? []), `${one}; ${one}`);
  });

  it('it comes back to fast code behind a may_goto, where nothing is checked in full', () => {
    const functions = compiled(FILL);
    assert.match(shown(functions.get('function_0.careful') ?? []), /; return_call \$function_0\.behind4; /);
    const behind = shown(functions.get('function_0.behind4') ?? []);
    assert.match(behind, /^call \$refill; br_if; /);
    assert.doesNotMatch(behind, /call \$arena\.check/);
    assert.match(behind, /return_call \$function_0\.careful/);
    assert.match(behind, /return_call \$function_0\.behind4/);
  });

  it('what is live is handed over, and no more: here r6, and what the budget is', () => {
    const lines = compiled(FILL).get('function_0') ?? [];
    const at = lines.indexOf('return_call $function_0.behind4');
    assert.equal(lines[at - 4], 'end');
    assert.equal(lines[at - 3], 'local.get $r6');
    for (const line of lines.slice(at - 2, at)) assert.match(line, /^local\.get \$t\d+$/);
  });

  it('what makes no use of checks has one', () => {
    assert.deepEqual([...compiled('r0 = 0; exit').keys()], ['function_0', 'run', 'run64']);
  });
});

it('what a cmpxchg of 32 bits expects is cut to them: WebAssembly compares all 64', () => {
  const lines = compiled(`${POINTER} r6 <<= 3; r0 = 1; r2 = 2; w0 = cmpxchg32_32(r6 + 0, w0, w2); exit`);
  const at = lines.get('function_0')?.indexOf('i64.atomic.rmw32.cmpxchg_u $arena') ?? -1;
  const expected = ['local.get $r0', 'i64.const 0xffffffff', 'i64.and', 'local.get $r2'];
  assert.deepEqual(lines.get('function_0')?.slice(at - 4, at), expected);
});

it('a global variable is loaded from its address as a constant, which no loop has to keep', () => {
  const asm = 'ld_pseudo r7, 2, 3; l: may_goto a; r0 = *(u64 *)(r7 + 8); goto l; a: r0 = 0; exit';
  const lines = compiled(asm).get('function_0') ?? [];
  const at = lines.findIndex((line) => line.startsWith('i64.load $memory'));
  // The harness gives a map's number as its address.
  assert.equal(lines[at - 1], 'i32.const 11');
});

describe('names', () => {
  it('registers have theirs, those of an inlined function behind the number of its frame', () => {
    const lines = compiled('r1 = *(u64 *)(r1 + 0); call f; exit; f: r0 = r1; exit').get('function_0') ?? [];
    assert.ok(lines.includes('local.set $r1.1'), lines.join('\n'));
    assert.ok(lines.includes('local.get $r1'));
  });
});
