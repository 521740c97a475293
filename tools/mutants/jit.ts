import { type Area, type Mutant, mutantsOf } from './table.ts';

/** Deliberate bugs in src/jit; see table.ts. */

const CONTROL_FLOW: readonly Mutant[] = [
  ...mutantsOf(
    'cfg.ts',
    ['dead code is code', 'if (seen[at] === 0) {\n      at += slots(insns[at]);\n      continue;\n    }', ''],
    [
      'a jump falls through before it leads away',
      "if (target !== undefined) ways.push(target);\n    if (kind !== 'exit' && kind !== 'goto' && after < end) ways.push(after);",
      "if (kind !== 'exit' && kind !== 'goto' && after < end) ways.push(after);\n    if (target !== undefined) ways.push(target);",
    ],
    ['a goto may go on', "kind !== 'exit' && kind !== 'goto' && after", "kind !== 'exit' && after"],
    ['a jump to what follows has two ways', '[...new Set(ways.map(', '[...(ways.map('],
  ),
  ...mutantsOf(
    'dominators.ts',
    ['what meets has the first way as dominator', 'common(idom, rank, found, from)', 'found'],
    ['one round is enough', 'idom[node] = found;\n      changed = true;', 'idom[node] = found;'],
  ),
  ...mutantsOf(
    'reducible.ts',
    [
      'entries of a loop are those from inside',
      '!inside.has(from) && next.includes(node)',
      'inside.has(from) && next.includes(node)',
    ],
    [
      'inner loops keep their entries',
      'members: [...component, ...fresh], header: dispatch',
      'members: [], header: dispatch',
    ],
    [
      'all comers enter at one node',
      'choice, next: [dispatch] } satisfies EnterNode',
      'choice: 0, next: [dispatch] } satisfies EnterNode',
    ],
  ),
  ...mutantsOf(
    'structure.ts',
    ['merges stand in the wrong order', 'rank[b] - rank[a]', 'rank[a] - rank[b]'],
    [
      'the wrong side is the smaller one',
      '#size[taken] <= this.#size[fallen]',
      '#size[taken] >= this.#size[fallen]',
    ],
    [
      'what is reached twice is written where it is first',
      'forward > 1 || dispatched',
      'forward > 2 || dispatched',
    ],
  ),
  ...mutantsOf(
    'versions.ts',
    ['a version is entered a slot late', '{ ...node, start: point.at }', '{ ...node, start: point.at + 1 }'],
    ['a point of any frame will do', 'node.frame === point.frame && ', ''],
    ['behind a may_goto goes on at its start', 'next: all[index].next.map(', 'next: [index].map('],
  ),
];

