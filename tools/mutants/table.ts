/**
 * Deliberate bugs: each replaces a text that stands once in a file of a room, here of src/verifier (jit.ts has those of src/jit).
 * A test must fail for every one of them, or a case is missing. When the code that a row names has changed, the row says so and
 * is to be written anew.
 */
export interface Mutant {
  /** What is wrong then. */
  readonly name: string;
  /** Below the room. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Area {
  readonly area: string;
  /** Topics of cases that are likely to see them. */
  readonly topics: readonly string[];
  readonly mutants: readonly Mutant[];
}

export const mutantsOf = (
  file: string,
  ...rows: readonly (readonly [name: string, find: string, replace: string])[]
) => rows.map(([name, find, replace]): Mutant => ({ name, file, find, replace }));

const SCALARS: readonly Mutant[] = [
  ...mutantsOf(
    'scalar/alu.ts',
    [
      '32-bit sums never wrap',
      'if (low <= 0xffffffff && top > 0xffffffff) b.forgetUnsigned32();',
      'if (false) b.forgetUnsigned32();',
    ],
    [
      '64-bit sums never wrap',
      'if (!lowWraps && topWraps) b.forgetUnsigned();',
      'if (false) b.forgetUnsigned();',
    ],
    ['signed sums never overflow', '(a ^ sum) & (b ^ sum)) < 0', '(a ^ sum) & (b ^ sum)) > 0'],
    [
      'a difference takes the wrong end',
      'const lowLo = sub(b.uminLo, b.uminHi, src.umaxLo, src.umaxHi);',
      'const lowLo = sub(b.uminLo, b.uminHi, src.uminLo, src.uminHi);',
    ],
    [
      '32-bit products never overflow',
      'if (top > 0xffffffff) b.forgetUnsigned32();',
      'if (top > 2 ** 40) b.forgetUnsigned32();',
    ],
    [
      'an and has the larger bound',
      'b.u32max = least32(dst.u32max, src.u32max)',
      'b.u32max = most32(dst.u32max, src.u32max)',
    ],
    [
      'an or has the smaller bound',
      'compareUnsigned(dst.uminLo, dst.uminHi, src.uminLo, src.uminHi) > 0;',
      'compareUnsigned(dst.uminLo, dst.uminHi, src.uminLo, src.uminHi) < 0;',
    ],
    ['32-bit results keep the upper half', 'if (width === 32) bounds.zeroExtend();', ''],
  ),
  ...mutantsOf(
    'scalar/shifts.ts',
    [
      'a left shift keeps bits that leave',
      'if (b.u32max >>> 0 > 2 ** (31 - by)) b.forgetUnsigned32();',
      'if (b.u32max >>> 0 > 2 ** (33 - by)) b.forgetUnsigned32();',
    ],
    [
      'an arithmetic shift keeps the unsigned range',
      'b.t = tnumSar(b.t, by, 64);\n    b.forgetUnsigned();',
      'b.t = tnumSar(b.t, by, 64);',
    ],
    [
      'a shift by an unknown amount is one by its least',
      'if (!known || src.umaxHi !== 0 || src.umaxLo >>> 0 !== by || by >= width) return undefined;',
      'if (by >= width) return undefined;',
    ],
  ),
  ...mutantsOf(
    'scalar/tnum.ts',
    [
      'carries of unknown bits are forgotten',
      'const muLo = (sigmaLo ^ svLo) | a.maskLo | b.maskLo;',
      'const muLo = a.maskLo | b.maskLo;',
    ],
    [
      'a union believes one side',
      'const muLo = (a.valueLo ^ b.valueLo) | a.maskLo | b.maskLo;',
      'const muLo = a.maskLo | b.maskLo;',
    ],
    [
      'a range of numbers shares one bit too many',
      'const bits = bitLength(minLo ^ maxLo, minHi ^ maxHi);',
      'const bits = bitLength(minLo ^ maxLo, minHi ^ maxHi) - 1;',
    ],
    [
      'known bits are not compared',
      'return (b.valueLo & ~a.maskLo) === a.valueLo && (b.valueHi & ~a.maskHi) === a.valueHi;',
      'return true;',
    ],
  ),
  ...mutantsOf(
    'scalar/scalar.ts',
    [
      'a sign-extended byte is its unsigned range',
      'if (one >= 0 === other >= 0) return extendedRange(',
      'return extendedRange(',
    ],
    [
      'a truncated number keeps its range',
      'bounds.uminLo = sameAbove ? scalar.uminLo & mask : 0;',
      'bounds.uminLo = scalar.uminLo & mask;',
    ],
    [
      'lesser ranges are within',
      'compareUnsigned(old.umaxLo, old.umaxHi, cur.umaxLo, cur.umaxHi) >= 0 &&',
      '',
    ],
    ['32-bit ranges need not be within', '      old.s32max >= cur.s32max &&\n', ''],
  ),
  ...mutantsOf(
    'scalar/compare.ts',
    [
      'a comparison with ≥ is decided as >',
      'return minToMax >= 0 ? true : maxToMin < 0 ? false : undefined;',
      'return minToMax >= 0 ? true : maxToMin <= 0 ? false : undefined;',
    ],
    [
      'a bound from < is one too low',
      "const strict = op === 'jlt' || op === 'jslt' ? 1 : 0;",
      "const strict = op === 'jlt' || op === 'jslt' ? 2 : 0;",
    ],
    [
      'a bound from < is one too high',
      "const strict = op === 'jlt' || op === 'jslt' ? 1 : 0;",
      'const strict = 0;',
    ],
    ['not below is not above', "jlt: 'jge',\n  jle: 'jgt',\n  jsgt", "jlt: 'jgt',\n  jle: 'jgt',\n  jsgt"],
    [
      '32-bit comparisons tell of the whole',
      'if (width === 32) {\n    if (x.u32min',
      'if (false) {\n    if (x.u32min',
    ],
    ['any bit of a mask that is set is all of them', 'if (!one) return;', ''],
    [
      'equality with a known low half decides',
      'return a.t.valueLo === b.t.valueLo && (width === 32 || a.t.valueHi === b.t.valueHi);',
      'return a.t.valueLo === b.t.valueLo;',
    ],
  ),
  ...mutantsOf(
    'scalar/bounds.ts',
    [
      'zero extension keeps negative signed ranges',
      'const positive = this.s32min >= 0 && this.s32max >= 0;',
      'const positive = true;',
    ],
    [
      'low halves tell of the whole where upper halves differ',
      'if (this.uminHi === this.umaxHi) {',
      'if (this.uminLo <= this.umaxLo) {',
    ],
  ),
];

