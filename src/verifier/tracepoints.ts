import { BpfError } from '../errors.ts';
import type { ContextField } from './context.ts';
import type { ProgramToVerify } from './input.ts';
import type { ProgramRules } from './rules.ts';
import { MAYBE_NULL, PTR_TRUSTED } from './state/reg.ts';

/**
 * Programs of tracepoints that get typed arguments, SEC("tp_btf/NAME"): a word for each, a number or a trusted pointer to a type of the
 * kernel (Linux: btf_ctx_access, from `typedef … btf_trace_NAME`). The tracepoints that programs ask for most are a row each; of others
 * nothing is known here.
 */

/** A number; an address that is one to the verifier; or a structure's name, `?` in front where it may be NULL (Linux: raw_tp_null_args). */
const NUMBER = 'number';
const ADDRESS = 'address';

const TASK = ['task_struct'];
const SKB = ['sk_buff'];

const TRACEPOINTS: Readonly<Record<string, readonly string[]>> = {
  task_newtask: [...TASK, NUMBER],
  task_rename: [...TASK, ADDRESS],
  sched_switch: [NUMBER, 'task_struct', 'task_struct', NUMBER],
  sched_waking: TASK,
  sched_wakeup: TASK,
  sched_wakeup_new: TASK,
  sched_migrate_task: [...TASK, NUMBER],
  sched_process_exit: [...TASK, NUMBER],
  sched_process_fork: ['task_struct', 'task_struct'],
  sched_process_exec: [...TASK, NUMBER, 'linux_binprm'],
  sched_process_free: TASK,
  sched_stat_runtime: [...TASK, NUMBER],
  sys_enter: ['pt_regs', NUMBER],
  sys_exit: ['pt_regs', NUMBER],
  cgroup_mkdir: ['cgroup', ADDRESS],
  cgroup_rmdir: ['cgroup', ADDRESS],
  softirq_entry: [NUMBER],
  softirq_exit: [NUMBER],
  kmalloc: [NUMBER, ADDRESS, NUMBER, NUMBER, NUMBER, NUMBER],
  kfree: [NUMBER, ADDRESS],
  kmem_cache_free: [NUMBER, ADDRESS, 'kmem_cache'],
  mm_page_alloc: ['?page', NUMBER, NUMBER, NUMBER],
  mm_page_free: ['page', NUMBER],
  kfree_skb: [...SKB, ADDRESS, NUMBER, '?sock'],
  consume_skb: [...SKB, ADDRESS],
  netif_receive_skb: SKB,
  net_dev_queue: SKB,
  inet_sock_set_state: ['sock', NUMBER, NUMBER],
  tcp_destroy_sock: ['sock'],
  tcp_probe: ['sock', ...SKB],
  tcp_retransmit_skb: ['sock', ...SKB, NUMBER],
  tcp_bad_csum: SKB,
};

/** The rules for a program of a tracepoint; undefined where it is not known here. Throws EINVAL when none is named. */
export function tracepointRules({ name, attachTo, kernelBtf }: ProgramToVerify): ProgramRules | undefined {
  if (attachTo === undefined)
    throw new BpfError('EINVAL', `program '${name}': its tracepoint is not said; write SEC("tp_btf/…")`);
  if (!Object.hasOwn(TRACEPOINTS, attachTo) || kernelBtf === undefined) return undefined;
  const fields = TRACEPOINTS[attachTo].map((argument, index): ContextField | undefined => {
    const field = { off: 8 * index, size: 8, whole: true };
    if (argument === ADDRESS) return field;
    const struct = argument.replace('?', '');
    const id = kernelBtf.idOf(struct, 'struct');
    if (id === undefined) return undefined;
    return {
      ...field,
      gives: 'btf_id',
      flags: PTR_TRUSTED | (argument === struct ? 0 : MAYBE_NULL),
      of: { kind: 'btf', btf: kernelBtf, id },
      says: `func '${attachTo}' arg${index} has btf_id ${id} type STRUCT '${struct}'`,
    };
  });
  const numbers = TRACEPOINTS[attachTo].flatMap((argument, index) =>
    argument === NUMBER ? [1, 2, 4, 8].map((size) => ({ off: 8 * index, size, whole: true })) : [],
  );
  return {
    context: { fields: [...fields.filter((field) => field !== undefined), ...numbers] },
    bareContext: true,
  };
}