const ANALYSES: readonly Mutant[] = [
  ...mutantsOf(
    'stack-slots.ts',
    [
      'slots that are handed out are locals',
      'if (facts.stackEscapes(subprogram, byte)) place.promotable = false;',
      '',
    ],
    ['one slot has several sizes', 'if (place.size !== size) place.promotable = false;', ''],
    ['what overlaps stays a local', 'place.promotable = false;\n          spoil(other);', ''],
    ['slots are locals before anything was stored', 'else if (report &&', 'else if (false &&'],
    ["a caller's slot is a function's own", ' || fact.frameDistance !== 0', ''],
    ['a store on one of two ways is one on both', 'before[to][i] & after[i]', 'before[to][i] | after[i]'],
  ),
  ...mutantsOf(
    'liveness.ts',
    ['what a jump compares is not wanted', "case 'jump':\n        use(insn.dst);", "case 'jump':"],
    [
      'what is stored is not wanted',
      "else use(insn.dst);\n        if (row.source === 'X') use(insn.src);\n        return;\n      case 'load'",
      "else use(insn.dst);\n        return;\n      case 'load'",
    ],
    [
      'a promoted slot is never wanted',
      'if (cell !== undefined) add(live, cell);',
      'if (cell !== undefined) return;',
    ],
    ['the expected value of cmpxchg is not wanted', "=== 'cmpxchg') use(0);", "=== 'cmpxchg') return;"],
    [
      'what an inlined function is given is not wanted',
      'if (wanted) add(live, outer.registers[register]);',
      '',
    ],
    [
      'a budget ends with a round',
      'add(live, frame.loop.count);\n        add(live, frame.loop.deadline);',
      '',
    ],
    [
      'what a callee reads is not wanted',
      '(args & (1 << register)) !== 0);\n    }',
      'false && args === register);\n    }',
    ],
    [
      'loops are gone through once',
      'known[word] = live[word];\n          changed = true;',
      'known[word] = live[word];',
    ],
  ),
  ...mutantsOf(
    'groups.ts',
    [
      'a subtracted constant is added',
      "row.op === 'add' ? offset + insn.imm : offset - insn.imm",
      'offset + insn.imm',
    ],
    ['sign extension keeps a pointer', 'insn.off <= 1', 'insn.off <= 32'],
    [
      'what is loaded into a pointer leaves it what it was',
      'if (written !== undefined) places',
      "if (written !== undefined && opcode(insn.code)?.kind === 'alu') places",
    ],
    [
      'the base of a later access may lie elsewhere',
      'Math.min(from, base, at), to: Math.max(to, base + 1, at',
      'Math.min(from, at), to: Math.max(to, at',
    ],
    ['a sum with a register keeps a pointer', "if (row.source === 'X' || (row.op", 'if ((row.op'],
    [
      'a load acquired is a load',
      "base: src, off, size: row.size, kind: 'acquire'",
      "base: src, off, size: row.size, kind: 'load'",
    ],
  ),
  ...mutantsOf(
    'alignment.ts',
    [
      'a sum has the more zeroes of two',
      "case 'xor':\n      state[dst] = Math.min(",
      "case 'xor':\n      state[dst] = Math.max(",
    ],
    ['a shift by 32 brings 32 zeroes', '(imm & 31)', '(imm & 63)'],
    [
      'where ways meet the more zeroes count',
      'after[register] >= before[to][register]',
      'after[register] <= before[to][register]',
    ],
    ['calls keep what they clobber', 'state.fill(0, 0, 6);', 'state.fill(0, 0, 1);'],
    ['an access says of its base what holds of its address', ' || access.off % access.size !== 0', ''],
    [
      'a pointer that moved on is still a copy',
      'isCopy(insns[at]) ? names[insns[at].src] : fresh++',
      'isCopy(insns[at]) ? names[insns[at].src] : names[written]',
    ],
    [
      'what was learnt holds behind calls',
      'Math.min(state[register], checks.sure(at, register))',
      'state[register]',
    ],
    ['a load keeps what its register had', 'if (written !== undefined) state[written] = 0;', ''],
  ),
  ...mutantsOf(
    'analyses.ts',
    ['accesses of groups are checked for alignment', '!members.has(at) && (wraps', '(wraps'],
    ['so are those near the end of a page', '(wraps || insns[at].off === 0)', '(true)'],
    [
      'careful code knows what fast code does',
      "cache = this.#aligned[isFast ? 'fast' : 'careful']",
      "cache = this.#aligned['fast']",
    ],
  ),
  ...mutantsOf(
    'low-constants.ts',
    ['where numbers meet the first one stays', 'old[register] = undefined;\n    changed = true;', ''],
    ['calls keep what they clobber', 'state.fill(undefined, 0, 6);', 'state.fill(undefined, 0, 1);'],
    ['a difference is a sum', '(left - right) | 0', '(left + right) | 0'],
    ['sign extension of a byte keeps a number', 'off === 32 ? right', 'off >= 8 ? right'],
    [
      'what is loaded is what was there',
      "row?.kind === 'alu' ? result(state, insn) : undefined",
      "row?.kind === 'alu' ? result(state, insn) : state[written]",
    ],
  ),
  ...mutantsOf(
    'choose.ts',
    ['what another jump leads to is chosen, too', ' || previous[arm] !== 1', ''],
    ['the wrong value is chosen', '[taken, fallen, true]', '[taken, fallen, false]'],
    [
      'loads are made in any case',
      "if (row?.kind !== 'alu' || row.op",
      "if (row?.kind !== 'alu' && row?.kind !== 'load') return false;\n    if (row.kind === 'alu' && row.op",
    ],
  ),
  ...mutantsOf(
    'plan.ts',
    ['what calls what has a frame has none', 'plan.needsFrame ||= inner.needsFrame;', ''],
    ['a frame pointer that is stored needs no frame', ' || stored === BPF_REG_10', ''],
  ),
  ...mutantsOf(
    'unit.ts',
    ['an inlined function returns for its caller', 'isExit && after !== undefined ? [after] : next', 'next'],
    ['frames lie beside each other', 'this.#frames[frame].depth + 1', 'this.#frames[frame].depth'],
    [
      'r1 of a callee is that of its caller',
      '[0, ...Array.from({ length: REGISTERS - 1 }, () => variable(TYPE.i64))]',
      '[0, 1, ...Array.from({ length: REGISTERS - 2 }, () => variable(TYPE.i64))]',
    ],
  ),
];