const ARITHMETIC: readonly Mutant[] = [
  ...mutantsOf(
    'explore/alu.ts',
    ['a 32-bit move keeps the number', 'const same = fitsIn(reg.scalar, 4);', 'const same = true;'],
    [
      'a sign extension keeps its tie',
      'const unchanged = scalar.umaxHi === 0 && scalar.umaxLo >>> 0 < 2 ** (bits - 1);',
      'const unchanged = true;',
    ],
    [
      'casts keep pointers',
      'env.setReg(dst, imm === CAST_KERN ? ARENA_REG : UNKNOWN_SCALAR);',
      'env.setReg(dst, imm === CAST_KERN ? ARENA_REG : env.reg(dst));',
    ],
    ['casts need no arena', 'if (arenaOf(env) === undefined) {', 'if (false) {'],
    [
      'a tie outlives any addition',
      'return scalarReg(result, old.precise);\n  return old.with',
      'return old.withScalar(result);\n  return old.with',
    ],
  ),
  ...mutantsOf(
    'explore/pointer-alu.ts',
    ['or-null pointers move', 'if (pointer.has(MAYBE_NULL)) throw', ''],
    ['32-bit arithmetic moves pointers', 'if (row.width !== 64) {', 'if (false) {'],
    [
      'packet pointers keep their range when they move by an unknown number',
      '? pointer.with({ scalar, id: env.newId(), range: 0 })',
      '? pointer.with({ scalar })',
    ],
    ['offsets may be unbounded', 'if (min === -(2 ** 63)) {', 'if (false) {'],
    ['offsets may be large', 'if (Math.abs(off) >= MAX_VARIABLE_OFFSET)', 'if (false)'],
  ),
  ...mutantsOf(
    'explore/linked.ts',
    [
      'a copy that was added to learns the wrong way',
      'constant(reg.off - known.off)',
      'constant(known.off - reg.off)',
    ],
    [
      'more ties than the history holds',
      'if (found.length === MAX_LINKED) return reg.untied();',
      'if (found.length === MAX_LINKED) return reg;',
    ],
  ),
  ...mutantsOf(
    'explore/jump.ts',
    [
      'NULL checks resolve all pointers',
      'if (!reg.maybeNull || reg.id !== id) return reg;',
      'if (!reg.maybeNull) return reg;',
    ],
    [
      'the wrong side is NULL',
      "resolveNull(env, env.state, left, op === 'jne');",
      "resolveNull(env, env.state, left, op === 'jeq');",
    ],
    ['a decided jump relies on nothing (left)', "if (left.kind === 'scalar') markPrecise(env, dst);", ''],
    [
      'a decided jump relies on nothing (right)',
      "if (byReg && right.kind === 'scalar') markPrecise(env, src);",
      '',
    ],
    [
      '32-bit comparisons resolve pointers',
      'if (width === 64) comparePointers(',
      'if (width > 0) comparePointers(',
    ],
  ),
  ...mutantsOf(
    'explore/packet-compare.ts',
    ['packet ranges are one too long', 'const range = off + (oneMore ? 1 : 0);', 'const range = off + 1;'],
    [
      'the wrong side of a packet comparison is inside',
      'jgt: { insideWhenTaken: false, oneMore: false },',
      'jgt: { insideWhenTaken: true, oneMore: false },',
    ],
    [
      'a range holds for pointers of another base',
      'reg.kind === kind && reg.id === id && reg.range < range',
      'reg.kind === kind && reg.range < range',
    ],
    [
      'a packet may be longer than any',
      'if (max > MAX_PACKET_OFFSET || max + off > MAX_PACKET_OFFSET) return;',
      '',
    ],
  ),
];

