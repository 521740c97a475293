import { ERRNO } from '../../errors.ts';
import type { Cpu } from '../cpu.ts';
import { type KernelOffset, kernelPointer } from '../layout.ts';
import { peek, pop, push } from '../objects/list.ts';
import { acquireObject, dropObject, exchangePointer, newObject } from '../objects/object.ts';
import { Tree } from '../objects/tree.ts';

/**
 * Objects that programs allocate, the lists and trees they put them into, and pointers to them in map values. What Linux's verifier
 * does, the loader does here: `meta__ign` arrives as the record of the object's type, `off` as the place of the node in it.
 */

const NONE = 0 as KernelOffset;

/** bpf_kptr_xchg. @param pointer 0 for NULL. @returns what was there. */
export function kptr_xchg(cpu: Cpu, field: KernelOffset, pointer: KernelOffset): number {
  return exchangePointer(cpu.kernel.memory, field, kernelPointer(pointer));
}

function bpf_obj_new_impl(cpu: Cpu, _type: number, record: KernelOffset): number {
  return newObject(cpu.kernel.memory, record);
}

function bpf_obj_drop_impl(cpu: Cpu, object: KernelOffset, record: KernelOffset): undefined {
  dropObject(cpu.kernel.memory, object, record);
}

function bpf_refcount_acquire_impl(cpu: Cpu, object: KernelOffset, record: KernelOffset): number {
  return acquireObject(cpu.kernel.memory, object, record) ? object : NONE;
}

/** An object that is in a list or tree already is given up. */
function insert(cpu: Cpu, inserted: boolean, node: KernelOffset, record: KernelOffset, off: number): number {
  if (inserted) return 0;
  dropObject(cpu.kernel.memory, (node - off) as KernelOffset, record);
  return -ERRNO.EINVAL;
}

type Insert = (cpu: Cpu, head: KernelOffset, node: KernelOffset, record: KernelOffset, off: number) => number;

const bpf_list_push_front_impl: Insert = (cpu, head, node, record, off) =>
  insert(cpu, push(cpu.kernel.memory, head, node, true), node, record, off);

const bpf_list_push_back_impl: Insert = (cpu, head, node, record, off) =>
  insert(cpu, push(cpu.kernel.memory, head, node, false), node, record, off);

/** @param less the number of the function that compares. */
function bpf_rbtree_add_impl(
  cpu: Cpu,
  root: KernelOffset,
  node: KernelOffset,
  less: number,
  record: KernelOffset,
  off: number,
): number {
  const isLess = (a: number, b: number) =>
    (cpu.invoke(
      less,
      [a, b].map((each) => kernelPointer(each as KernelOffset)),
    ) &
      0xffn) !==
    0n;
  return insert(cpu, new Tree(cpu.kernel.memory, root).add(node, isLess), node, record, off);
}

/** Bytes between the objects of two CPUs (Linux: BPF_GLOBAL_PERCPU_MA_MAX_SIZE, the largest that there is). */
const PERCPU_STRIDE = 512;

function bpf_percpu_obj_new_impl({ kernel }: Cpu): number {
  try {
    return kernel.memory.allocate(PERCPU_STRIDE * kernel.cpus);
  } catch {
    return NONE;
  }
}

function bpf_percpu_obj_drop_impl({ kernel }: Cpu, object: KernelOffset): undefined {
  kernel.memory.grace.afterwards(() => kernel.memory.free(object));
}

/** bpf_per_cpu_ptr. @returns 0 for a CPU that there is not. */
export function per_cpu_ptr({ kernel }: Cpu, object: KernelOffset, cpu: number): number {
  return cpu < kernel.cpus ? object + PERCPU_STRIDE * cpu : NONE;
}

export function this_cpu_ptr({ id }: Cpu, object: KernelOffset): number {
  return object + PERCPU_STRIDE * id;
}

const treeOf = (cpu: Cpu, root: KernelOffset) => new Tree(cpu.kernel.memory, root);

export const OBJECT_KFUNCS = {
  bpf_obj_new_impl,
  bpf_obj_drop_impl,
  bpf_percpu_obj_new_impl,
  bpf_percpu_obj_drop_impl,
  bpf_refcount_acquire_impl,
  bpf_list_push_front_impl,
  bpf_list_push_back_impl,
  bpf_list_pop_front: (cpu: Cpu, head: KernelOffset) => pop(cpu.kernel.memory, head, true),
  bpf_list_pop_back: (cpu: Cpu, head: KernelOffset) => pop(cpu.kernel.memory, head, false),
  bpf_list_front: (cpu: Cpu, head: KernelOffset) => peek(cpu.kernel.memory, head, true),
  bpf_list_back: (cpu: Cpu, head: KernelOffset) => peek(cpu.kernel.memory, head, false),
  bpf_rbtree_add_impl,
  bpf_rbtree_first: (cpu: Cpu, root: KernelOffset) => treeOf(cpu, root).first,
  bpf_rbtree_root: (cpu: Cpu, root: KernelOffset) => treeOf(cpu, root).root,
  bpf_rbtree_left(cpu: Cpu, root: KernelOffset, node: KernelOffset): number {
    const tree = treeOf(cpu, root);
    return tree.has(node) ? tree.left(node) : NONE;
  },
  bpf_rbtree_right(cpu: Cpu, root: KernelOffset, node: KernelOffset): number {
    const tree = treeOf(cpu, root);
    return tree.has(node) ? tree.right(node) : NONE;
  },
  bpf_rbtree_remove(cpu: Cpu, root: KernelOffset, node: KernelOffset): number {
    const tree = treeOf(cpu, root);
    if (!tree.has(node)) return NONE;
    tree.remove(node);
    return node;
  },
};
