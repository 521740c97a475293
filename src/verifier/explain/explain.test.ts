import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { topics, verdictsOf } from '../testdata/cases.ts';
import { explain } from './explain.ts';

describe('a rejection in plain sentences', () => {
  const source = { file: 'list.bpf.c', line: 7, text: '\tsum += n->value;' };

  it('says what is not proven, where, and what usually fixes it', () => {
    const [what, where, fix] = explain({ problem: "R1 invalid mem access 'scalar'", insn: 3, source });
    assert.equal(what, 'r1 is dereferenced, but to the verifier it is a number, not a pointer.');
    assert.equal(where, 'It is found at list.bpf.c:7, `sum += n->value;`.');
    assert.match(fix, /^An arena pointer must go through cast_kern\(\) first/);
  });

  it('names the instruction where there is no source line', () => {
    const [, where] = explain({ problem: 'R3 !read_ok', insn: 12, source: undefined });
    assert.equal(where, 'It is found at instruction 12.');
  });

  it('quotes the line before a message that needs it', () => {
    const problem = "Caller passes invalid args into func#1 ('walk')";
    const log = `3: (85) call pc+1\nR1 type=scalar expected=fp\n${problem}\nprocessed 4 insns\n`;
    const [what] = explain({ problem, insn: 3, source, log });
    assert.match(what, /^The call of the global function walk .* \(R1 type=scalar expected=fp\)\.$/);
    assert.match(explain({ problem, insn: 3, source })[0], /\(the log says which argument\)/);
  });

  it('says nothing of a message that is not known but where it is', () => {
    assert.deepEqual(explain({ problem: 'colourless green ideas', insn: undefined, source: undefined }), []);
    assert.equal(explain({ problem: 'colourless green ideas', insn: 1, source }).length, 1);
  });

  it('knows what a newcomer meets: void pointers of global functions, traps, packets that are read-only', () => {
    const first = (problem: string) => explain({ problem, insn: 1, source })[0];
    const unknown = "arg#1 reference type('UNKNOWN ') size cannot be determined: -22";
    assert.match(first(unknown), /^Argument 1 of a global function .* no known size: void/);
    assert.match(first('unexpected __bpf_trap() due to uninitialized variable?'), /^Clang put a trap here/);
    assert.match(first('the prog does not allow writes to packet data'), /may only read it\.$/);
    assert.match(
      first('R1 is of type task_struct but sock_common is expected'),
      /^r1 points to struct task_struct/,
    );
  });

  it('is there for what Linux says to the test cases', () => {
    const messages = new Set(
      topics().flatMap((topic) => Object.values(verdictsOf(topic)).flatMap(({ message }) => message ?? [])),
    );
    const known = [...messages].filter((problem) => explain({ problem, insn: 1, source }).length === 3);
    const unknown = [...messages].filter((problem) => !known.includes(problem));
    assert.ok(known.length >= 0.99 * messages.size, `no words for: ${unknown.join('; ')}`);
  });
});
