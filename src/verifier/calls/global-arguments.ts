import type { Btf } from '../../btf/index.ts';
import type { Env } from '../env.ts';
import { checkUnmoved } from '../memory/context-access.ts';
import { typeName } from '../state/print.ts';
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
  readonly returnsVoid: boolean;
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
  const result = proto.type === 0 ? undefined : bare(btf, proto.type).type;
  if (result !== undefined && result.kind !== 'int' && result.kind !== 'enum' && result.kind !== 'enum64') {
    const rule = "doesn't return scalar. Only those are supported.";
    throw env.reject('EINVAL', `Global function ${name}() ${rule}`);
  }
  const args = proto.params.map((param, index) => {
    const tags = btf.declTags(funcId, index);
    return readArgument(env, btf, param.type, tags, index, name);
  });
  return { args, returnsVoid: result === undefined };
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
    if (target.type.kind === 'struct' && CONTEXTS.includes(btf.nameOf(target.id))) return { kind: 'ctx' };
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
const CONTEXTS: readonly string[] = ['__sk_buff', 'xdp_md'];

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
  argumentsOf(env, subprog).args.forEach((arg, index) => {
    const number = index + 1;
    const reg = env.reg(number);
    const badly = (problem: string) => {
      env.say(problem);
      return env.reject('EINVAL', `Caller passes invalid args into func#${subprog} ('${name}')`);
    };
    switch (arg.kind) {
      case 'scalar':
        if (reg.kind !== 'scalar') throw badly(`R${number} is not a scalar`);
        return;
      case 'ctx':
        if (reg.kind !== 'ctx') throw badly(`arg#${index} expects pointer to ctx`);
        checkUnmoved(env, number);
        return;
      case 'arena':
        // Any number may be taken for an arena pointer.
        if (reg.kind !== 'arena' && reg.kind !== 'scalar')
          throw badly(`R${number} is not a pointer to arena or scalar.`);
        return;
      case 'mem':
        if (reg.kind === 'not_init' || reg.kind === 'arena')
          throw badly(`R${number} type=${typeName(reg)} expected=fp`);
        if (arg.nullable && isNull(reg)) return;
        if (!arg.nullable && (isNull(reg) || reg.maybeNull))
          throw badly(`arg#${index} is expected to be non-NULL`);
        checkMemoryArgument(env, number, arg.size, false);
    }
  });
}