const MEMORY: readonly Mutant[] = [
  ...mutantsOf(
    'memory/region.ts',
    ['a region has one byte more', 'at + size <= memSize;', 'at + size <= memSize + 1;'],
    ['only the least offset counts', "check(max + off, 'max');", ''],
    ['only the greatest offset counts', "check(lowest, 'min');", ''],
    ['unbounded offsets are fine', 'if (max >= MAX_VARIABLE_OFFSET) {', 'if (false) {'],
    ['packets are accessed before their start', 'if (reg.scalar.sminNumber() < 0) throw', ''],
  ),
  ...mutantsOf('memory/map-access.ts', [
    'read-only maps are written',
    'if ((map.flags & forbidden) === 0) return;',
    'return;',
  ]),
  ...mutantsOf(
    'memory/alignment.ts',
    ['the stack is accessed misaligned', "if (!strict && reg.kind !== 'fp') return;", 'if (!strict) return;'],
    [
      'strict alignment is ignored',
      '(env.program.flags ?? 0) & BPF_F_STRICT_ALIGNMENT',
      '0 & BPF_F_STRICT_ALIGNMENT',
    ],
  ),
  ...mutantsOf(
    'memory/context-access.ts',
    ['a context moves', 'if (off !== 0 && !fixedAllowed)', 'if (false)'],
    ['context accesses are misaligned', 'off % size !== 0', 'false'],
  ),
  ...mutantsOf(
    'memory/stack-bounds.ts',
    ['a frame has 520 bytes', 'const below = min < -MAX_STACK ||', 'const below = min < -MAX_STACK - 8 ||'],
    [
      'the end of a stack access is not looked at',
      'if (below || max + size > 0 || size < 0) {',
      'if (below) {',
    ],
  ),
  ...mutantsOf(
    'memory/stack.ts',
    [
      'pointers are spilled in part',
      "if (size !== 8) throw env.reject('EACCES', 'invalid size of register spill');",
      '',
    ],
    [
      'pointers are filled in part',
      "if (reg.kind !== 'scalar') throw env.reject('EACCES', 'invalid size of register fill');",
      '',
    ],
    ['a narrow spill is tied to its register', 'fits ? tied : tied.untied()', 'tied'],
    [
      'a narrow fill is tied to its slot',
      'env.setReg(dst, fitsIn(reg.scalar, size) ? reg : reg.untied());',
      'env.setReg(dst, reg);',
    ],
    [
      'a store beside a spill keeps it',
      'let bytes = withoutSpecial(slotAt(frame, slot).bytes);\n    for',
      'let bytes = slotAt(frame, slot).bytes;\n    for',
    ],
    ['a store of zero relies on nothing', 'if (zero && value >= 0) markPrecise(env, value);', ''],
    [
      'a store at a variable offset keeps what was there',
      'frame.stack[slot] = new StackSlot(\n      setByte(old.isSpill',
      'if (old.isSpill) continue;\n    frame.stack[slot] = new StackSlot(\n      setByte(old.isSpill',
    ],
    [
      'some zero bytes make a zero',
      'for (let i = from; i < to && zeroes; i++) {',
      'for (let i = from; i < from + 1; i++) {',
    ],
    ['stack pointers are handed to callers', "if (frame !== env.frame && reg.kind === 'fp')", 'if (false)'],
    [
      'what a helper writes stays spilled',
      "if (access === 'write') frame.stack[at] = new StackSlot(withoutSpecial(slot.bytes), undefined);",
      '',
    ],
  ),
  ...mutantsOf(
    'memory/access.ts',
    ['or-null pointers are dereferenced', 'if (reg.has(MAYBE_NULL)) throw refuse();', ''],
    [
      'one instruction reaches two memories',
      '(ALONE.includes(fact.kind) || ALONE.includes(reg.kind))',
      'false',
    ],
    ['loads of less than a word are whole', "if (result.kind !== 'scalar' || size === 8) return;", 'return;'],
    ['read-only memory is written', "if (access === 'write' && readOnly)", 'if (false)'],
    ['any program writes packets', "if (access === 'write' && !env.rules.writesPacket)", 'if (false)'],
  ),
];

