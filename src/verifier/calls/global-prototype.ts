import type { Btf } from '../../btf/index.ts';
import type { ProgramType } from '../../object/program-types.ts';
import type { Env } from '../env.ts';
import { isIterator } from '../rules.ts';
import { CONTEXTS } from './context-names.ts';

/**
 * What a global function takes, by its prototype and the decl tags of its parameters (Linux: btf_prepare_func_args). Of a
 * static one nothing is asked: it is followed with what its caller has.
 */
export type GlobalArgument =
  | { readonly kind: 'scalar' | 'ctx' | 'arena' | 'dynptr' }
  | { readonly kind: 'mem'; readonly size: number; readonly nullable: boolean }
  /** Memory of which nothing is known: it is only read, and a bad address gives zeroes. */
  | { readonly kind: 'untrusted_mem' }
  | { readonly kind: 'btf'; readonly id: number; readonly trusted: boolean; readonly nullable: boolean };

const known = new WeakMap<Env, Map<number, readonly GlobalArgument[]>>();

/** Throws for prototypes that global functions cannot have. */
export function argumentsOf(env: Env, subprog: number): readonly GlobalArgument[] {
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

function readArguments(env: Env, subprog: number): readonly GlobalArgument[] {
  const { btf } = env.program;
  const { name, type: funcId = 0 } = env.subprograms[subprog];
  if (btf === undefined || funcId === 0) throw env.reject('EFAULT', 'Global functions need valid BTF');
  const func = btf.type(funcId);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto') throw env.reject('EFAULT', `Invalid type of function ${name}()`);
  const { params } = proto;
  if (params.length > 5) {
    const problem = `Global function ${name}() with ${params.length} > 5 args. Buggy compiler.`;
    throw env.reject('EINVAL', problem);
  }
  const result = proto.type === 0 ? 'void' : bare(btf, proto.type).type.kind;
  if (result !== 'int' && result !== 'enum' && result !== 'enum64') {
    const rule = "doesn't return scalar. Only those are supported.";
    throw env.reject('EINVAL', `Global function ${name}() ${rule}`);
  }
  return params.map((param, index) => {
    const tags = btf.declTags(funcId, index).filter((tag) => tag.startsWith('arg:'));
    return new ArgumentReader(env, btf, index, name).read(param.type, tags);
  });
}

const TAGS: readonly string[] = [
  'arg:ctx',
  'arg:trusted',
  'arg:untrusted',
  'arg:nonnull',
  'arg:nullable',
  'arg:arena',
];

class ArgumentReader {
  readonly #env: Env;
  readonly #btf: Btf;
  readonly #index: number;
  readonly #function: string;

  constructor(env: Env, btf: Btf, index: number, name: string) {
    this.#env = env;
    this.#btf = btf;
    this.#index = index;
    this.#function = name;
  }

  #refuse(problem: string, code: 'EINVAL' | 'EOPNOTSUPP' | 'ENOENT' = 'EINVAL'): Error {
    return this.#env.reject(code, `arg#${this.#index} ${problem}`);
  }

  read(id: number, tags: readonly string[]): GlobalArgument {
    const btf = this.#btf;
    if (!tags.every((tag) => TAGS.includes(tag)))
      throw this.#refuse('has unsupported set of tags', 'EOPNOTSUPP');
    const { type } = bare(btf, id);
    if (type.kind !== 'ptr') return this.#readNumber(type.kind, tags);
    const has = (tag: string) => tags.includes(`arg:${tag}`);
    const only = (...allowed: string[]) => tags.every((tag) => allowed.includes(tag.slice(4)));
    const combination = () => this.#refuse('has invalid combination of tags');
    if (has('ctx') || this.#isContext(type.type)) {
      if (!only('ctx')) throw combination();
      if (has('ctx')) this.#checkContext(type.type);
      return { kind: 'ctx' };
    }
    const target = bare(btf, type.type);
    if (isDynptr(btf, target)) {
      if (tags.length > 0) throw combination();
      return { kind: 'dynptr' };
    }
    if (has('trusted')) {
      if (has('nonnull') || has('untrusted')) throw combination();
      return { kind: 'btf', id: this.#kernelType(target.id), trusted: true, nullable: has('nullable') };
    }
    if (has('untrusted')) {
      if (!only('untrusted')) throw this.#refuse('untrusted cannot be combined with any other tags');
      const primitive = ['void', 'int', 'enum', 'enum64', 'float'].includes(target.type.kind);
      if (primitive) return { kind: 'untrusted_mem' };
      return { kind: 'btf', id: this.#kernelStruct(target.id), trusted: false, nullable: false };
    }
    if (has('arena')) {
      if (!only('arena')) throw this.#refuse('arena cannot be combined with any other tags');
      return { kind: 'arena' };
    }
    if (has('nullable')) throw combination();
    const size = sizeOf(btf, target);
    if (size === undefined) {
      const word = target.type.kind === 'void' ? 'UNKNOWN' : target.type.kind.toUpperCase();
      const described = `reference type('${word} ${btf.nameOf(target.id)}')`;
      throw this.#refuse(`${described} size cannot be determined: -22`);
    }
    return { kind: 'mem', size, nullable: !has('nonnull') };
  }

  #readNumber(kind: string, tags: readonly string[]): GlobalArgument {
    if (tags.length > 0) throw this.#refuse('has pointer tag, but is not a pointer type');
    if (kind === 'int' || kind === 'enum' || kind === 'enum64') return { kind: 'scalar' };
    const problem = `type ${kind.toUpperCase()} in ${this.#function}() is not supported yet.`;
    throw this.#env.reject('EINVAL', `Arg#${this.#index} ${problem}`);
  }

  /** A pointer to the structure that programs of this type get (Linux: btf_is_prog_ctx_type). */
  #isContext(id: number): boolean {
    const type = this.#env.program.type ?? 'syscall';
    const context = CONTEXTS[type];
    if (type === 'kprobe' && this.#typedefName(id) === 'bpf_user_pt_regs_t') return true;
    if (context === undefined) return false;
    const target = bare(this.#btf, id);
    if (target.type.kind !== 'struct') return false;
    const name = this.#btf.nameOf(target.id);
    if (type === 'kprobe') return name === 'pt_regs' || name === context;
    return name === context || name === PROJECTIONS[context];
  }

  /** The first typedef on the way to the type. */
  #typedefName(id: number): string | undefined {
    let at = id;
    for (let type = this.#btf.type(at); 'type' in type && type.kind !== 'ptr'; type = this.#btf.type(at)) {
      if (type.kind === 'typedef') return this.#btf.nameOf(at);
      at = type.type as number;
    }
    return undefined;
  }

  /** What `arg:ctx` may stand at (Linux: btf_validate_prog_ctx_type). */
  #checkContext(id: number): void {
    const type = this.#env.program.type ?? 'syscall';
    const target = bare(this.#btf, id);
    const { kind } = target.type;
    const name = this.#btf.nameOf(target.id);
    if ((type === 'kprobe' || type === 'perf_event') && this.#typedefName(id) === 'bpf_user_pt_regs_t')
      return;
    if (kind === 'void') return;
    if (name === '') throw this.#refuse("type doesn't have a name");
    const struct = kind === 'struct' || kind === 'union';
    if ((type === 'kprobe' || type === 'perf_event') && struct && name === 'pt_regs') return;
    const word = kind === 'int' && this.#btf.sizeOf(target.id) === 8;
    if (word && WORD_CONTEXTS.includes(type) && !isIterator(this.#env.program)) return;
    if (ANY_CONTEXT.includes(type)) return;
    if (type === 'tracing') {
      const { attachType = '' } = this.#env.program;
      if (attachType === 'trace_raw_tp' && struct && name === 'bpf_raw_tracepoint_args') return;
      if (attachType === 'trace_iter' && struct && name.startsWith('bpf_iter__')) return;
    }
    const context = CONTEXTS[type];
    if (context === undefined) throw this.#refuse('should be void pointer');
    const expected = context === 'bpf_user_pt_regs_t' ? 'pt_regs' : context;
    if (!struct || name !== expected) throw this.#refuse(`should be \`struct ${expected} *\``);
  }

  /** The kernel's type of the same name (Linux: btf_get_ptr_to_btf_id). */
  #kernelType(id: number): number {
    const { kernelBtf } = this.#env.program;
    const { kind } = this.#btf.type(id);
    const name = this.#btf.nameOf(id).replace(/___.*$/, '');
    const wanted = kind === 'fwd' ? 'struct' : kind;
    const described = `reference type('${kind.toUpperCase()} ${this.#btf.nameOf(id)}')`;
    const found = name === '' ? undefined : kernelBtf?.idOf(name, wanted as 'struct');
    if (found !== undefined) return found;
    if (kind === 'struct' || kind === 'union')
      throw this.#env.unsupported(`whether the kernel has ${kind} ${name} is not known here`);
    throw this.#refuse(`${described} has no matches`, 'ENOENT');
  }

  #kernelStruct(id: number): number {
    const found = this.#kernelType(id);
    const { kernelBtf } = this.#env.program;
    const kind = kernelBtf?.kindOf(found);
    if (kind === 'struct' || kind === 'union') return found;
    const described = `has type ${kind?.toUpperCase()} '${this.#btf.nameOf(id)}'`;
    throw this.#refuse(`${described}, but only struct or primitive types are allowed`);
  }
}

function isDynptr(btf: Btf, { id, type }: { id: number; type: ReturnType<Btf['type']> }): boolean {
  return (type.kind === 'struct' || type.kind === 'fwd') && btf.nameOf(id) === 'bpf_dynptr';
}

/** Bytes of what a pointer points to; undefined for what has no size (Linux: btf_resolve_size). */
function sizeOf(btf: Btf, { id, type }: { id: number; type: ReturnType<Btf['type']> }): number | undefined {
  const sized = ['int', 'struct', 'union', 'enum', 'enum64', 'float', 'ptr', 'array'].includes(type.kind);
  return sized ? btf.sizeOf(id) : undefined;
}

/** The kernel's own structures that stand for a context. */
const PROJECTIONS: Readonly<Record<string, string>> = { __sk_buff: 'sk_buff', xdp_md: 'xdp_buff' };

/** Programs whose context may be taken for an array of words, and those where it may be taken for anything. */
const WORD_CONTEXTS: readonly ProgramType[] = [
  'raw_tracepoint',
  'raw_tracepoint_writable',
  'lsm',
  'struct_ops',
  'tracing',
];
const ANY_CONTEXT: readonly ProgramType[] = ['tracepoint', 'syscall', 'ext'];
