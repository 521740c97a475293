import { assembleObject, open } from '../src/index.ts';
import { linux, linuxUnavailable } from '../src/linux/index.ts';
import { argumentsOf } from '../tools/arguments.ts';

/**
 * A gigabyte of a Linux arena, from both sides: TypeScript writes it through the mapping and a program sums it, then a
 * program writes and TypeScript sums. Prints seconds and words a second; both sums must agree.
 */

argumentsOf('usage: npm run bench -- linux-arena', { json: { type: 'boolean' } });

const PAGES = 2 ** 18;
const BYTES = PAGES * 4096;

const TEXT = `
.license "GPL"
.map arena, type=arena, max_entries=${PAGES}, map_flags=0x400
.data
.var at : u64 = 0
.var words : u64 = 0
.var sum : u64 = 0
${program('sum_words', 'r3 = *(u64 *)(r2 + 0)\n r8 += r3')}
${program('fill_words', 'r3 = r7\n r3 &= 255\n *(u64 *)(r2 + 0) = r3\n r8 += r3')}
`;

/** Goes over \`words\` words from \`at\` on; stops when its loop budget ends, and goes on when run again. */
function program(name: string, step: string): string {
  return `
.section syscall
.func ${name} : s32 (void *ctx)
 r1 = arena ll
 r1 = at ll
 r6 = *(u64 *)(r1 + 0)
 r1 = words ll
 r7 = *(u64 *)(r1 + 0)
 r1 = sum ll
 r8 = *(u64 *)(r1 + 0)
loop_${name}:
 if r7 == 0 goto done_${name}
 may_goto done_${name}
 r2 = addr_space_cast(r6, 0, 1)
 ${step}
 r6 += 8
 r7 += -1
 goto loop_${name}
done_${name}:
 r1 = at ll
 *(u64 *)(r1 + 0) = r6
 r1 = words ll
 *(u64 *)(r1 + 0) = r7
 r1 = sum ll
 *(u64 *)(r1 + 0) = r8
 r0 = 0
 exit
`;
}

const reason = linuxUnavailable();
if (reason !== undefined) {
  console.log(`not measured: ${reason}`);
} else {
  using kernel = linux();
  using loaded = await (await open(assembleObject(TEXT, 'gigabyte.bpfasm'))).load(kernel);
  const { globals, programs, arena } = loaded;
  if (arena === undefined) throw new Error('the object has an arena');
  const bytes = arena.bytes;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, BYTES / 4);

  const rate = (label: string, count: number, start: number) => {
    const seconds = (performance.now() - start) / 1e3;
    console.log(
      `${label}: ${seconds.toFixed(2)} s, ${(count / seconds / 1e6).toFixed(0)} million words a second`,
    );
  };
  const runOver = (name: string) => {
    globals.at = arena.userVmStart;
    globals.words = BigInt(BYTES / 8);
    globals.sum = 0n;
    while (globals.words > 0n) programs[name].run();
    return globals.sum as bigint;
  };
  const equal = (a: bigint, b: bigint) => {
    if (a !== b) throw new Error(`the sums differ: ${a} and ${b}`);
  };

  let start = performance.now();
  for (let i = 0; i < words.length; i += 2) words[i] = i;
  rate('TypeScript writes, pages faulted in', words.length, start);
  start = performance.now();
  const theirs = runOver('sum_words');
  rate('a program sums, 64-bit words', BYTES / 8, start);
  const half = BigInt(words.length / 2);
  equal(theirs, half * (half - 1n));

  start = performance.now();
  const written = runOver('fill_words');
  rate('a program writes, 64-bit words', BYTES / 8, start);
  for (let round = 0; round < 3; round++) {
    start = performance.now();
    let low = 0;
    for (let i = 0; i < words.length; i++) low += words[i];
    rate('TypeScript reads and sums, 32-bit words', words.length, start);
    equal(BigInt(low), written);
  }
}
