import { BpfError } from '../errors.ts';
import type { ContextField } from './context.ts';
import type { ProgramToVerify } from './input.ts';
import type { ProgramRules } from './rules.ts';
import { MAYBE_NULL, MEM_RDONLY, PTR_TRUSTED } from './state/reg.ts';

/**
 * Iterator programs, SEC("iter/TARGET"): the kernel calls them for each object of a kind, with pointers to it in the context. What
 * these may be used for is one row a target (Linux: struct bpf_iter_reg); the embedded kernel's BTF gets the prototypes and the
 * contexts' structures from the same rows, so that CO-RE finds them. Which targets can be run stands in src/embedded/iterators; sockets,
 * routes and kernel symbols are none that anything here is known of.
 */

/** What a load of an argument gives. `map_key` and `map_value`: bytes whose size is known when the program is attached. */
const ARGUMENTS = {
  trusted: { kind: 'btf_id', flags: PTR_TRUSTED },
  trusted_or_null: { kind: 'btf_id', flags: PTR_TRUSTED | MAYBE_NULL },
  or_null: { kind: 'btf_id', flags: MAYBE_NULL },
  map_key: { kind: 'buf', flags: MAYBE_NULL | MEM_RDONLY },
  map_value: { kind: 'buf', flags: MAYBE_NULL },
} as const;

/** Its C type and name, and what a load gives. */
type Argument = readonly [declaration: string, is: keyof typeof ARGUMENTS];

/** The first argument of all, `struct bpf_iter_meta *meta`, goes without saying. */
export const ITERATOR_TARGETS = {
  bpf_map: [['struct bpf_map *map', 'trusted_or_null']],
  bpf_map_elem: [
    ['struct bpf_map *map', 'trusted'],
    ['void *key', 'map_key'],
    ['void *value', 'map_value'],
  ],
  bpf_prog: [['struct bpf_prog *prog', 'or_null']],
  bpf_link: [['struct bpf_link *link', 'or_null']],
  task: [['struct task_struct *task', 'trusted_or_null']],
  task_vma: [
    ['struct task_struct *task', 'or_null'],
    ['struct vm_area_struct *vma', 'or_null'],
  ],
  cgroup: [['struct cgroup *cgroup', 'trusted_or_null']],
  kmem_cache: [['struct kmem_cache *s', 'trusted_or_null']],
  dmabuf: [['struct dma_buf *dmabuf', 'or_null']],
} as const satisfies Record<string, readonly Argument[]>;

export type IteratorTarget = keyof typeof ITERATOR_TARGETS;

const META: Argument = ['struct bpf_iter_meta *meta', 'trusted'];

export function isIteratorTarget(name: string): name is IteratorTarget {
  return Object.hasOwn(ITERATOR_TARGETS, name);
}

/** The function that stands for a target in the kernel's BTF, and its context as a structure: a word for each argument. */
function declarations(target: IteratorTarget): { prototype: string; structure: string } {
  const all = [META, ...ITERATOR_TARGETS[target]];
  const members = all.map(([declaration]) => `union { ${declaration}; };`);
  return {
    prototype: `int bpf_iter_${target}(${all.map(([declaration]) => declaration).join(', ')});`,
    structure: `struct bpf_iter__${target} { ${members.join(' ')} };`,
  };
}

const ALL = (Object.keys(ITERATOR_TARGETS) as IteratorTarget[]).map(declarations);

/** C for the kernel's BTF. */
export const ITERATOR_TYPES = ALL.map(({ structure }) => structure).join('\n');
/** One function each. */
export const ITERATOR_PROTOTYPES = ALL.map(({ prototype }) => prototype);

const PREFIX = 'bpf_iter_';

/**
 * The rules for an iterator program; undefined where its target is not known here. Throws EINVAL when it names none, as libbpf does.
 */
export function iteratorRules({ name, attachTo, kernelBtf }: ProgramToVerify): ProgramRules | undefined {
  if (attachTo === undefined)
    throw new BpfError('EINVAL', `program '${name}': what it iterates over is not said; write SEC("iter/…")`);
  if (!isIteratorTarget(attachTo) || kernelBtf === undefined) return undefined;
  const func = kernelBtf.type(kernelBtf.idOf(`${PREFIX}${attachTo}`, 'func') ?? 0);
  const proto = func.kind === 'func' ? kernelBtf.type(func.type) : undefined;
  if (proto?.kind !== 'func_proto') return undefined;
  const fields = [META, ...ITERATOR_TARGETS[attachTo]].map(([, is], index): ContextField => {
    const { kind, flags } = ARGUMENTS[is];
    const field = { off: 8 * index, size: 8, whole: true, gives: kind, flags };
    if (kind === 'buf') return field;
    const type = kernelBtf.type(kernelBtf.resolve(proto.params[index].type));
    const id = type.kind === 'ptr' ? kernelBtf.resolve(type.type) : 0;
    const says = `func '${PREFIX}${attachTo}' arg${index} has btf_id ${id} type STRUCT '${kernelBtf.nameOf(id)}'`;
    const registered = is !== 'trusted';
    const of = { kind: 'btf', btf: kernelBtf, id } as const;
    return { ...field, of, ...(!registered && { says }) };
  });
  return { context: { fields }, bareContext: true, returns: () => [0, 1] };
}
