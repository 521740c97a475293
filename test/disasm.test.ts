import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assemble } from '../src/isa/assembler.ts';
import { encode, type Instruction } from '../src/isa/instruction.ts';
import { disassemble, listingOf } from '../src/object/listing.ts';
import { parseObject } from '../src/object/object.ts';
import { compileBpf, noClang } from './clang.ts';

const PROGRAMS = new URL('../programs/', import.meta.url);
const OBJDUMP = 'llvm-objdump-22';
const noObjdump = spawnSync(OBJDUMP, ['--version']).status === 0 ? false : `${OBJDUMP} is not installed`;
const objects = readdirSync(PROGRAMS).filter((file) => file.endsWith('.bpf.o'));

/** Instructions of a listing as `slot: text`, without what stands in angle brackets; labels apart. */
function instructions(lines: Iterable<string>): string[] {
  return [...lines]
    .map((line) => /^\s*(\d+):\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, slot, text]) => `${slot}: ${text.replace(/ <.*>$/, '')}`);
}

/** Jumps with the label that they go to. */
function jumps(lines: Iterable<string>): string[] {
  return [...lines]
    .filter((line) => /goto .*<.*>$/.test(line))
    .map((line) => line.replace(/\s+/g, ' ').trim());
}

describe('an object that cannot be opened', { skip: noClang }, () => {
  it('is listed all the same, without references', () => {
    const source = `
      extern void absent(void);
      __attribute__((section("syscall"), used)) int f(void *ctx) { absent(); return *(int *)ctx; }`;
    const bytes = compileBpf(source, ['-g0']);
    assert.throws(() => parseObject(bytes), { code: 'EINVAL' });
    const lines = instructions([...disassemble(listingOf(bytes))].join('\n').split('\n'));
    assert.deepEqual(lines.at(-1)?.replace(/^\d+: /, ''), 'exit');
    assert.ok(
      lines.some((line) => line.endsWith('call -0x1')),
      lines.join('\n'),
    );
  });
});

describe('disassembly of programs/', () => {
  for (const file of objects) {
    const bytes = readFileSync(new URL(file, PROGRAMS));
    const listing = () => [...disassemble(parseObject(bytes))];

    it(`equals llvm-objdump's, instruction for instruction and label for label: ${file}`, {
      skip: noObjdump,
    }, () => {
      const args = ['-d', '--no-show-raw-insn', new URL(file, PROGRAMS).pathname];
      const expected = spawnSync(OBJDUMP, args, { encoding: 'utf8' }).stdout.split('\n');
      assert.deepEqual(instructions(listing()), instructions(expected));
      assert.deepEqual(jumps(listing()), jumps(expected));
    });

    it(`assembles to the same bytes: ${file}`, () => {
      const hex = (insns: readonly Instruction[]) => Buffer.from(encode(insns)).toString('hex');
      const again = assemble(listing().join('\n'));
      const code = again.sections.filter((section) => section.kind === 'code');
      assert.deepEqual(
        Object.fromEntries(code.map(({ name, insns }) => [name, hex(insns)])),
        Object.fromEntries(parseObject(bytes).code.map(({ name, insns }) => [name, hex(insns)])),
      );
    });
  }
});
