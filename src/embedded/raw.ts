import { BpfError } from '../errors.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { type Instruction, instruction, isLdImm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_VALUE, opcode } from '../isa/opcodes.ts';
import { MAP_TYPES } from '../object/map-types.ts';
import { VerifierError } from '../verifier/errors.ts';
import { checkReachability, checkStructure } from '../verifier/flow/structure.ts';
import { functionsOf } from '../verifier/functions.ts';
import type { ProgramToVerify } from '../verifier/input.ts';
import { verify } from '../verifier/verify.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { kernelPointer } from './layout.ts';
import { untypedInfo } from './map-info.ts';
import type { EmbeddedMap } from './maps/map.ts';
import { EmbeddedProgram } from './program.ts';
import { requireRunnable } from './runnable.ts';

/**
 * Runs a raw program: bare instructions and some memory, no object. r1 points to the memory, r2 is its length, and all 64 bits
 * of r0 come back. It becomes an ordinary `syscall` program, judged by the ordinary rules: the memory is the value of
 * an array map, which a few instructions in front load into r1, and each `exit` of the program's first function goes to a
 * few others in front that store r0 in a second map. So the program keeps its whole stack and all its call frames.
 */

const GOTOL = 0x06;
const NAME = 'raw';

/**
 * Verifies and runs a raw program once.
 *
 * @param memory what r1 points to; with no bytes r1 is 0. @returns r0, unsigned, and the memory afterwards.
 * @throws VerifierError when the program is refused, its places counted in slots of `insns`; EINVAL when it refers to a map;
 * EOPNOTSUPP when it calls what this kernel does not have; what a run throws.
 */
export function runRaw(
  kernel: EmbeddedKernel,
  insns: readonly Instruction[],
  memory: Uint8Array = new Uint8Array(),
): { r0: bigint; memory: Uint8Array } {
  checkAlone(insns);
  const maps: EmbeddedMap[] = [];
  const createValue = (name: string, valueSize: number) => {
    const attributes = { name, type: MAP_TYPES.array, keySize: 4, valueSize, maxEntries: 1, flags: 0 };
    const map = kernel.createMap({ ...attributes, mapExtra: 0n });
    maps.push(map);
    return map;
  };
  try {
    const result = createValue('result', 8);
    const input = memory.length === 0 ? undefined : createValue('memory', memory.length);
    input?.update(FIRST, memory);
    const program = load(kernel, maps, framed(insns, input?.id, memory.length, result.id), insns.length);
    program.run();
    const [r0] = new BigUint64Array((result.lookup(FIRST) as Uint8Array).buffer);
    return { r0, memory: input?.lookup(FIRST) ?? memory };
  } finally {
    for (const map of maps) kernel.closeMap(map);
  }
}

/** The key of a map's only element. */
const FIRST = new Uint8Array(4);

/** What must be found before anything stands in front: jumps that leave the program, and references to maps. */
function checkAlone(insns: readonly Instruction[]): void {
  const bare: ProgramToVerify = { name: NAME, insns, subprograms: functionsOf(insns) };
  checkStructure(bare);
  checkReachability(bare);
  insns.forEach((insn, at) => {
    if (isLdImm64(insn) && insn.src !== 0 && insn.src !== BPF_PSEUDO_FUNC)
      throw new BpfError('EINVAL', `program '${NAME}', instruction ${at}: a raw program has no maps`);
  });
}

/** The program behind what sets its registers and takes its result. */
function framed(
  insns: readonly Instruction[],
  memoryId: number | undefined,
  length: number,
  resultId: number,
): Instruction[] {
  const memory = memoryId === undefined ? 'r1 = 0' : `ld_pseudo r1, ${BPF_PSEUDO_MAP_VALUE}, ${memoryId}`;
  const start = assembleInstructions(`${memory}; r2 = ${length}`);
  const entry = functionsOf(insns)[0];
  // Without a way to it the end would be unreachable; the verifier says what is wrong with such a program.
  if (!insns.slice(0, entry.end).some(isPlainExit)) return [...start, ...insns];
  const end = assembleInstructions(
    `ld_pseudo r1, ${BPF_PSEUDO_MAP_VALUE}, ${resultId}; *(u64 *)(r1 + 0) = r0; r0 = 0; exit`,
  );
  const overEnd = instruction(GOTOL, { imm: end.length });
  const body = insns.map((insn, at) =>
    at < entry.end && isPlainExit(insn) ? instruction(GOTOL, { imm: -(end.length + at + 1) }) : insn,
  );
  return [...start, overEnd, ...end, ...body];
}

/** One with reserved fields set stays, to be refused. */
function isPlainExit({ code, dst, src, imm }: Instruction): boolean {
  return opcode(code)?.kind === 'exit' && dst === 0 && src === 0 && imm === 0;
}

function load(
  kernel: EmbeddedKernel,
  maps: readonly EmbeddedMap[],
  insns: readonly Instruction[],
  length: number,
): EmbeddedProgram {
  const infos = new Map(maps.map(({ id, attributes }) => [id, untypedInfo(attributes)]));
  try {
    const verified = verify({
      name: NAME,
      insns,
      subprograms: functionsOf(insns),
      kernelBtf: kernel.btf,
      map: (id) => infos.get(id),
      logLevel: kernel.logLevel,
    });
    requireRunnable(kernel, verified);
    const resolve = (insn: Instruction): bigint | undefined => {
      if (insn.src !== BPF_PSEUDO_MAP_VALUE) return undefined;
      const value = kernel.mapById(insn.imm)?.valueAddress(0);
      return value === undefined ? undefined : kernelPointer(value);
    };
    const spec = { name: NAME, type: 'syscall', section: 'syscall' } as const;
    return new EmbeddedProgram(kernel, spec, verified, undefined, resolve);
  } catch (error) {
    throw error instanceof VerifierError ? shifted(error, insns.length - length) : error;
  }
}

/** The error with its places counted from the program's own first slot. */
function shifted(error: VerifierError, by: number): VerifierError {
  const { insn, problem, code, log, insnsProcessed } = error;
  const own = (at: number) => Math.max(at - by, 0);
  const place = insn === undefined || insn < by ? undefined : own(insn);
  const text = problem.replace(/\b(insn|insns) (\d+)/g, (_, word, at) => `${word} ${own(Number(at))}`);
  return new VerifierError({ name: NAME }, place, text, code, log, insnsProcessed);
}