const EMISSION: readonly Mutant[] = [
  ...mutantsOf(
    'emit/arena.ts',
    [
      'every page is present',
      'code.i32(PAGE_PRESENT | PAGE_WRITTEN);\n    code.op(e.exits.isFast ? OP.i32_ne : OP.i32_xor);',
      'code.i32(0);\n    code.op(OP.i32_and);',
    ],
    [
      'stores to pages of which only one is known to be written',
      'code.i32(PAGE_PRESENT | PAGE_WRITTEN);\n    code.op(e.exits.isFast ? OP.i32_ne : OP.i32_xor);',
      'code.i32(PAGE_WRITTEN);\n    code.op(OP.i32_and);\n    code.op(OP.i32_eqz);',
    ],
    ['a page has a byte more', 'PAGE_SIZE - (high - low)', 'PAGE_SIZE + 1 - (high - low)'],
    ['bytes before the base are not looked at', 'const low = Math.min(from, 0);', 'const low = 0;'],
    [
      'offsets wrap around at 4 GiB',
      'const stays = access.off === 0 || hasMargins(e.arena) || !check;',
      'const stays = true;',
    ],
    [
      'every load is aligned',
      'const aligned = ((access.off | (1 << zeroBits)) & mask) === 0;',
      'const aligned = e.analyses.lookupOf([access]) === "none";',
    ],
    [
      'the offset says nothing of alignment',
      '((access.off | (1 << zeroBits)) & mask)',
      '((1 << zeroBits) & mask)',
    ],
    [
      'the first page of a group is enough',
      'pushPageState(e, base, last);\n  code.op(OP.i32_and);\n  emitIsNot(e, lookup);\n  code.brIfOut(out);\n  code.end();',
      'emitIsNot(e, lookup);\n  code.brIfOut(out);\n  code.end();',
    ],
    [
      'the last one is',
      'code.get(e.pageState);\n  pushPageState(e, base, last);\n  code.op(OP.i32_and);',
      'pushPageState(e, base, last);',
    ],
    ['a group ends a byte late', 'const last = Math.max(to, 1) - 1;', 'const last = Math.max(to, 1) - 2;'],
    ['of two pages one is enough', '(PAGE_PRESENT | PAGE_WRITTEN) * 0x101', 'PAGE_PRESENT | PAGE_WRITTEN'],
    [
      'a group begins at its base',
      'pushPageIndex(e, base, Math.min(from, 0));',
      'pushPageIndex(e, base, 0);',
    ],
  ),
  ...mutantsOf(
    'analyses.ts',
    ['every group stays in its page', 'return offset + from >= 0 && offset + to <= room;', 'return true;'],
    ['a group stays in its page that begins before it', 'offset + from >= 0 && ', ''],
    ['pages stay also where a program frees some', '!arena?.pagesStay || ', 'arena === undefined || '],
    ['a load acquired needs no page', "accesses.some(({ kind }) => kind === 'acquire')", 'false'],
    [
      'a group of loads and stores is one of loads',
      "accesses.some(({ kind }) => kind === 'store' || kind === 'atomic')",
      "accesses.every(({ kind }) => kind === 'store' || kind === 'atomic')",
    ],
    ['loads are aligned where stores are', "!isAligned || this.lookupOf(members) !== 'none'", '!isAligned'],
    ['loads are aligned where the first one is, all of them', '!learns || !isAligned || ', '!learns || '],
  ),
  ...mutantsOf(
    'page-runs.ts',
    ['each node is passed in each round', 'if (farthest <= i) always.add(node);', 'always.add(node);'],
    ['a step may leave the alignment', ' || step % check.unit !== 0', ''],
    ['ways that move a pointer differently meet', ' && place.offset === other.offset', ''],
    ['a pointer counts where code may be left', 'run.checks.size === others ?', 'others >= 0 ?'],
  ),
  ...mutantsOf(
    'emit/page-runs.ts',
    [
      'a run ends a page too late',
      'PAGES * PAGE_SIZE - (to - from)',
      '(PAGES + 1) * PAGE_SIZE - (to - from)',
    ],
    [
      'its last access may end behind it',
      'PAGES * PAGE_SIZE - (to - from)',
      'PAGES * PAGE_SIZE - (to - from) + 2',
    ],
    ['nothing has to be aligned', 'code.i32(unit - 1);', 'code.i32(0);'],
    ['where a round is left does not count', 'code.i32(counter.distance);', 'code.i32(0);'],
    ['what is moved downwards ends at its end', 'code.get(step > 0 ? last : first);', 'code.get(last);'],
  ),
  ...mutantsOf(
    'checked-pages.ts',
    ['a function that is put in keeps what was checked', 'if (isInlined) state.pages = [];', ''],
    ['and its registers', 'isInlined ? MAX_BPF_REG : CLOBBERED', 'CLOBBERED'],
    [
      'what is between is known',
      'knownFrom < knownTo && knownFrom <= to && from <= knownTo',
      'knownFrom < knownTo',
    ],
    ['one way is enough', 'isWithin ? otherFrom : 0, isWithin ? otherTo : 0', 'from, to'],
    ['one of two pages is enough', '.every((page)', '.some((page)'],
    ['a register that is moved takes nothing along', '- source.distance;\n  const to', ';\n  const to'],
  ),
  ...mutantsOf('emit/jump.ts', [
    'a version takes for granted what nobody checked',
    'if (pages !== undefined) emitPagesCheck',
    'if (pages === null) emitPagesCheck',
  ]),
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
      'cut(e, size);\n      e.set(result);',
      'e.set(result);',
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
      'code.i32(e.target.loopIterations - 1);\n  code.set(loop.count);\n  code.end();\n  code.end();',
      'code.i32(e.target.loopIterations - 2);\n  code.set(loop.count);\n  code.end();\n  code.end();',
    ],
    [
      'a budget that is used up is never renewed',
      'code.zero(TYPE.f64);\n  code.op(OP.f64_lt);',
      'code.op(OP.drop);\n  code.i32(1);',
    ],
  ),
  ...mutantsOf(
    'emit/function.ts',
    ['what stands before a call is left out', 'emitRun(e, start, at);', ''],
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
      'const absent = () => {\n      code.i64(0);\n      e.set(dst);\n    };',
      'const absent = () => undefined;',
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
      'if (live.has(variable)) e.code.get(e.locals[variable]);',
      'if (live.has(variable)) e.code.get(e.locals[variable === 6 ? 0 : variable]);',
    ],
  ),
];