const CALLS: readonly Mutant[] = [
  ...mutantsOf(
    'calls/subprogram.ts',
    ['a ninth frame', 'if (state.depth + 1 >= MAX_FRAMES)', 'if (state.depth >= MAX_FRAMES)'],
    ['stack pointers are returned', "if (result.kind === 'fp')", 'if (false)'],
    [
      'a call leaves r1 to r5',
      'frame.regs[number] = caller.regs[number];\n  forgetArguments(env);',
      'frame.regs[number] = caller.regs[number];',
    ],
  ),
  ...mutantsOf(
    'calls/global-arguments.ts',
    ['pointers are passed for numbers', "if (reg.kind !== 'scalar') throw", ''],
    [
      'NULL is passed where it may not be',
      'if (!arg.nullable && (reg.maybeNull || isNull(reg)))',
      'if (false)',
    ],
  ),
  ...mutantsOf('calls/constant-key.ts', [
    'a key of the stack relies on nothing',
    'markSlotPrecise(env, frame.number, at);',
    '',
  ]),
  ...mutantsOf(
    'explore/atomic.ts',
    ['any fetch on the arena', "if (target.kind === 'arena' && fetch &&", 'if (false &&'],
    [
      'atomics only read',
      "checkAccess(env, { access: 'write', base: dst, off, size, value: -1, strict });",
      '',
    ],
    ['atomics on the context', 'if (FORBIDDEN.includes(reg.kind))', 'if (false)'],
  ),
];

