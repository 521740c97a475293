import { type Mutant, mutantsOf } from '../table.ts';

/** Deliberate bugs in what src/jit finds out about a function before it makes code of it. */
export const ANALYSES: readonly Mutant[] = [
  ...mutantsOf(
    'flow.ts',
    ['loops are gone through once', 'waits[to] = 1;\n        again = true;', 'waits[to] = 1;'],
    ['a node that something new reaches stays as it is', 'waits[to] = 1;\n', ''],
    [
      'a load acquired goes through what it writes',
      "=== 'load_acquire' ? src : dst",
      "=== 'load_acquire' ? dst : dst",
    ],
    [
      'a set begins at the first slot of all',
      'this.#bits[slot - this.first] = isIn',
      'this.#bits[slot] = isIn',
    ],
  ),
  ...mutantsOf(
    'places.ts',
    ['a subtracted constant is added', 'return -imm;', 'return imm;'],
    ['sign extension keeps a pointer', 'insn.off <= 1 ? ', 'insn.off <= 32 ? '],
    [
      'what is loaded into a pointer leaves it what it was',
      'if (from < 0) this.put(written, root);',
      'if (from < 0) return false;',
    ],
    ['a sum with a register keeps a pointer', "return row.source === 'K' && (row.op", 'return (row.op'],
    ['a copy forgets how far away it was', '(this.offsets[from] + distanceOf(insn)) | 0', 'distanceOf(insn)'],
    [
      'copied places forget distances',
      'this.put(register, roots[register], offsets[register]);',
      'this.put(register, roots[register]);',
    ],
  ),
  ...mutantsOf(
    'stack-slots.ts',
    [
      'slots that are handed out are locals',
      'if (facts.stackEscapes(subprogram, byte)) place.promotable = false;',
      '',
    ],
    ['one slot has several sizes', 'if (place.size !== size) place.promotable = false;', ''],
    ['what overlaps stays a local', 'place.promotable = false;\n          spoil(other);', ''],
    [
      'slots are locals before anything was stored',
      'else if ((written[cell >> 5] & bit) === 0)',
      'else if (false)',
    ],
    ["a caller's slot is a function's own", ' || fact.frameDistance !== 0', ''],
    [
      'a store on one of two ways is one on both',
      'before[there] & written[word]',
      'before[there] | written[word]',
    ],
    ['a function is entered with all slots written', 'before.fill(0, 0, words);', ''],
  ),
  ...mutantsOf(
    'liveness.ts',
    [
      'what a jump compares is not wanted',
      "case 'jump':\n        useRegister(live, registers, dst);",
      "case 'jump':",
    ],
    [
      'what is stored is not wanted',
      "else useRegister(live, registers, dst);\n        if (row.source === 'X') useRegister(live, registers, src);\n        return;\n      }\n      case 'load'",
      "else useRegister(live, registers, dst);\n        return;\n      }\n      case 'load'",
    ],
    [
      'a promoted slot is never wanted',
      'if (cell !== undefined) use(live, cell);',
      'if (cell !== undefined) return;',
    ],
    [
      'the expected value of cmpxchg is not wanted',
      "=== 'cmpxchg') use(live, registers[0]);",
      "=== 'cmpxchg') return;",
    ],
    [
      'what an inlined function is given is not wanted',
      'if (wanted) use(live, outer.registers[register]);',
      '',
    ],
    ['a budget ends with a round', 'use(live, loop.count);\n        use(live, loop.deadline);', ''],
    [
      'what a callee reads is not wanted',
      '(args & (1 << register)) !== 0);\n    }',
      'false && args === register);\n    }',
    ],
    [
      'loops are gone through once',
      'before[row + word] = now;\n          changed = true;',
      'before[row + word] = now;',
    ],
    ['what a node reads is not wanted before it', 'reads[row + word] | (live', '0 | (live'],
    ['what a node does not write is not wanted before it', '~writes[row + word]', '0'],
    ['sets that were kept are lost where more are', 'more.set(this.#sets);', ''],
    ['what a choice may leave is not wanted', 'live[word] |= untouched[word];', 'live[word] |= 0;'],
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
      'state[register] >= before[to * MAX_BPF_REG',
      'state[register] <= before[to * MAX_BPF_REG',
    ],
    ['calls keep what they clobber', 'state.fill(0, 0, 6);', 'state.fill(0, 0, 1);'],
    ['an access says of its base what holds of its address', ' || insn.off % size !== 0', ''],
    [
      'a pointer that moved on is still a copy',
      'isCopy(insn) ? names[insn.src] : fresh++',
      'isCopy(insn) ? names[insn.src] : names[written]',
    ],
    ['all that is no copy is the same', 'names[insn.src] : fresh++', 'names[insn.src] : fresh'],
    [
      'what was learnt holds behind calls',
      'Math.min(state[register], checks.sure(at, register))',
      'state[register]',
    ],
    ['a load keeps what its register had', 'if (written !== undefined) state[written] = 0;', ''],
    ['a function is entered with aligned arguments', 'before.fill(0, 0, MAX_BPF_REG);', ''],
  ),
  ...mutantsOf(
    'low-constants.ts',
    ['where numbers meet the first one stays', 'before.isKnown[there] = 0;\n      isLess = true;', ''],
    ['calls keep what they clobber', 'state.isKnown.fill(0, 0, 6);', 'state.isKnown.fill(0, 0, 1);'],
    ['a difference is a sum', 'low[dst] -= right', 'low[dst] += right'],
    ['sign extension of a byte keeps a number', ' || off === 32))', ' || off >= 8))'],
    ['what is loaded is what was there', 'if (written !== undefined) state.isKnown[written] = 0;', ''],
    [
      'a loop brings what it knows to where the function is entered',
      'if (to !== 0) copy(state, 0, before, to * width, width);\n      return to !== 0;',
      'copy(state, 0, before, to * width, width);\n      return true;',
    ],
    ['a slot that gets a number keeps what it had', 'else put(state, slot, imm);', 'else return;'],
    [
      'so does one that gets a register',
      "else if (row.source === 'X') copy(state, src, state, slot, 1);",
      "else if (row.source === 'X') return;",
    ],
  ),
  ...mutantsOf(
    'upper-halves.ts',
    ['half a store wants all', 'row.size === 8 || facts', 'facts'],
    ['an atomic operation wants low halves', 'after | src | dst | 1 : after', 'after : after'],
    ['a jump compares low halves', "return after | dst | (row.source === 'X' ? src : 0);", 'return after;'],
    ['a long shift leaves low halves', "row.source === 'K' && imm < 32);", "row.source === 'K');"],
    [
      'what is shifted down has a low half only',
      "case 'arsh':\n      return after | result;",
      "case 'arsh':\n      return after;",
    ],
    ['what is divided has a low half only', 'return after | result | operand;', 'return after;'],
    [
      'a move takes the upper half from nowhere',
      'row.width === 64 && off === 0 ? others | operand',
      'row.width === 64 && off === 0 ? others',
    ],
    ['a function returns a low half', "case 'exit':\n      return 1;", "case 'exit':\n      return 0;"],
    ['what a function is given are low halves', 'return ARGUMENTS;\n  let', 'return 0;\n  let'],
    ['a pointer that may lead nowhere is a low half', 'facts.probes.has(at) ? src : 0', '0'],
    ['64 bits that are swapped were wanted in half', "row.op === 'le' ? after : after | dst", 'after'],
    [
      'loops are gone through once',
      'before[node] = wanted;\n      changed = true;',
      'before[node] = wanted;',
    ],
  ),
  ...mutantsOf(
    'choose.ts',
    ['what another jump leads to is chosen, too', 'previous[arm] === 1 && isArm(', 'isArm('],
    ['the wrong value is chosen', 'jump: at, holds, start', 'jump: at, holds: !holds, start'],
    [
      'loads are made in any case',
      "if (row?.kind !== 'alu' || row.op",
      "if (row?.kind !== 'alu' && row?.kind !== 'load') return false;\n    if (row.kind === 'alu' && row.op",
    ],
    ['what goes on elsewhere is chosen', ' && node.next[0] === join', ''],
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
