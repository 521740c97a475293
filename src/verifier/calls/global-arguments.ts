import type { Btf } from '../../btf/index.ts';
import type { ProgramType } from '../../object/program-types.ts';
import { type Env, Rejection } from '../env.ts';
import { checkUnmoved } from '../memory/context-access.ts';
import { ARENA_REG, MAYBE_NULL, pointer, type Reg, UNKNOWN_SCALAR } from '../state/reg.ts';
import { isNull } from '../values.ts';
import { checkMemoryArgument } from './memory-argument.ts';

/**
 * Arguments of global functions, by their prototypes and decl tags (Linux: btf_prepare_func_args,
 * btf_check_func_arg_match): `arg:ctx`, `arg:nonnull`, `arg:arena`.
 */

export type GlobalArgument =
  | { readonly kind: 'scalar' }
  | { readonly kind: 'ctx' }
  | { readonly kind: 'arena' }
  | { readonly kind: 'mem'; readonly size: number; readonly nullable: boolean };

export interface GlobalFunction {
  readonly args: readonly GlobalArgument[];
}

const known = new WeakMap<Env, Map<number, GlobalFunction>>();

/** What a function takes. Throws for types that global functions cannot have. */
export function argumentsOf(env: Env, subprog: number): GlobalFunction {
  let table = known.get(env);
  if (table === undefined) {
    table = new Map();
    known.set(env, table);
  }
  let found = table.get(subprog);
  if (found === undefined) {
    found = readArguments(env, subprog);
    table.set(subprog, found);
  }
  return found;
}

/** Follows typedefs and qualifiers. */
function bare(btf: Btf, id: number): { id: number; type: ReturnType<Btf['type']> } {
  const resolved = btf.resolve(id);
  return { id: resolved, type: btf.type(resolved) };
}

function readArguments(env: Env, subprog: number): GlobalFunction {
  const { btf } = env.program;
  const { name, type: funcId = 0 } = env.subprograms[subprog];
  if (btf === undefined || funcId === 0)
    throw env.reject('EINVAL', `Func#${subprog} ('${name}') has no BTF, which a global function needs`);
  const func = btf.type(funcId);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto') throw env.reject('EINVAL', `Invalid BTF of func ${name}`);
  if (proto.params.length > 5)
    throw env.reject(
      'EINVAL',
      `Global function ${name}() with ${proto.params.length} > 5 args. Buggy compiler.`,
    );
  const result = proto.type === 0 ? 'void' : bare(btf, proto.type).type.kind;
  if (result !== 'int' && result !== 'enum' && result !== 'enum64') {
    const rule = "doesn't return scalar. Only those are supported.";
    throw env.reject('EINVAL', `Global function ${name}() ${rule}`);
  }
  const args = proto.params.map((param, index) => {
    const tags = btf.declTags(funcId, index);
    return readArgument(env, btf, param.type, tags, index, name);
  });
  return { args };
}

function readArgument(
  env: Env,
  btf: Btf,
  id: number,
  tags: readonly string[],
  index: number,
  name: string,
): GlobalArgument {
  const { type } = bare(btf, id);
  if (tags.includes('arg:ctx')) return { kind: 'ctx' };
  if (tags.includes('arg:arena')) {
    if (type.kind === 'ptr') return { kind: 'arena' };
    throw env.reject('EINVAL', `arg#${index} arg:arena tag requires pointer type`);
  }
  const other = tags.find((tag) => tag.startsWith('arg:') && tag !== 'arg:nonnull');
  if (other !== undefined) throw env.unsupported(`arg#${index} of ${name}() has the tag ${other}`);
  if (type.kind === 'ptr') {
    const target = bare(btf, type.type);
    const context = CONTEXTS[env.program.type ?? 'syscall'];
    if (target.type.kind === 'struct' && btf.nameOf(target.id) === context) return { kind: 'ctx' };
    if (type.type !== 0 && target.type.kind !== 'void' && target.type.kind !== 'fwd') {
      const size = btf.sizeOf(target.id);
      return { kind: 'mem', size, nullable: !tags.includes('arg:nonnull') };
    }
    const described = `reference type('UNKNOWN ') size cannot be determined: -22`;
    throw env.reject('EINVAL', `arg#${index} ${described}`);
  }
  if (tags.length > 0) throw env.reject('EINVAL', `arg#${index} has tags that want a pointer`);
  if (type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64') return { kind: 'scalar' };
  const word = `type ${type.kind.toUpperCase()} in ${name}() is not supported yet.`;
  throw env.reject('EINVAL', `Arg#${index} ${word}`);
}

/** Structures that are the context of a program type. */
const CONTEXTS: Partial<Record<ProgramType, string>> = {
  xdp: 'xdp_md',
  sched_cls: '__sk_buff',
  sched_act: '__sk_buff',
  socket_filter: '__sk_buff',
  cgroup_skb: '__sk_buff',
  raw_tracepoint: 'bpf_raw_tracepoint_args',
};

/** What the registers hold when a global function begins. */
export function argumentRegs(env: Env, subprog: number): Reg[] {
  const { args } = argumentsOf(env, subprog);
  return args.map((arg): Reg => {
    switch (arg.kind) {
      case 'scalar':
        return UNKNOWN_SCALAR;
      case 'ctx':
        return pointer('ctx');
      case 'arena':
        return ARENA_REG;
      default:
        return pointer('mem', {
          flags: arg.nullable ? MAYBE_NULL : 0,
          id: arg.nullable ? env.newId() : 0,
          of: { kind: 'mem', size: arg.size },
        });
    }
  });
}

/** Whether a call keeps to the prototype. */
export function checkGlobalArguments(env: Env, subprog: number): void {
  const { name } = env.subprograms[subprog];
  try {
    argumentsOf(env, subprog).args.forEach((arg, index) => {
      checkGlobalArgument(env, arg, index);
    });
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    throw env.reject(error.code, `Caller passes invalid args into func#${subprog} ('${name}')`);
  }
}

function checkGlobalArgument(env: Env, arg: GlobalArgument, index: number): void {
  const number = index + 1;
  const reg = env.reg(number);
  switch (arg.kind) {
    case 'scalar':
      if (reg.kind !== 'scalar') throw env.reject('EINVAL', `R${number} is not a scalar`);
      return;
    case 'ctx':
      if (reg.kind !== 'ctx') throw env.reject('EINVAL', `arg#${index} expects pointer to ctx`);
      checkUnmoved(env, number);
      return;
    case 'arena':
      // Any number may be taken for an arena pointer.
      if (reg.kind !== 'arena' && reg.kind !== 'scalar')
        throw env.reject('EINVAL', `R${number} is not a pointer to arena or scalar.`);
      return;
    case 'mem': {
      if (arg.nullable && isNull(reg)) return;
      if (!arg.nullable && (isNull(reg) || reg.maybeNull))
        throw env.reject('EINVAL', `arg#${index} is expected to be non-NULL`);
      // Where it is NULL the callee sees NULL.
      if (reg.maybeNull) env.frame.regs[number] = reg.with({ flags: reg.flags & ~MAYBE_NULL });
      checkMemoryArgument(env, number, arg.size, false);
      checkMemoryArgument(env, number, arg.size, false, 'write');
    }
  }
}