const PRUNING: readonly Mutant[] = [
  ...mutantsOf(
    'explore/equal.ts',
    [
      'ids do not matter',
      'return ids.sameScalar(old.id & ~ADD_CONST, current.id & ~ADD_CONST);',
      'return true;',
    ],
    [
      'precise scalars do not matter',
      "if (!old.precise && exactness === 'relaxed') return true;",
      "if (exactness === 'relaxed') return true;",
    ],
    [
      'constants that were added do not matter',
      'if (added !== (current.id & ADD_CONST) || (added !== 0 && old.off !== current.off)) return false;',
      '',
    ],
    ['packet ranges do not matter', '} else if (old.range > current.range) return false;', '}'],
    [
      'packet ids do not matter',
      'return old.off === current.off && ids.same(old.id, current.id) && within(',
      'return old.off === current.off && within(',
    ],
    ['call sites do not matter', 'if (a.callsite !== b.callsite ||', 'if ('],
    ['held references do not matter', 'if (!sameHeld(old, current, ids)) return false;', ''],
    ['the stack does not matter', 'if (!slotsEqual(slot, other, ids, exactness)) return false;', ''],
    ['zero bytes equal any', 'if (a !== b && a !== INVALID && a !== MISC) return false;', ''],
  ),
  ...mutantsOf(
    'explore/backtrack.ts',
    [
      'a source operand is not followed back',
      "if (row.source === 'X' && src !== BPF_REG_10) wanted.addReg(src);\n      break;\n    case 'load':",
      "break;\n    case 'load':",
    ],
    [
      'spilled scalars are not followed back',
      'if (entry !== undefined && entry.frame >= 0) wanted.addSlot(entry.slot, entry.frame);\n  return true;',
      'return true;',
    ],
    [
      'stored scalars are not followed back',
      "wanted.dropSlot(entry.slot, entry.frame);\n        if (row.source === 'X') wanted.addReg(src);",
      'wanted.dropSlot(entry.slot, entry.frame);',
    ],
  ),
  ...mutantsOf('explore/wanted.ts', [
    'linked scalars are not followed back',
    'if (entry === undefined || entry.linked.length === 0) return;',
    'return;',
  ]),
  ...mutantsOf(
    'explore/precision.ts',
    [
      'what an equal state relied on is forgotten',
      "if (regs[i].precise && regs[i].kind === 'scalar') wanted.addReg(i, number);",
      ';',
    ],
    [
      'what an equal state relied on is forgotten, on the stack',
      'if (slot?.reg?.precise && slot.isScalarSpill) wanted.addSlot(i, number);',
      '',
    ],
  ),
  ...mutantsOf(
    'explore/stack-liveness.ts',
    [
      'reads are not noted',
      'if (slot < 32) before.readLow |= bit(slot);',
      'if (slot > 32) before.readLow |= bit(slot);',
    ],
    [
      'a partial write hides what was there',
      'const written = slot < 32 ? frame.writtenLow : frame.writtenHigh;',
      'const written = -1;',
    ],
  ),
  ...mutantsOf(
    'explore/loops.ts',
    [
      'back edges are not gone round again',
      'else changed = propagatePrecision(env, equal, edge) || changed;',
      '',
    ],
    ['what is read is not passed along back edges', 'changed = propagateReads(equal, edge) || changed;', ''],
  ),
  ...mutantsOf(
    'explore/prune.ts',
    ['what an equal state read is forgotten', 'propagateReads(old, state);', ''],
    [
      'an unfinished loop is compared as a finished one',
      'const loop = isIncomplete(old);',
      'const loop = false;',
    ],
    [
      'loops that never end',
      'const problem = `infinite loop detected',
      'return false;\n    const problem = `infinite loop detected',
    ],
    [
      'may_goto loops are pruned whatever changed',
      "if (old.mayGotoDepth !== state.mayGotoDepth && statesEqual(env, old, state, 'ranges')) return true;",
      "if (old.mayGotoDepth !== state.mayGotoDepth && statesEqual(env, old, state, 'relaxed')) return true;",
    ],
  ),
  ...mutantsOf(
    'explore/widen.ts',
    ['precise scalars are widened', 'if (before.precise || reg.precise) return reg;', ''],
    ['nothing is widened', 'return same ? reg : scalarReg(UNKNOWN);', 'return reg;'],
  ),
  ...mutantsOf('flow/points.ts', [
    'may_goto without a checkpoint',
    "if (kind === 'may_goto') checkpoint[at] = 1;",
    '',
  ]),
  ...mutantsOf('flow/live-registers.ts', [
    'the address of a store is not live',
    "return { use: row.source === 'X' ? dst | src : dst, def: 0 };\n    case 'atomic'",
    "return { use: row.source === 'X' ? src : 0, def: 0 };\n    case 'atomic'",
  ]),
  ...mutantsOf('explore/explore.ts', [
    'a million instructions are not enough',
    'export const MAX_PROCESSED = 1_000_000;',
    'export const MAX_PROCESSED = 10_000;',
  ]),
];

