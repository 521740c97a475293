import { type Mutant, mutantsOf } from '../table.ts';

/** Deliberate bugs in what src/jit asks before it reaches into the arena: groups, pages, and runs of rounds. */

const GROUPS: readonly Mutant[] = [
  ...mutantsOf(
    'groups.ts',
    [
      'the base of a later access may lie elsewhere',
      'const first = Math.min(from, base, at);\n      const last = Math.max(to, base + 1, at + access.size);',
      'const first = Math.min(from, at);\n      const last = Math.max(to, at + access.size);',
    ],
    [
      'a load acquired is a load',
      "base: src, off, size: row.size, kind: 'acquire'",
      "base: src, off, size: row.size, kind: 'load'",
    ],
    ['all unknown pointers are one', 'if (places.step(insn, roots)) roots++;', 'places.step(insn, roots);'],
    [
      'a group may span more than a page',
      'last - first > WIDEST || last > WIDEST || first < -WIDEST',
      'false',
    ],
    ['all of a group is aligned where its first access is', 'isAligned &&= at % access.size === 0;', ''],
  ),
  ...mutantsOf(
    'analyses.ts',
    ['accesses of groups are checked for alignment', '!members.has(at) && (wraps', '(wraps'],
    [
      'so are those near the end of a page',
      'if (!members.has(at) && (wraps || off === 0))',
      'if (!members.has(at))',
    ],
    [
      'careful code knows what fast code does',
      'found.alignedCareful ??= alignments(plan.graph, this.#program.insns, this.#constant);',
      'found.alignedCareful ??= alignments(plan.graph, this.#program.insns, this.#constant, { leavesUnlessAligned: (slot) => this.#checkedAlone(plan).has(slot), sure: () => 0 });',
    ],
    ['every group stays in its page', 'return offset + from >= 0 && offset + to <= room;', 'return true;'],
    ['a group stays in its page that begins before it', 'offset + from >= 0 && ', ''],
    ['pages stay also where a program frees some', '!arena?.pagesStay || ', 'arena === undefined || '],
    ['a load acquired needs no page', "reportsFaults || kind === 'acquire'", 'reportsFaults'],
    [
      'a group of loads and stores is one of loads',
      "if (lookup === 'writable') return lookup;",
      "if (lookup === 'writable') continue;",
    ],
    [
      'loads are aligned where stores are',
      "!group.isAligned || this.lookupOfAll(group.members) !== 'none'",
      '!group.isAligned',
    ],
    [
      'loads are aligned where the first one is, all of them',
      '!learns || !group.isAligned || ',
      '!learns || ',
    ],
    ['a group may go on behind a call', 'find(start, at);\n        start = at + 1;', ''],
    ['a run looks up no pages', "to: lookup === 'none' ? off : off + size }", 'to: off }'],
    [
      'where an access is off its base it is aligned as its base',
      '[at], ...bytes, distance: off,',
      '[at], ...bytes, distance: 0,',
    ],
    ['a run has no loads to align', 'const unit = isAligned ? 1 : size;', 'const unit = 1;'],
    [
      'a run goes on where a program frees pages',
      'arena?.pagesStay !== true || !hasMargins',
      'arena === undefined || !hasMargins',
    ],
    [
      'and at the end of the window',
      '!== true || !hasMargins(arena)) return false;',
      '!== true) return false;',
    ],
  ),
];

const PAGES: readonly Mutant[] = [
  ...mutantsOf(
    'emit/arena.ts',
    [
      'offsets wrap around at 4 GiB',
      'const stays = off === 0 || hasMargins(e.arena) || !check;',
      'const stays = true;',
    ],
    [
      'every load is aligned',
      'const isAligned = !check || ((off | (1 << e.zeroBits(at, base))) & (size - 1)) === 0;',
      "const isAligned = lookup === 'none';",
    ],
    [
      'the offset says nothing of alignment',
      '((off | (1 << e.zeroBits(at, base))) & (size - 1))',
      '((1 << e.zeroBits(at, base)) & (size - 1))',
    ],
    [
      'the offset may lead behind the window',
      'e.code.i32(WINDOW - off - size);',
      'e.code.i32(WINDOW - size);',
    ],
    ['the last bytes may lie behind it', 'e.code.i32(WINDOW - off - size);', 'e.code.i32(WINDOW - off);'],
    ['the offset may lead before it', 'e.code.i32(-off);\n    e.code.op(OP.i32_lt_u);', 'e.code.i32(0);'],
    ['groups wrap around at 4 GiB', "lookup !== 'none' && hasMargins(e.arena);", "lookup !== 'none';"],
    ['a group asks for no page', 'emitLookup(e, base, lookup);\n  code.brIfOut(out);', ''],
  ),
  ...mutantsOf(
    'emit/pages.ts',
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
      'the first page of a group is enough',
      'code.get(e.pageState);\n  pushPageState(e, base, last);\n  code.op(OP.i32_and);',
      'code.get(e.pageState);',
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
    [
      'so does one of loads where faults are reported',
      'pushPageState(e, base, Math.min(from, 0));',
      'pushPageState(e, base, 0);',
    ],
    [
      'and of its pages the last one is enough',
      'pushPageState(e, base, Math.min(from, 0));\n    pushPageState(e, base, last);\n    code.op(OP.i32_and);',
      'pushPageState(e, base, last);',
    ],
    [
      'of a first round the last page is enough',
      'pushPageState(e, first, 0);\n  pushPageState(e, last, 0);\n  e.code.op(OP.i32_and);',
      'pushPageState(e, last, 0);',
    ],
    [
      'of what a version takes for granted the first page is enough',
      'pushPageState(e, e.scratch, to - 1);\n    code.op(OP.i32_and);',
      '',
    ],
    [
      'and of numbers of pages the first one',
      'for (const page of pages) {',
      'for (const page of pages.slice(0, 1)) {',
    ],
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
    [
      'a register that is moved keeps its bytes',
      'bytes[FROM + source] - distance, bytes[TO + source] - distance',
      'bytes[FROM + source], bytes[TO + source]',
    ],
    [
      'what is learnt of a pointer holds of all with its root',
      'const distance = (offsets[base] - offsets[register]) | 0;',
      'const distance = 0;',
    ],
    ['and of all registers', 'if (roots[register] !== roots[base]) continue;', ''],
    ['what lies in two pages lies in its first', 'first === last ? [first] : [first, last]', '[first]'],
    [
      'a page that one way knows is known',
      'there.pages.filter((page) => pages.includes(page))',
      'there.pages',
    ],
    ['what calls leave is one pointer', 'places.put(register, roots++);', 'places.put(register, roots);'],
    ['so is all that is loaded', 'if (places.step(insn, roots)) roots++;', 'places.step(insn, roots);'],
  ),
  ...mutantsOf('emit/jump.ts', [
    'a version takes for granted what nobody checked',
    'if (pages !== undefined) emitPagesCheck',
    'if (pages === null) emitPagesCheck',
  ]),
];

