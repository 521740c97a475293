import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { opcode } from '../isa/opcodes.ts';
import { translate } from './compile.ts';
import type { JitOptions } from './target.ts';
import { compiled, targetOf, verified } from './testdata/harness.ts';

/** Whole modules: what they import, how they are entered, which instruction each piece of code is of. */

const EVERYTHING = `
  r5 = ARENA; r9 = r1; r6 = *(u64 *)(r1 + 0); r6 = addr_space_cast(r6, 0, 1)
  *(u32 *)(r10 - 4) = 1; r2 = r10; r2 += -4; r1 = ARRAY; call 1; if r0 == 0 goto out
  r7 = *(u64 *)(r0 + 0); *(u64 *)(r10 - 16) = r7; call 5; r1 = r0; call f; r7 += r0
  l: may_goto out; *(u32 *)(r6 + 4) = 1; *(u32 *)(r6 + 8) = r7; r6 = *(u64 *)(r6 + 16); r6 = addr_space_cast(r6, 0, 1)
  lock *(u64 *)(r6 + 0) += r7; r7 s/= 3; if r7 s> 5 goto m; r7 += 2; m: goto l
  out: r0 = 0; exit
  f: *(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 8); r0 = be64 r0; exit`;

const OPTIONS = [
  'storeChecks',
  'straddleChecks',
  'grouping',
  'versions',
  'choices',
  'promotion',
  'inlining',
  'intrinsics',
  'ranges',
  'narrowing',
] as const satisfies readonly (keyof JitOptions)[];

function importsOf(asm: string, reportsFaults = false): string[] {
  const program = verified(asm);
  const { bytes } = translate(program, targetOf(program, { reportsFaults }));
  return WebAssembly.Module.imports(new WebAssembly.Module(bytes))
    .filter(({ kind }) => kind === 'function')
    .map(({ name }) => name);
}

describe('a module', () => {
  it('imports what its program calls, each function once', () => {
    assert.deepEqual(importsOf('r0 = 0; exit'), []);
    assert.deepEqual(importsOf('call 5; call 5; exit'), ['bpf_ktime_get_ns']);
    assert.deepEqual(importsOf('l: may_goto o; goto l; o: r0 = 0; exit'), ['refill']);
    assert.deepEqual(importsOf('r0 = 0; exit', true), ['fault']);
  });

  it('does not know of what the verifier never reached', () => {
    assert.deepEqual(importsOf('r0 = 0; if r0 == 0 goto out; call 5; out: exit'), []);
  });

  it('is valid with any option switched off, and with all', () => {
    const off = OPTIONS.map((option): JitOptions => ({ [option]: false }));
    for (const options of [...off, Object.assign({}, ...off)])
      for (const reportsFaults of [false, true])
        assert.ok(compiled(EVERYTHING, options, { reportsFaults }).size > 0);
  });

  it('has functions for rare cases where it needs them', () => {
    const names = (asm: string) => [...compiled(asm).keys()].filter((name) => name.includes('.'));
    assert.deepEqual(names('r0 = 0; exit'), []);
    const atomic =
      'r5 = ARENA; r1 = *(u64 *)(r1 + 0); r1 = addr_space_cast(r1, 0, 1); r2 = 1; lock *(u64 *)(r1 + 0) += r2; r0 = 0; exit';
    assert.deepEqual(names(atomic).sort(), ['arena.check', 'atomic.misaligned0', 'function_0.careful']);
  });
});

describe('a program is entered', () => {
  it('with a pointer to its context, and NULL where it has none', () => {
    const program = verified('r0 = r1; exit');
    const { bytes } = translate(program, targetOf(program));
    const shared = { initial: 65_536, maximum: 65_536, shared: true } as const;
    const memory = new WebAssembly.Memory(shared);
    const userHigh = new WebAssembly.Global({ value: 'i64', mutable: false }, 0n);
    const kernel = { arena: memory, memory, cpu: 0, userHigh };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { kernel });
    const { run, run64 } = exports as Record<string, (ctx: number, fp: number) => number | bigint>;
    assert.equal(BigInt.asUintN(64, BigInt(run64(0x1234, 0))), 0xffff888000001234n);
    assert.equal(run64(0, 0), 0n);
    assert.equal(run(0x1234, 0), 0x1234);
  });

  it('with a frame pointer where something is on the stack', () => {
    assert.deepEqual(compiled('r0 = 0; exit').get('run'), ['call $function_0', 'i32.wrap_i64']);
    const run = compiled('*(u64 *)(r10 - 8) = r10; r0 = 0; exit', { promotion: false }).get('run');
    assert.deepEqual(run, ['local.get $fp', 'call $function_0', 'i32.wrap_i64']);
  });
});

describe('positions', () => {
  const program = verified(EVERYTHING);
  const { positions, bytes } = translate(program, targetOf(program));

  it('ascend, within the module', () => {
    const offsets = [...positions.offsets];
    assert.ok(
      offsets.every((offset, i) => offset > 0 && offset < bytes.length && offset >= (offsets[i - 1] ?? 0)),
    );
  });

  it('name each instruction that does something', () => {
    const named = new Set(positions.insns);
    program.insns.forEach(({ code }, at) => {
      const kind = opcode(code)?.kind;
      const silent =
        kind === undefined || kind === 'goto' || (kind === 'call' && program.calleeOf(at) !== undefined);
      // The second slot of a ld_imm64 has code 0.
      if (!silent && code !== 0 && program.facts.seen[at] !== 0)
        assert.ok(named.has(at), `instruction ${at}`);
    });
  });
});
