import type { Btf } from '../btf/index.ts';

/**
 * Whether a type holds fields that the kernel looks after: locks, timers, pointers to its objects (Linux:
 * btf_parse_fields). Programs may touch those by certain helpers only.
 */

const SPECIAL: readonly string[] = [
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_task_work',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
];

const POINTER_TAGS: readonly string[] = ['kptr', 'kptr_untrusted', 'percpu_kptr', 'uptr'];

/** Structures deeper than this hold none that Linux would find. */
const MAX_DEPTH = 8;

export function hasSpecialFields(btf: Btf, id: number, depth = 0): boolean {
  if (id === 0 || depth > MAX_DEPTH) return false;
  const resolved = btf.resolve(id);
  const type = btf.type(resolved);
  switch (type.kind) {
    case 'struct':
    case 'union':
      if (SPECIAL.includes(btf.nameOf(resolved))) return true;
      return type.members.some((member) => hasSpecialFields(btf, member.type, depth + 1));
    case 'array':
      return hasSpecialFields(btf, type.type, depth + 1);
    case 'datasec':
      return type.variables.some((each) => hasSpecialFields(btf, each.type, depth + 1));
    case 'var':
      return hasSpecialFields(btf, type.type, depth + 1);
    case 'ptr': {
      const target = type.type === 0 ? undefined : btf.type(type.type);
      return target?.kind === 'type_tag' && POINTER_TAGS.includes(btf.nameOf(type.type));
    }
    default:
      return false;
  }
}