const RUNS: readonly Mutant[] = [
  ...mutantsOf(
    'page-runs.ts',
    ['each node is passed in each round', 'if (farthest <= i) always.add(node);', 'always.add(node);'],
    ['a step may leave the alignment', ' || step % check.unit !== 0', ''],
    ['ways that move a pointer differently meet', ' || known.offsets[register] !== offsets[register]', ''],
    ['a pointer counts where code may be left', 'run.checks.size === others ?', 'others >= 0 ?'],
    ['a round may call', "?.kind === 'call') return undefined;", "?.kind === 'call') continue;"],
    ['a round may go past the may_goto', "if (seen === 'open') return undefined;", ''],
    ['a choice moves no pointer', 'else if (written !== undefined) places.put(written, UNKNOWN);', ''],
    ['a round may reach as far as it likes', 'return isNear ? {', 'return true ? {'],
    [
      'a pointer may be another one at the end of a round',
      'if (root < 0 || roots[root] !== root) continue;',
      'if (root < 0) continue;',
    ],
    [
      'what is aligned somewhere is aligned',
      'unit >= check.unit && (other & (check.unit - 1)) === distance',
      'unit >= check.unit',
    ],
    [
      'what a copy is away does not count for alignment',
      '(offset + check.distance) & (check.unit - 1)',
      'check.distance & (check.unit - 1)',
    ],
    [
      'a pointer counts that is lost where the loop is left',
      'step !== 0 && ends.every(([, { roots }]) => roots[register] === register)',
      'step !== 0',
    ],
    ['one that stays where it is counts', '=> step !== 0 && ends', '=> ends'],
    [
      'another may_goto takes no iterations',
      "?.kind === 'may_goto') others++;",
      "?.kind === 'may_goto') others += 0;",
    ],
    ['what is read is asked for as if it were written', 'if (isMovable) asked.push', 'asked.push'],
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
    ['alignment is that of the pointer', 'if (distance !== 0) {', 'if (false) {'],
    ['where a round is left does not count', 'code.i32(counter.distance);', 'code.i32(0);'],
    ['what is moved downwards ends at its end', 'code.get(step > 0 ? last : first);', 'code.get(last);'],
    ['what is in reserve is lost', 'e.code.get(reserve);\n  e.code.op(OP.i32_add);', ''],
    ['what a function begins with is in reserve, too', 'reserve: iterations - count', 'reserve: iterations'],
    ['a part may be more than all', 'code.op(OP.i32_lt_s);', 'code.op(OP.i32_gt_s);'],
    ['of eight pages one is enough', '* 0x0101_0101_0101_0101n', ''],
    ['the first round needs no page', 'pushNotWritable(e, first, last);\n  code.brIfOut(out);', ''],
    ['the pointer with the most room counts', 'code.op(OP.i32_lt_u);', 'code.op(OP.i32_gt_u);'],
    [
      'a run that a pointer counts ends a round early',
      'code.get(count);\n  code.i32(1);\n  code.op(OP.i32_add);\n  code.i32(step);',
      'code.get(count);\n  code.i32(step);',
    ],
    [
      'its last round costs nothing',
      'code.get(reserve);\n  code.i32(1);\n  code.op(OP.i32_sub);\n  code.set(reserve);',
      '',
    ],
    [
      'its rounds are counted, too',
      'code.set(reserve);\n  code.i32(0);\n  code.set(count);',
      'code.set(reserve);',
    ],
  ),
  ...mutantsOf('emit/jump.ts', [
    'a run begins where there are no more rounds',
    'code.get(e.scratch);\n  code.op(OP.i32_eqz);\n  code.if();\n  e.frame',
    'code.i32(1);\n  code.if();\n  e.frame',
  ]),
  ...mutantsOf('emit/function.ts', [
    'during a run nothing is checked',
    'node.run?.members.has(at) && mode',
    'node.run !== undefined && mode',
  ]),
  ...mutantsOf('emit/versions.ts', [
    'a run that cannot begin takes an iteration',
    '{ frame, at }, false, 1)',
    '{ frame, at }, false, 0)',
  ]),
];

export const ARENA: readonly Mutant[] = [...GROUPS, ...PAGES, ...RUNS];
