import { BpfError } from '../errors.ts';
import { helperName } from '../isa/helper-names.ts';
import { slots } from '../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, opcode } from '../isa/opcodes.ts';
import type { ProgramType } from '../object/program-types.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { CONTEXTS } from './contexts/table.ts';
import { helper } from './helpers/table.ts';
import type { EmbeddedKernel } from './kernel.ts';

/**
 * What this kernel can run of what its verifier accepts: the verifier knows more of Linux than stands behind it here.
 */

/** Program types that can be run; others that the verifier knows are verified only. */
export const RUNNABLE_PROGRAM_TYPES = Object.keys(CONTEXTS) as readonly ProgramType[];

/** Throws EOPNOTSUPP where a program reaches something that is only judged here. */
export function requireRunnable(kernel: EmbeddedKernel, program: VerifiedProgram): void {
  const { insns, facts } = program;
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    if (facts.seen[at] === 0) continue;
    const { code, src, imm } = insns[at];
    const kind = opcode(code)?.kind;
    if (kind !== 'call' || src === BPF_PSEUDO_CALL) continue;
    if (src === BPF_PSEUDO_KFUNC_CALL) {
      if (kernel.kfunc(imm) === undefined) throw refusal(program, at, `kfunc ${kernel.btf.nameOf(imm)}`);
    } else if (helper(imm) === undefined) {
      throw refusal(program, at, `helper bpf_${helperName(imm) ?? imm}`);
    }
  }
}

function refusal(program: VerifiedProgram, at: number, what: string): BpfError {
  const source = program.sourceAt(at);
  const line = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`;
  const advice = 'it is verified here, but not run; --kernel linux runs it';
  return new BpfError(
    'EOPNOTSUPP',
    `program '${program.name}', instruction ${at}${line}: ${what} is not in the embedded kernel: ${advice}`,
  );
}
