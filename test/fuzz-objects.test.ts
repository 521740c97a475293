/**
 * No object, however damaged, does more than fail: opening it, linking its programs and loading it into the embedded
 * kernel either work or throw our error, quickly, in little memory, and leave the kernel as it was. What is damaged are
 * real objects and an assembled one. OBJECT_FUZZ_SEED and OBJECT_FUZZ_COUNT choose other damage; a failure names the
 * number that gives the same object again.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readElf } from '../src/elf/index.ts';
import { EmbeddedKernel } from '../src/embedded/kernel.ts';
import { BpfError } from '../src/errors.ts';
import { parseObject } from '../src/object/object.ts';
import { assembleObject } from '../src/object/write.ts';
import { mutate, randomFrom } from './mutate.ts';

const FIRST = Number(process.env.OBJECT_FUZZ_SEED ?? 1);
const COUNT = Number(process.env.OBJECT_FUZZ_COUNT ?? 1500);
const LONGEST_MS = 20_000;
/** By how much the process may grow for one object; and for all, with what V8 has not collected yet: that is some 400 MiB. */
const MOST_BYTES_EACH = 256 * 1024 * 1024;
const MOST_BYTES = 1024 * 1024 * 1024;

const PROGRAMS = new URL('../programs/', import.meta.url);
const KINDS = assembleObject(readFileSync(new URL('testdata/kinds.bpfasm', import.meta.url), 'utf8'));
const CORPUS: readonly Uint8Array[] = [
  ...readdirSync(PROGRAMS)
    .filter((name) => name.endsWith('.bpf.o'))
    .sort()
    .map((name) => new Uint8Array(readFileSync(new URL(name, PROGRAMS)))),
  KINDS,
  // Small objects are hit where it matters: every wound is in a header, a table or a type.
  assembleObject('.func sub\nr0 = 1\nexit\n.section syscall\n.func main\ncall sub\nexit'),
  assembleObject(
    '.map m, type=hash, key=u32, value=u64, max_entries=1\n.section syscall\n.func main\nr1 = m ll\nr0 = 0\nexit',
  ),
];

const SECTION_HEADER = 64;

/** Where the section header table lies, and how many headers it has. */
function headers(bytes: Uint8Array): { view: DataView; start: number; count: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { view, start: Number(view.getBigUint64(40, true)), count: view.getUint16(60, true) };
}

type Random = (below: number) => number;

/** Ways to damage an object that random bytes rarely find. */
const WOUNDS: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  (bytes, random) => mutate(bytes, random(0x7fff_ffff)),
  /** Two sections swap their bytes: everything is well-formed, and in the wrong place. */
  (bytes, random) => {
    const copy = bytes.slice();
    const { start, count } = headers(copy);
    const [one, other] = [random(count), random(count)].map((index) => start + index * SECTION_HEADER + 24);
    copy.set(bytes.subarray(other, other + 16), one);
    copy.set(bytes.subarray(one, one + 16), other);
    return copy;
  },
  /** A section's header says something else: type, flags, offset, size, link, info. */
  (bytes, random) => {
    const copy = bytes.slice();
    const { view, start, count } = headers(copy);
    const field = [4, 8, 24, 32, 32, 32, 40, 44][random(8)];
    const at = start + random(count) * SECTION_HEADER + field;
    const numbers = [
      random(16),
      random(bytes.length),
      view.getUint32(at, true) + random(17) - 8,
      0xffff_ffff,
    ];
    view.setUint32(at, numbers[random(numbers.length)], true);
    return copy;
  },
  /** The first half of one object, the second of another. */
  (bytes, random) => {
    const other = CORPUS[random(CORPUS.length)];
    const from = random(other.length);
    const spliced = new Uint8Array(Math.max(bytes.length, 64));
    spliced.set(bytes);
    spliced.set(
      other.subarray(from, from + random(other.length)).subarray(0, spliced.length - random(bytes.length)),
    );
    return spliced.subarray(0, bytes.length);
  },
  /** Words of one section change: symbols, relocations, instructions, types. */
  (bytes, random) => {
    const copy = bytes.slice();
    const { sections } = readElf(copy);
    const { data } = sections[random(sections.length)];
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (let wounds = 1 + random(3); wounds > 0 && data.length >= 8; wounds--) {
      const at = 4 * random((data.length >> 2) - 1);
      const numbers = [
        random(64),
        view.getUint32(at, true) + random(5) - 2,
        1 << random(32),
        random(2 ** 32),
      ];
      view.setUint32(at, numbers[random(numbers.length)], true);
    }
    return copy;
  },
];

function damaged(seed: number): Uint8Array {
  const random = randomFrom(seed);
  const bytes = CORPUS[random(CORPUS.length)];
  return WOUNDS[random(WOUNDS.length)](bytes, random);
}

/** How far an object came. */
type Outcome = 'refused' | 'opened' | 'loaded';

async function use(kernel: EmbeddedKernel, bytes: Uint8Array): Promise<Outcome> {
  let outcome: Outcome = 'refused';
  try {
    const object = parseObject(bytes, 'damaged');
    outcome = 'opened';
    attempt(() => void object.types);
    for (const program of Object.values(object.programs)) attempt(() => object.link(program, kernel));
    const load = await kernel.load(object);
    outcome = 'loaded';
    load.close();
  } catch (error) {
    expectOurs(error);
  }
  return outcome;
}

function attempt(step: () => void): void {
  try {
    step();
  } catch (error) {
    expectOurs(error);
  }
}

function expectOurs(error: unknown): void {
  if (!(error instanceof BpfError)) throw error;
  assert.ok(error.message !== '' && !error.message.includes('undefined'), error.message);
}

/** The most memory that the process has had, in bytes. */
const peak = () => process.resourceUsage().maxRSS * 1024;

test(`${COUNT} damaged objects, from number ${FIRST}, load or fail with our error`, async (context) => {
  using kernel = new EmbeddedKernel();
  const allocated = kernel.memory.allocated;
  const outcomes: Record<Outcome, number> = { refused: 0, opened: 0, loaded: 0 };
  let slowest = 0;
  const before = peak();
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const bytes = damaged(seed);
    const started = performance.now();
    const held = peak();
    try {
      outcomes[await use(kernel, bytes)]++;
    } catch (error) {
      throw new Error(`number ${seed}`, { cause: error });
    }
    const took = performance.now() - started;
    const grown = peak() - held;
    assert.ok(grown < MOST_BYTES_EACH, `number ${seed} took ${grown >> 20} MiB`);
    slowest = Math.max(slowest, took);
    assert.ok(took < LONGEST_MS, `number ${seed} took ${took} ms`);
    assert.equal(kernel.memory.allocated, allocated, `number ${seed} left kernel memory allocated`);
    const all = peak() - before;
    assert.ok(all < MOST_BYTES, `number ${seed}: ${all >> 20} MiB`);
  }
  context.diagnostic(`${JSON.stringify(outcomes)}, slowest ${slowest.toFixed(0)} ms`);
  // Every outcome must occur often: else the test looks at nothing.
  for (const count of Object.values(outcomes)) assert.ok(count > COUNT / 50, JSON.stringify(outcomes));
});
