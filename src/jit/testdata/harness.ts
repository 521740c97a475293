import { assembleInstructions } from '../../isa/assembler.ts';
import { imm64 } from '../../isa/instruction.ts';
import { functionsOf } from '../../verifier/functions.ts';
import type { MapInfo } from '../../verifier/input.ts';
import type { VerifiedProgram } from '../../verifier/result.ts';
import { verify } from '../../verifier/verify.ts';
import { printWat } from '../../wat/index.ts';
import { translate } from '../compile.ts';
import type { CallOut, JitOptions, Target } from '../target.ts';

/**
 * Programs in assembly text for tests of the JIT's stages: verified as `syscall` programs (r1 is the context), with maps that
 * exist in name only: `ARENA`, `ARRAY` of four values of 8 bytes, and number 3, of one value. Nothing runs; what the code would
 * do is the matter of test/instructions and test/engines.test.ts.
 */

const PLAIN = { keySize: 0, valueSize: 0, flags: 0, keyType: 0, valueType: 0 };
const MAPS: Readonly<Record<number, MapInfo>> = {
  1: { ...PLAIN, name: 'arena', type: 33, maxEntries: 16, flags: 1 << 10 },
  2: { ...PLAIN, name: 'array', type: 2, maxEntries: 4, keySize: 4, valueSize: 8 },
  3: { ...PLAIN, name: '.bss', type: 2, maxEntries: 1, keySize: 4, valueSize: 16 },
};

/** @throws VerifierError where the program is none. */
export function verified(asm: string): VerifiedProgram {
  const text = asm.replaceAll(/(r\d) = (ARENA|ARRAY)/g, (_, register, map) => {
    return `ld_pseudo ${register}, 1, ${map === 'ARENA' ? 1 : 2}`;
  });
  const insns = assembleInstructions(text);
  return verify({ name: 'test', insns, subprograms: functionsOf(insns), map: (imm) => MAPS[imm] });
}

const ARRAY_ELEMENT: CallOut = { kind: 'array-element', first: 4096, stride: 8, entries: 4, cpuStride: 0 };
const KTIME: CallOut = { kind: 'import', name: 'bpf_ktime_get_ns', args: [], result: 'double' };
const CALLS: Readonly<Record<number, CallOut>> = { 1: ARRAY_ELEMENT, 5: KTIME, 8: { kind: 'cpu-number' } };

/** An arena with a margin on both sides: no offset of an access leads past 4 GiB. */
const ARENA = { pageTable: 0x10000, noUserConv: false, start: 0x10_0000, end: 0x11_0000 };

export function targetOf({ insns }: VerifiedProgram, changes: Partial<Target> = {}): Target {
  return {
    kernelHigh: 0xffff8880 | 0,
    arena: ARENA,
    loopIterations: 1000,
    atomicLock: 64,
    tailCalls: 128,
    reportsFaults: false,
    constant: (at) => imm64(insns, at),
    isArenaAddress: () => false,
    call: (at) => CALLS[insns[at].imm],
    ...changes,
  };
}

/** What the JIT makes of a program: the WebAssembly text of each function by its name, a line an instruction. */
export function compiled(
  asm: string,
  options: JitOptions = {},
  changes: Partial<Target> = {},
): Map<string, string[]> {
  const program = verified(asm);
  const { bytes } = translate(program, targetOf(program, changes), options);
  if (!WebAssembly.validate(bytes)) throw new Error(`no valid module is made of ${asm}`);
  const functions = new Map<string, string[]>();
  for (const [, name, body] of printWat(bytes).matchAll(/\n {2}\(func \$(\S+)([\s\S]*?)\n {2}\)/g)) {
    const [, ...lines] = body.split('\n');
    functions.set(
      name,
      lines.map((line) => line.trim()).filter((line) => !line.startsWith('(local ')),
    );
  }
  return functions;
}

/** Numbers below a bound, the same for the same seed. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
