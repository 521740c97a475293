import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assembleInstructions } from './assembler.ts';
import { decode, encode, slots } from './instruction.ts';
import { formatInstruction } from './print.ts';

const PROGRAMS = fileURLToPath(new URL('../../programs/', import.meta.url));
const FORMS: readonly [bytes: string, llvm: string][] = JSON.parse(
  readFileSync(new URL('testdata/forms.json', import.meta.url), 'utf8'),
);

const present = ['llvm-mc-22', 'llvm-objdump-22'].every(
  (tool) => spawnSync(tool, ['--version']).status === 0,
);

function run(tool: string, ...options: string[]): string {
  const { status, stdout, stderr } = spawnSync(tool, options, { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(status, 0, `${tool}: ${stderr}`);
  return stdout;
}

interface ListedSection {
  readonly name: string;
  readonly labels: Map<number, string>;
  hex: string;
  readonly texts: string[];
}

/** The code sections of an object, bytes and text, as `llvm-objdump -d` lists them. */
function listing(object: string): ListedSection[] {
  const sections: ListedSection[] = [];
  for (const line of run('llvm-objdump-22', '-d', object).split('\n')) {
    const name = /^Disassembly of section (.*):$/.exec(line)?.[1];
    if (name !== undefined) sections.push({ name, labels: new Map(), hex: '', texts: [] });
    const label = /^([\da-f]+) <(.*)>:$/.exec(line);
    if (label !== null) sections.at(-1)?.labels.set(Number.parseInt(label[1], 16) / 8, label[2]);
    const listed = /^\s*[\da-f]+:\t((?:[\da-f]{2} ?)+)\t(.*)$/.exec(line);
    const current = sections.at(-1);
    if (listed === null || current === undefined) continue;
    current.hex += listed[1].replaceAll(' ', '');
    current.texts.push(listed[2]);
  }
  return sections;
}

/** How llvm-objdump names a slot: its symbol, or the nearest one before it and the distance in bytes. */
function labelIn({ labels, name }: ListedSection): (slot: number) => string {
  const starts = [...labels.keys()].sort((a, b) => b - a);
  return (slot) => {
    const start = starts.find((each) => each <= slot);
    if (start === undefined) return name;
    const symbol = labels.get(start);
    return start === slot ? `${symbol}` : `${symbol}+0x${((slot - start) * 8).toString(16)}`;
  };
}

function comparePrintAndReassembly(section: ListedSection): void {
  const label = labelIn(section);
  const insns = decode(Uint8Array.from(Buffer.from(section.hex, 'hex')));
  const starts = insns.flatMap((insn, index) => (insn.code === 0 ? [] : [{ insn, index }]));
  assert.deepEqual(
    starts.map(({ index }) => formatInstruction(insns, index, { label })),
    section.texts,
  );
  const text = starts
    .map(({ index }) => formatInstruction(insns, index, { label, lossless: true }))
    .join('\n');
  assert.equal(Buffer.from(encode(assembleInstructions(text))).toString('hex'), section.hex);
  assert.equal(
    starts.reduce((sum, { insn }) => sum + slots(insn), 0),
    insns.length,
  );
}

describe('LLVM 22 agrees', {
  skip: present ? false : 'not run: no llvm-mc-22 and llvm-objdump-22 on PATH',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'bpf-arena-isa-'));
  after(() => rmSync(folder, { recursive: true }));
  const source = join(folder, 'in.s');
  const object = join(folder, 'out.o');

  test('on the text of every recorded form', () => {
    const bytes = FORMS.map(([hex]) => `.byte ${hex.replace(/../g, '0x$&,').slice(0, -1)}`);
    writeFileSync(source, `${bytes.join('\n')}\n`);
    run('llvm-mc-22', '--triple=bpfel', '-filetype=obj', '-o', object, source);
    const [section] = listing(object);
    assert.deepEqual(
      section.texts.map((text) => text.replace(/ <[^<>]*>$/, '')),
      FORMS.map(([, text]) => text),
    );
    comparePrintAndReassembly(section);
  });

  test('on the bytes of every recorded text that it can assemble', () => {
    // Numbers behind `gotol` past 16 bits, and pseudo calls, have no text in LLVM.
    const forms = FORMS.filter(([hex, text]) => text !== 'gotol +0x12345' && !/^85[12]0/.test(hex));
    writeFileSync(source, forms.map(([, text]) => `${text}\n`).join(''));
    run('llvm-mc-22', '--triple=bpfel', '-filetype=obj', '-o', object, source);
    assert.equal(listing(object)[0].hex, forms.map(([hex]) => hex).join(''));
  });

  const objects = readdirSync(PROGRAMS).filter((name) => name.endsWith('.bpf.o'));
  for (const name of objects) {
    test(`on ${name}: same text, and it reassembles to the same bytes`, () => {
      const sections = listing(join(PROGRAMS, name));
      assert.ok(sections.length > 0);
      for (const section of sections) comparePrintAndReassembly(section);
    });
  }
});