const BYTES: readonly Mutant[] = [
  ...mutantsOf(
    'encode/bytes.ts',
    ['an unsigned integer ends a bit late', 'while (rest >= 0x80)', 'while (rest > 0x80)'],
    [
      'a signed integer forgets its sign',
      '(rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)',
      'rest === 0 || (rest === -1 && (byte & 0x40) !== 0)',
    ],
  ),
  ...mutantsOf(
    'encode/code.ts',
    ['positions stay where they were', 'this.positions[2 * i] += before;', 'this.positions[2 * i] += 0;'],
    [
      'a branch counts from another structure',
      'this.bytes.unsigned(this.#depth + out);',
      'this.bytes.unsigned(this.#depth + out + 1);',
    ],
  ),
  ...mutantsOf(
    'encode/module.ts',
    [
      'functions are numbered without imports',
      'return this.#importCount + this.#functions.push(undefined) - 1;',
      'return this.#functions.push(undefined) - 1;',
    ],
    ['types are numbered from 1', 'this.#types.push(signature) - 1', 'this.#types.push(signature)'],
    ['hints stand a byte off', 'b.unsigned(before + code.hints[i]);', 'b.unsigned(code.hints[i]);'],
  ),
];

export const JIT_AREAS: readonly Area[] = [
  { area: 'JIT: control flow', topics: [], mutants: CONTROL_FLOW },
  { area: 'JIT: analyses', topics: [], mutants: ANALYSES },
  { area: 'JIT: emission', topics: [], mutants: EMISSION },
  { area: 'JIT: encoding', topics: [], mutants: BYTES },
];
