import { isLdImm64, subprogramTarget } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, opcode } from '../../isa/opcodes.ts';
import type { ProgramType } from '../../object/program-types.ts';
import type { Env } from '../env.ts';
import { MAX_STACK } from '../memory/stack-bounds.ts';
import { withoutFastcalls } from './fastcall.ts';

/**
 * The stack of each chain of calls, all frames together, and what a chain must not hold (Linux: check_max_stack_depth). A
 * function whose address is taken counts as called there, unless it runs later: then it begins a chain of its own.
 */

const MAX_FRAMES = 8;
/** Frames below a tail call stay: there may be 33 of them (Linux: check_max_stack_depth_subprog). */
const MAX_BELOW_TAIL_CALL = 256;
/** Functions of fewer bytes keep to the common stack. */
const MIN_PRIVATE_STACK = 64;
const BPF_FUNC_TAIL_CALL = 12;

/** Programs of which a copy can run while another is interrupted: the x86-64 JIT gives each large frame a place of its own. */
const PRIVATE_STACKS: readonly ProgramType[] = ['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint'];

/** A frame takes multiples of 16 bytes. */
function roundedDepth(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

/** What a function does that matters to those that call it. */
interface Use {
  /** In order of the instructions. */
  readonly sites: readonly Site[];
  readonly tailCalls: boolean;
  readonly loadsAbsolute: boolean;
}

type Site =
  | { readonly kind: 'throw'; readonly at: number }
  | { readonly kind: 'call' | 'address'; readonly at: number; readonly callee: number };

function useOf(env: Env, { start, end }: { start: number; end: number }): Use {
  const sites: Site[] = [];
  let tailCalls = false;
  let loadsAbsolute = false;
  for (let at = start; at < end; at++) {
    const insn = env.insns[at];
    const kind = opcode(insn.code)?.kind;
    const target = subprogramTarget(insn, at);
    if (target !== undefined) {
      const callee = env.subprograms.findIndex((each) => each.start === target);
      sites.push({ kind: isLdImm64(insn) ? 'address' : 'call', at, callee });
    } else if (env.callKind(insn) === 'throw') sites.push({ kind: 'throw', at });
    tailCalls ||= kind === 'call' && insn.src !== BPF_PSEUDO_CALL && isTailCall(insn);
    loadsAbsolute ||= kind === 'ld_abs' || kind === 'ld_ind';
  }
  return { sites, tailCalls, loadsAbsolute };
}

function isTailCall({ src, imm }: { src: number; imm: number }): boolean {
  return src === 0 && imm === BPF_FUNC_TAIL_CALL;
}

export function checkStackDepth(env: Env): void {
  const uses = env.subprograms.map((func) => useOf(env, func));
  const depths = withoutFastcalls(env).map(roundedDepth);
  const { type = 'syscall', attachType } = env.program;
  const interrupts = PRIVATE_STACKS.includes(type) || (type === 'tracing' && attachType !== 'trace_iter');
  const mayBePrivate = interrupts && !uses.some(({ tailCalls }) => tailCalls);
  // Functions that those which run later call: they keep to the common stack wherever they are called.
  const common = new Set<number>();
  for (let root = env.subprograms.length - 1; root >= 0; root--) {
    if (root !== 0 && !env.asyncCallbacks.has(root)) continue;
    new Chains(env, uses, depths, root === 0 && mayBePrivate, common).follow(root);
  }
}

/** What the loop that Linux writes in place of a bpf_loop saves, and where x86-64 keeps the time of a `may_goto`; in bytes. */
const LOOP_SAVES = 24;
const MAY_GOTO_TIME = 16;

/**
 * Bytes of each function's frame once Linux has rewritten an accepted program: functions that nothing reaches are gone, loops
 * need room, and one that ends the program is there where nothing catches what it throws.
 */
export function finalDepths(env: Env): number[] {
  const { facts, insns, subprograms } = env;
  const depths = withoutFastcalls(env);
  const final: number[] = [];
  let throws = false;
  subprograms.forEach(({ start, end }, subprog) => {
    if (facts.seen[start] === 0) return;
    let loops = false;
    let mayGoto = false;
    for (let at = start; at < end; at++) {
      if (facts.seen[at] === 0) continue;
      loops ||= facts.loopOf(at) !== undefined;
      mayGoto ||= opcode(insns[at].code)?.kind === 'may_goto';
      throws ||= env.callKind(insns[at]) === 'throw';
    }
    const saves = loops ? (-depths[subprog] & 7) + LOOP_SAVES : 0;
    final.push(depths[subprog] + saves + (mayGoto ? MAY_GOTO_TIME : 0));
  });
  if (throws && env.exceptionCallback === undefined) final.push(0);
  return final;
}

/** All chains of calls from one function. */
class Chains {
  readonly #env: Env;
  readonly #uses: readonly Use[];
  readonly #depths: readonly number[];
  readonly #private: boolean;
  readonly #common: Set<number>;
  /** The functions of the chain at hand. */
  readonly #chain: number[] = [];

  constructor(
    env: Env,
    uses: readonly Use[],
    depths: readonly number[],
    mayBePrivate: boolean,
    common: Set<number>,
  ) {
    this.#env = env;
    this.#uses = uses;
    this.#depths = depths;
    this.#private = mayBePrivate;
    this.#common = common;
  }

  follow(root: number): void {
    this.#visit(root, 0, false);
  }

  #refuse(problem: string, code: 'EINVAL' | 'EACCES' | 'E2BIG' = 'EINVAL'): Error {
    return this.#env.reject(code, problem, undefined);
  }

  get #inCallback(): boolean {
    return this.#chain.some((each) => this.#env.callbacks.has(each));
  }

  /** @returns whether a tail call was met on the way down, or was before. */
  #visit(subprog: number, below: number, tailCallsAbove: boolean): boolean {
    const { sites, tailCalls, loadsAbsolute } = this.#uses[subprog];
    const env = this.#env;
    if (!this.#private) this.#common.add(subprog);
    this.#chain.push(subprog);
    if (loadsAbsolute && this.#inCallback) throw this.#refuse('cannot use BPF_LD_[ABS|IND] within callback');
    if (subprog !== 0 && tailCalls && below >= MAX_BELOW_TAIL_CALL) {
      const problem = `tail_calls are not allowed when call stack of previous frames is ${below} bytes`;
      throw this.#refuse(`${problem}. Too large`, 'EACCES');
    }
    const depth = this.#depthOf(subprog, below);
    let reached = tailCallsAbove;
    for (const site of sites) {
      if (site.kind === 'throw') {
        if (!this.#inCallback) continue;
        const place = `(insn ${site.at}) cannot be called from callback subprog ${subprog}`;
        throw this.#refuse(`bpf_throw kfunc ${place}`);
      }
      const { callee } = site;
      if (env.asyncCallbacks.has(callee)) {
        if (site.kind === 'address') continue;
        if (callee === env.exceptionCallback)
          throw this.#refuse(`insn ${site.at} cannot call exception cb directly`);
      }
      reached ||= this.#uses[callee].tailCalls;
      if (this.#chain.length >= MAX_FRAMES)
        throw this.#refuse(`the call stack of ${this.#chain.length} frames is too deep !`, 'E2BIG');
      reached = this.#visit(callee, depth, reached);
    }
    this.#chain.pop();
    if (reached && this.#chain.some((each) => each === env.exceptionCallback))
      throw this.#refuse('cannot tail call within exception cb');
    return reached;
  }

  /** Bytes of the chain with this function's frame. */
  #depthOf(subprog: number, below: number): number {
    const own = this.#depths[subprog];
    const apart = this.#private && own >= MIN_PRIVATE_STACK && !this.#common.has(subprog);
    if (apart) {
      if (own > MAX_STACK)
        throw this.#refuse(`stack size of subprog ${subprog} is ${own}. Too large`, 'EACCES');
      return below;
    }
    if (below + own > MAX_STACK) {
      const problem = `combined stack size of ${this.#chain.length} calls is ${below + own}. Too large`;
      throw this.#refuse(problem, 'EACCES');
    }
    return below + own;
  }
}