const OBJECTS: readonly Mutant[] = [
  ...mutantsOf(
    'calls/argument.ts',
    ['a dynptr that holds nothing is given back', 'if (!held) throw', 'if (false) throw'],
    [
      'what is not held is given back',
      '} else if (reg.refId === 0 && !isNull(reg)) {',
      '} else if (false) {',
    ],
  ),
  ...mutantsOf(
    'state/references.ts',
    ['pointers outlive their object', 'env.eachReg((reg) => (reg.refId === id ? UNKNOWN_SCALAR : reg));', ''],
    [
      'a reference stays held',
      'env.state.held = env.state.held.filter((held) => held.type !==',
      'void env.state.held.filter((held) => held.type !==',
    ],
    ['nodes outlive their lock', 'env.eachReg((reg) => (reg.has(NON_OWN_REF) ? UNKNOWN_SCALAR : reg));', ''],
  ),
  ...mutantsOf(
    'explore/resource-leak.ts',
    ['objects are leaked', 'if (lingering.length > 0) throw', 'if (false) throw'],
    ['a lock is leaked', "if (regions && holdsLock(env)) throw inside('bpf_spin_lock-ed');", ''],
    ['a read section is leaked', "if (rcuLocks > 0) return 'bpf_rcu_read_lock-ed';", ''],
    [
      'preemption stays off',
      "return preemptLocks > 0 ? 'bpf_preempt_disable-ed' : undefined;",
      'return undefined;',
    ],
    ['interrupts stay off', "if (irqId !== 0) return 'bpf_local_irq_save-ed';", ''],
  ),
  ...mutantsOf(
    'regions.ts',
    ['programs sleep in read sections', "if (state.rcuLocks > 0) return 'rcu_read_lock region';", ''],
    [
      'programs sleep with preemption off',
      "if (state.preemptLocks > 0) return 'non-preemptible region';",
      '',
    ],
    ['anything is called under a lock', 'if (!holdsLock(env)) return;', 'return;'],
  ),
  ...mutantsOf(
    'memory/dynptr.ts',
    ['a dynptr may begin anywhere', 'if (off % 8 !== 0 || slot + 1 < slots) {', 'if (slot + 1 < slots) {'],
    [
      'the second half of a dynptr is one',
      "of?.kind !== 'dynptr' || !of.first) return undefined;",
      "of?.kind !== 'dynptr') return undefined;",
    ],
    [
      'a referenced dynptr is overwritten',
      "if (dynptr?.of?.kind === 'dynptr' && isCounted(dynptr.of.type))",
      'if (false)',
    ],
    ['slices outlive their dynptr', 'env.eachReg((reg) => (isSliceOf(reg, id) ? UNKNOWN_SCALAR : reg));', ''],
    ['ring buffer dynptrs hold nothing', "return type === 'ringbuf';", 'return false;'],
  ),
  ...mutantsOf(
    'memory/iterator.ts',
    [
      'an iterator is made over another',
      'if (slot === undefined || overlaps(env, reg, slot, slots))',
      'if (slot === undefined)',
    ],
    ['iterators of another type', 'if (of.btf !== type.btf || of.id !== type.id) return false;', ''],
    ['a destroyed iterator holds still', 'releaseReference(env, frame.stack[slot]?.reg?.refId ?? 0);', ''],
    [
      'an iterator never drains',
      "changeIterator(state.frames[frame], slot, (of) => ({ ...of, state: 'drained' }));",
      '',
    ],
    ['what an iterator gives is never NULL', 'env.setReg(0, ZERO_SCALAR);', 'void ZERO_SCALAR;'],
    [
      'rounds of an iterator are not widened',
      'if (earlier !== undefined) widenAgainst(earlier, queued);',
      '',
    ],
  ),
  ...mutantsOf(
    'calls/callbacks.ts',
    [
      'a callback runs once at most',
      'const queued = pushBranch(env, start, env.at);',
      'if (caller.callbackDepth > 0) return;\n  const queued = pushBranch(env, start, env.at);',
    ],
    [
      'callbacks return anything',
      'const RETURNS = [0, 1] as const;',
      'const RETURNS = [-1000, 1000] as const;',
    ],
    ['any map is walked', 'if (!WALKABLE.includes(meta.map?.type ?? 0))', 'if (false)'],
    ['the number of rounds is not relied upon', 'markPrecise(env, 1);', ''],
  ),
  ...mutantsOf(
    'explore/prune.ts',
    [
      'a drained iterator meets an active one',
      "return isIteratorActive(state) && statesEqual(env, old, state, 'ranges');",
      "return statesEqual(env, old, state, 'ranges');",
    ],
    ['iterators do not tell rounds apart', '!iteratorsDiffer(old, state) &&', ''],
  ),
  ...mutantsOf('explore/equal.ts', [
    'objects on the stack do not matter',
    'return old.bytes === current.bytes && sameObject(old.reg, current.reg, ids);',
    'return old.bytes === current.bytes;',
  ]),
];

export const AREAS: readonly Area[] = [
  { area: 'scalars', topics: ['bounds', 'pruning'], mutants: SCALARS },
  { area: 'arithmetic and jumps', topics: ['bounds', 'pruning', 'arena'], mutants: ARITHMETIC },
  { area: 'memory', topics: ['stack', 'bounds', 'memory', 'maps'], mutants: MEMORY },
  { area: 'calls', topics: ['functions', 'structure', 'bounds', 'pruning'], mutants: CALLS },
  { area: 'pruning and precision', topics: ['pruning', 'iterators', 'callbacks'], mutants: PRUNING },
  {
    area: 'objects and regions',
    topics: ['references', 'regions', 'dynptrs', 'iterators', 'callbacks', 'objects'],
    mutants: OBJECTS,
  },
];
