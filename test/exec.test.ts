import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assembleInstructions } from '../src/isa/assembler.ts';
import { encode } from '../src/isa/instruction.ts';

/** `bpf-arena exec`: the plugin protocol of bpf_conformance, as its runner speaks it. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Pairs of digits with a blank behind each, on one line. */
function hex(asm: string): string {
  return Array.from(
    encode(assembleInstructions(asm)),
    (byte) => `${byte.toString(16).padStart(2, '0')} `,
  ).join('');
}

const SUM = hex('r0 = *(u8 *)(r1 + 0); r1 = *(u8 *)(r1 + 1); r0 += r1; r0 *= r2; exit');
const MINUS_ONE = hex('r0 = -1; exit');

const CASES: readonly (readonly [
  rule: string,
  args: string[],
  stdin: string,
  status: number,
  out: RegExp,
])[] = [
  ['prints r0 in hex', ['0a 0b '], SUM, 0, /^2a\n$/],
  ['interprets when asked', ['0a0b', '--interpreter'], SUM, 0, /^2a\n$/],
  ['takes no memory, or none in it', [''], MINUS_ONE.replaceAll(' ', ''), 0, /^ffffffffffffffff\n$/],
  ['refuses what the verifier refuses', [], SUM, 1, /instruction 0: R1 invalid mem access 'scalar'/],
  ['refuses half an instruction', [], 'b7 00 00', 1, /not a whole number of 8-byte instructions/],
  ['refuses what is no hex', ['0g'], MINUS_ONE, 2, /the memory is not pairs of hexadecimal digits/],
];

describe('bpf-arena exec', () => {
  for (const [rule, args, input, status, out] of CASES)
    it(`${rule}: exit status ${status}`, () => {
      const run = spawnSync(process.execPath, ['bin/bpf-arena.js', 'exec', ...args], {
        cwd: ROOT,
        encoding: 'utf8',
        input,
      });
      assert.equal(run.status, status, run.stderr);
      assert.match(status === 0 ? run.stdout : run.stderr, out);
      assert.equal(status === 0 ? run.stderr : run.stdout, '');
    });

  it('needs no more than a line: stdin may stay open', { timeout: 60_000 }, async () => {
    const child = spawn(process.execPath, ['bin/bpf-arena.js', 'exec'], { cwd: ROOT });
    child.stdin.write(`${MINUS_ONE}\n`);
    assert.equal(await text(child.stdout), 'ffffffffffffffff\n');
  });
});
