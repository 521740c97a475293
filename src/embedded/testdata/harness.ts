import { assembleInstructions } from '../../isa/assembler.ts';
import { type Instruction, isLdImm64 } from '../../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, opcode } from '../../isa/opcodes.ts';
import type { RunResult } from '../../kernel.ts';
import { functionsOf } from '../../verifier/functions.ts';
import { verify } from '../../verifier/verify.ts';
import { EmbeddedKernel } from '../kernel.ts';
import { kernelPointer } from '../layout.ts';
import { untypedInfo } from '../map-info.ts';
import { ArenaMap } from '../maps/arena.ts';
import type { MapAttributes } from '../maps/attributes.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { EmbeddedOptions } from '../options.ts';
import { EmbeddedProgram } from '../program.ts';

/**
 * Runs functions in assembly text in an embedded kernel with maps, for tests. A function gets its arguments in r1 and
 * up, and its 64-bit result comes back. `MAP 0` in the text stands for a ld_imm64 source and imm of the first map, and
 * `call bpf_arena_…` calls a kfunc: the same texts were loaded into Linux to record what they give.
 */

export const KFUNCS = ['bpf_arena_alloc_pages', 'bpf_arena_free_pages', 'bpf_arena_reserve_pages'];
/** Helper numbers that no helper has stand for kfuncs until their ids are known. */
const FIRST_KFUNC = 100_000;
const CONTEXT_BYTES = 48;

/**
 * The instructions of a program that runs a function.
 * @param handles what a ld_imm64 names each map by. @param kfuncId the BTF id of a kfunc.
 */
export function programText(
  asm: string,
  args: number,
  handles: readonly number[],
  kfuncId: (name: string) => number,
): Instruction[] {
  const named = KFUNCS.reduce(
    (text, name, i) => text.replaceAll(`call ${name}`, `call ${FIRST_KFUNC + i}`),
    asm,
  );
  const text = [
    ...handles.map((handle) => `ld_pseudo r0, 1, ${handle}`),
    'r6 = r1',
    ...Array.from({ length: args }, (_, i) => `r${i + 1} = *(u64 *)(r6 + ${8 + 8 * i})`),
    'call function',
    '*(u64 *)(r6 + 0) = r0',
    'r0 = 0',
    'exit',
    `function: ${named.replaceAll(/(r\d) = MAP (\d)/g, (_, register, map) => `ld_pseudo ${register}, 1, ${handles[map]}`)}`,
  ];
  const insns = assembleInstructions(text.join('\n'));
  for (const insn of insns) {
    if (opcode(insn.code)?.kind !== 'call' || insn.imm < FIRST_KFUNC) continue;
    insn.src = BPF_PSEUDO_KFUNC_CALL;
    insn.imm = kfuncId(KFUNCS[insn.imm - FIRST_KFUNC]);
  }
  return insns;
}

/** The context that hands arguments over. */
export function contextOf(args: readonly (bigint | number | string)[]): Uint8Array {
  const ctx = new Uint8Array(CONTEXT_BYTES);
  const view = new DataView(ctx.buffer);
  args.forEach((value, i) => {
    view.setBigUint64(8 + 8 * i, BigInt.asUintN(64, BigInt(value)), true);
  });
  return ctx;
}

/** The result that a program left in its context. */
export function resultOf(ctx: Uint8Array): bigint {
  return new DataView(ctx.buffer, ctx.byteOffset).getBigUint64(0, true);
}

const DEFAULTS: MapAttributes = {
  name: 'map',
  type: 1,
  keySize: 4,
  valueSize: 8,
  maxEntries: 1,
  flags: 0,
  mapExtra: 0n,
};

/** An embedded kernel with maps and the functions that were run in it, in the checked mode. Close it at the test's end. */
export class TestKernel {
  readonly kernel: EmbeddedKernel;
  readonly maps: EmbeddedMap[];
  readonly #programs = new Map<string, EmbeddedProgram>();

  constructor(maps: readonly Partial<MapAttributes>[], options: EmbeddedOptions = {}) {
    this.kernel = new EmbeddedKernel({ checked: true, ...options });
    this.maps = maps.map((map) => this.kernel.createMap({ ...DEFAULTS, ...map }));
    for (const map of this.maps) if (map instanceof ArenaMap && !map.arena.placed) map.map();
  }

  /** Runs a function. @returns all of the run's result, and r0 as an unsigned 64-bit integer. */
  run(asm: string, ...args: (bigint | number | string)[]): RunResult & { r0: bigint } {
    const result = this.#program(asm, args.length).run({ ctx: contextOf(args) });
    return { ...result, r0: resultOf(result.ctxOut as Uint8Array) };
  }

  close(): void {
    this.kernel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #program(asm: string, args: number): EmbeddedProgram {
    const key = `${args} ${asm}`;
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const { btf } = this.kernel;
    const ids = this.maps.map((map) => map.id);
    const insns = programText(asm, args, ids, (name) => btf.idOf(name, 'func') as number);
    const subprograms = functionsOf(insns);
    const arena = this.maps.find((map) => map instanceof ArenaMap)?.arena;
    const resolve = (insn: Instruction) => {
      const map = isLdImm64(insn) && insn.src === 1 ? this.kernel.mapById(insn.imm) : undefined;
      return map && kernelPointer(map.header);
    };
    const infos = new Map(this.maps.map(({ id, attributes }) => [id, untypedInfo(attributes)]));
    const map = (id: number) => infos.get(id);
    const spec = { name: asm, type: 'syscall', section: 'syscall' } as const;
    const program = new EmbeddedProgram(
      this.kernel,
      spec,
      verify({ name: asm, insns, subprograms, kernelBtf: btf, map }),
      arena,
      resolve,
      (info) => this.maps.find(({ id }) => infos.get(id) === info),
    );
    this.#programs.set(key, program);
    return program;
  }
}
