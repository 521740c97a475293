import { type Mutant, mutantsOf } from '../table.ts';

/** Deliberate bugs in how src/jit writes code: a file a kind of instruction. */
export const EMISSION: readonly Mutant[] = [
  ...mutantsOf(
    'emit/plain-atomic.ts',
    [
      'a cmpxchg always writes',
      'code.op(OP.i64_eq);\n      code.if();',
      'code.op(OP.i64_eq);\n      code.op(OP.i32_eqz);\n      code.if();',
    ],
    [
      'what stood there is what stands there',
      'pushOld();\n    e.set(result);',
      'load();\n    e.set(result);',
    ],
    ['a fetch writes no register', 'if (result !== undefined) {', 'if (result === -1) {'],
    ['what was added is left', 'code.op(COMBINE[op]);', 'code.op(OP.drop);'],
  ),
  ...mutantsOf(
    'emit/runtime.ts',
    [
      'a store leaves no mark on its page',
      'code.i32(PAGE_WRITTEN);\n    code.atomic(',
      'code.i32(0);\n    code.atomic(',
    ],
    [
      'one of two pages is enough',
      'code.op(OP.i32_and);\n  };\n  pushBoth();',
      'code.op(OP.i32_or);\n  };\n  pushBoth();',
    ],
    [
      'an access may end a byte behind the window',
      'code.i64Big(1n << 32n);\n  code.op(OP.i64_gt_s);',
      'code.i64Big((1n << 32n) + 1n);\n  code.op(OP.i64_gt_s);',
    ],
    [
      'addresses before the window wrap around',
      'code.op(OP.i64_extend_i32_s);',
      'code.op(OP.i64_extend_i32_u);',
    ],
    [
      'a misaligned cmpxchg always writes',
      'code.op(OP.i64_eq);\n      code.op(OP.select);',
      'code.op(OP.i64_eq);\n      code.op(OP.drop);\n      code.op(OP.drop);',
    ],
  ),
  ...mutantsOf(
    'emit/atomic.ts',
    ['what cmpxchg expects has 64 bits', 'e.get(0);\n    cut(e, size);\n  }', 'e.get(0);\n  }'],
    [
      'a short fetch from an absent page keeps the upper half',
      'e.get(result);\n    cut(e, size);\n    e.set(result);',
      '',
    ],
  ),
  ...mutantsOf(
    'emit/alu.ts',
    [
      '32-bit results keep no zeroes above',
      'code.op(EXTEND_NARROW[off]);\n    e.setLow(dst);',
      'code.op(EXTEND_NARROW[off]);\n    code.op(OP.i64_extend_i32_s);\n    e.set(dst);',
    ],
    ['arithmetic with arena pointers has 64 bits', 'row.width === 64 && !arena', 'row.width === 64'],
    ['NULL that is cast has an upper half', 'code.i64(0);\n  e.getLow(dst);\n  code.op(OP.select);', ''],
    ['modulo by zero is zero', 'if (!isDivision) pushDividend();\n    else if (wide)', 'if (wide)'],
  ),
  ...mutantsOf(
    'emit/jump.ts',
    ['signed is unsigned', 'jsgt: { wide: OP.i64_gt_s', 'jsgt: { wide: OP.i64_gt_u'],
    ['the opposite of less is greater', "narrow: OP.i32_lt_u, not: 'jge'", "narrow: OP.i32_lt_u, not: 'jgt'"],
    [
      'a budget has an iteration less',
      'e.code.i32(e.target.loopIterations - 1);\n  e.code.set',
      'e.code.i32(e.target.loopIterations - 2);\n  e.code.set',
    ],
    [
      'so has one that is renewed behind a may_goto',
      'e.target.loopIterations : e.target.loopIterations - 1',
      'e.target.loopIterations : e.target.loopIterations - 2',
    ],
    [
      'a may_goto that is gone through again takes an iteration each time',
      'code.get(loop.count);\n    code.i32(1);\n    code.op(OP.i32_add);',
      'code.get(loop.count);',
    ],
    [
      'one at which a version ends takes none',
      'code.op(OP.i32_sub);\n  code.set(loop.count);\n  e.exits',
      'code.op(OP.drop);\n  code.set(loop.count);\n  e.exits',
    ],
    [
      'a version that was aligned takes all to be so',
      'for (const { register, bits } of e.learntAt(at)) {',
      'for (const { register, bits } of e.learntAt(at).slice(0, 0)) {',
    ],
    [
      'a budget that is used up is never renewed',
      'code.zero(TYPE.f64);\n  code.op(OP.f64_lt);',
      'code.op(OP.drop);\n  code.i32(1);',
    ],
  ),
  ...mutantsOf(
    'emit/function.ts',
    [
      'a call is made twice',
      'emitCall(e, at);\n      continue;',
      'emitCall(e, at);\n      emitCall(e, at);\n      continue;',
    ],
    [
      'a register that a choice writes keeps what it had',
      'code.get(e.scratch);\n    code.op(OP.select);\n    e.set(register);',
      'code.get(e.scratch);\n    code.op(OP.i32_eqz);\n    code.op(OP.select);\n    e.set(register);',
    ],
    [
      'an inlined function goes on with the budget of the last one',
      'e.frame = inner;\n  emitLoopStart(e);',
      'e.frame = inner;',
    ],
    [
      'a callee has its caller’s frame',
      'e.pushFramePointer(e.frame.depth + 1)',
      'e.pushFramePointer(e.frame.depth)',
    ],
    [
      'the result of a callee is dropped',
      'e.code.call(e.callees.subprogram(callee.number));\n  e.set(0);',
      'e.code.call(e.callees.subprogram(callee.number));\n  e.code.op(0x1a);',
    ],
  ),
  ...mutantsOf(
    'emit/emitter.ts',
    [
      'frames of inlined functions lie upon each other',
      'FRAME_BYTES * (1 + this.#deepest - this.frame.depth)',
      'FRAME_BYTES * (1 + this.#deepest)',
    ],
    ['a shorter frame than the callee takes', 'FRAME_BYTES * depth', '256 * depth'],
  ),
  ...mutantsOf(
    'emit/memory.ts',
    ['a slot keeps more than was stored', 'if (row.size < 8) {', 'if (row.size < 4) {'],
    ['a slot is loaded without its sign', 'if (row.signed) code.op(SIGN_EXTEND[row.size]);', ''],
    [
      'a load from an absent page leaves its register',
      'absent(e, at) {\n    e.code.i64(0);\n    e.set(e.insns[at].dst);\n  },',
      'absent: () => undefined,',
    ],
  ),
  ...mutantsOf(
    'emit/call.ts',
    ['an array has an element more', 'code.i32(entries);', 'code.i32(entries + 1);'],
    [
      'NULL from a helper is a pointer',
      'e.kernelPointer();\n  code.i64(0);\n  code.get(scratch);\n  code.op(OP.select);',
      'e.kernelPointer();',
    ],
  ),
  ...mutantsOf(
    'emit/versions.ts',
    ['one entry of the careful version serves all', 'e.code.i32(number);', 'e.code.i32(0);'],
    [
      'registers are handed over in disorder',
      'this.#handOver(e, variable);\n        if (givenBack',
      'this.#handOver(e, variable === 6 ? 0 : variable);\n        if (givenBack',
    ],
    [
      'they are those of the last point',
      'if (live[next] === variable) {\n        next++;',
      'if (live[next] === variable) {',
    ],
    ['of several loops the first one is gone on behind', 'this.#behind.set(key, { point, index });', ''],
  ),
  ...mutantsOf(
    'emit/credit.ts',
    [
      'the careful version always stays as long',
      'code.globalGet(CREDIT);\n  code.i32(1);\n  code.op(OP.i32_shl);',
      'code.globalGet(CREDIT);\n  code.i32(0);\n  code.op(OP.i32_shl);',
    ],
    ['the longest that it may stay is the shortest', 'code.op(OP.i32_lt_u);', 'code.op(OP.i32_gt_u);'],
    ['a good run in between makes it stay longer', 'code.op(OP.i32_gt_u);', 'code.op(OP.i32_lt_u);'],
    ['it forgets how long it stayed', 'code.globalSet(CREDIT);', 'code.op(OP.drop);'],
  ),
];
