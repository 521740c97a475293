import type { Btf } from '../../btf/index.ts';
import { slots } from '../../isa/instruction.ts';
import { opcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';

/**
 * Functions that may return where no exit stands: a load by BPF_ABS leaves its function with 0 when the packet is too short,
 * a tail call that fails goes on. Both need a function that returns a number, as its type says (Linux: check_abnormal_return,
 * check_btf_func).
 */
export function checkAbnormalReturns(env: Env): void {
  const { btf } = env.program;
  const typed = btf !== undefined && env.subprograms.every(({ type = 0 }) => type !== 0);
  for (const { start, end, type = 0 } of env.subprograms.slice(1)) {
    if (typed && returnsNumber(btf, type)) continue;
    const where = typed
      ? "is only allowed in functions that return 'int'."
      : 'is not allowed in subprogs without BTF';
    const { loads, tailCalls } = usesOf(env, start, end);
    if (loads) throw env.reject('EINVAL', `LD_ABS ${where}`, undefined);
    if (tailCalls) throw env.reject('EINVAL', `tail_call ${where}`, undefined);
  }
}

const TAIL_CALL = 12;

function usesOf({ insns }: Env, start: number, end: number): { loads: boolean; tailCalls: boolean } {
  let loads = false;
  let tailCalls = false;
  for (let at = start; at < end; at += slots(insns[at])) {
    const { code, src, imm } = insns[at];
    const kind = opcode(code)?.kind;
    loads ||= kind === 'ld_abs' || kind === 'ld_ind';
    tailCalls ||= kind === 'call' && src === 0 && imm === TAIL_CALL;
  }
  return { loads, tailCalls };
}

/** Linux: btf_type_is_small_int, btf_is_any_enum. */
function returnsNumber(btf: Btf, func: number): boolean {
  const type = btf.type(func);
  const proto = type.kind === 'func' ? btf.type(type.type) : undefined;
  if (proto?.kind !== 'func_proto' || proto.type === 0) return false;
  const result = btf.resolve(proto.type);
  const { kind } = btf.type(result);
  return kind === 'enum' || kind === 'enum64' || (kind === 'int' && btf.sizeOf(result) <= 8);
}
