import type { AttachType, ProgramType } from '../object/program-types.ts';

/**
 * The kfuncs of Linux 6.18 that programs of the supported types meet: C prototypes, behind the flags that BTF_ID_FLAGS gives
 * them there, by the set that says who may call them. The kernel's BTF is made of these lines; the ends of parameter
 * names mean what they mean on Linux (`__map`, `__ign`, `__k`, `__sz`…). What a kfunc does stands in src/embedded/helpers.
 */

/** Linux: include/linux/btf.h. */
export const KF = {
  KF_ACQUIRE: 1 << 0,
  KF_RELEASE: 1 << 1,
  KF_RET_NULL: 1 << 2,
  KF_TRUSTED_ARGS: 1 << 4,
  KF_SLEEPABLE: 1 << 5,
  KF_DESTRUCTIVE: 1 << 6,
  KF_RCU: 1 << 7,
  KF_ITER_NEW: 1 << 8,
  KF_ITER_NEXT: 1 << 9,
  KF_ITER_DESTROY: 1 << 10,
  KF_RCU_PROTECTED: 1 << 11,
  KF_FASTCALL: 1 << 12,
} as const satisfies Record<string, number>;

/** A set of kfuncs is registered for some program types (Linux: register_btf_kfunc_id_set). */
const PACKETS: readonly ProgramType[] = ['sched_cls', 'sched_act', 'socket_filter', 'sk_skb', 'netfilter'];
const TUNNELS: readonly ProgramType[] = ['lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local'];
const CGROUPS: readonly ProgramType[] = [
  ...(['cgroup_skb', 'cgroup_sock', 'cgroup_sock_addr', 'cgroup_sockopt'] as const),
  ...(['cgroup_sysctl', 'cgroup_device', 'sock_ops'] as const),
];
const TRACING: readonly ProgramType[] = ['tracing', 'tracepoint', 'perf_event', 'lsm'];
const SETS = {
  common: 'all',
  generic: ['syscall', 'xdp', 'sched_cls', ...CGROUPS, ...TRACING],
  cpumask: ['syscall', ...TRACING],
  cryptoInit: ['syscall'],
  crypto: ['xdp', 'sched_cls', 'sched_act'],
  conntrack: ['xdp', 'sched_cls'],
  skb: [...PACKETS, ...CGROUPS, ...TUNNELS, ...TRACING],
  skbMeta: ['sched_cls', 'sched_act'],
  xdp: ['xdp'],
  reqsk: ['sched_cls'],
  test: ['syscall', 'sched_cls', ...TRACING],
  rstat: TRACING,
  cgroups: CGROUPS,
  session: ['kprobe'],
  sockDestroy: ['tracing'],
  /** Of program types that are not supported here. */
  others: [],
} as const satisfies Record<string, 'all' | readonly ProgramType[]>;

type KfuncSet = keyof typeof SETS;

/** Sets that are also bound to how the program is attached (Linux: btf_kfunc_filter_t). */
const ATTACHED: Partial<Record<KfuncSet, readonly AttachType[]>> = {
  session: ['trace_kprobe_session', 'trace_uprobe_session'],
  sockDestroy: ['trace_iter'],
};

const PROTOTYPES: Readonly<Record<KfuncSet, string>> = {
  common: `
KF_TRUSTED_ARGS KF_SLEEPABLE void __arena *bpf_arena_alloc_pages(void *p__map, void __arena *addr__ign, u32 page_cnt, int node_id, u64 flags);
KF_TRUSTED_ARGS KF_SLEEPABLE void bpf_arena_free_pages(void *p__map, void __arena *ptr__ign, u32 page_cnt);
KF_TRUSTED_ARGS KF_SLEEPABLE int bpf_arena_reserve_pages(void *p__map, void __arena *ptr__ign, u32 page_cnt);
KF_FASTCALL void *bpf_cast_to_kern_ctx(void *obj);
KF_FASTCALL void *bpf_rdonly_cast(const void *obj__ign, u32 btf_id__k);
void bpf_rcu_read_lock(void);
void bpf_rcu_read_unlock(void);
KF_RET_NULL void *bpf_dynptr_slice(const struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk);
KF_RET_NULL void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk);
KF_ITER_NEW int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end);
KF_ITER_NEXT KF_RET_NULL int *bpf_iter_num_next(struct bpf_iter_num *it);
KF_ITER_DESTROY void bpf_iter_num_destroy(struct bpf_iter_num *it);
KF_ITER_NEW KF_RCU int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, u64 addr);
KF_ITER_NEXT KF_RET_NULL struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it);
KF_ITER_DESTROY void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it);
KF_ITER_NEW KF_TRUSTED_ARGS int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css, unsigned int flags);
KF_ITER_NEXT KF_RET_NULL struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it);
KF_ITER_DESTROY void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it);
KF_ITER_NEW KF_TRUSTED_ARGS KF_RCU_PROTECTED int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags);
KF_ITER_NEXT KF_RET_NULL struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it);
KF_ITER_DESTROY void bpf_iter_css_destroy(struct bpf_iter_css *it);
KF_ITER_NEW KF_TRUSTED_ARGS KF_RCU_PROTECTED int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable, unsigned int flags);
KF_ITER_NEXT KF_RET_NULL struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it);
KF_ITER_DESTROY void bpf_iter_task_destroy(struct bpf_iter_task *it);
KF_ITER_NEW int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *unsafe_ptr__ign, u32 nr_words);
KF_ITER_NEXT KF_RET_NULL int *bpf_iter_bits_next(struct bpf_iter_bits *it);
KF_ITER_DESTROY void bpf_iter_bits_destroy(struct bpf_iter_bits *it);
KF_ITER_NEW KF_SLEEPABLE int bpf_iter_kmem_cache_new(struct bpf_iter_kmem_cache *it);
KF_ITER_NEXT KF_RET_NULL KF_SLEEPABLE struct kmem_cache *bpf_iter_kmem_cache_next(struct bpf_iter_kmem_cache *it);
KF_ITER_DESTROY KF_SLEEPABLE void bpf_iter_kmem_cache_destroy(struct bpf_iter_kmem_cache *it);
KF_ITER_NEW KF_SLEEPABLE int bpf_iter_dmabuf_new(struct bpf_iter_dmabuf *it);
KF_ITER_NEXT KF_RET_NULL KF_SLEEPABLE struct dma_buf *bpf_iter_dmabuf_next(struct bpf_iter_dmabuf *it);
KF_ITER_DESTROY KF_SLEEPABLE void bpf_iter_dmabuf_destroy(struct bpf_iter_dmabuf *it);
struct kmem_cache *bpf_get_kmem_cache(u64 addr);
int bpf_dynptr_adjust(const struct bpf_dynptr *p, u32 start, u32 end);
bool bpf_dynptr_is_null(const struct bpf_dynptr *p);
bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p);
__u32 bpf_dynptr_size(const struct bpf_dynptr *p);
int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit);
int bpf_dynptr_copy(struct bpf_dynptr *dst_ptr, u32 dst_off, struct bpf_dynptr *src_ptr, u32 src_off, u32 size);
int bpf_dynptr_memset(struct bpf_dynptr *p, u32 offset, u32 size, u8 val);
int bpf_modify_return_test_tp(int nonce);
int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags);
int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback_fn)(void *map, int *key, void *value), unsigned int flags, void *aux__prog);
int bpf_wq_start(struct bpf_wq *wq, unsigned int flags);
void bpf_preempt_disable(void);
void bpf_preempt_enable(void);
void bpf_local_irq_save(unsigned long *flags__irq_flag);
void bpf_local_irq_restore(unsigned long *flags__irq_flag);
KF_RET_NULL int bpf_res_spin_lock(struct bpf_res_spin_lock *lock);
void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock);
KF_RET_NULL int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag);
void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag);
KF_SLEEPABLE int bpf_copy_from_user_str(void *dst, u32 dst__sz, const void *unsafe_ptr__ign, u64 flags);
KF_SLEEPABLE int bpf_copy_from_user_task_str(void *dst, u32 dst__sz, const void *unsafe_ptr__ign, struct task_struct *tsk, u64 flags);
int bpf_probe_read_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
int bpf_probe_read_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
KF_SLEEPABLE int bpf_copy_from_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
KF_SLEEPABLE int bpf_copy_from_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
KF_SLEEPABLE KF_TRUSTED_ARGS int bpf_copy_from_user_task_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign, struct task_struct *tsk);
KF_SLEEPABLE KF_TRUSTED_ARGS int bpf_copy_from_user_task_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign, struct task_struct *tsk);
KF_TRUSTED_ARGS s64 bpf_map_sum_elem_count(const struct bpf_map *map);
void __bpf_trap(void);
int bpf_strcasecmp(const char *s1__ign, const char *s2__ign);
int bpf_strchr(const char *s__ign, char c);
int bpf_strchrnul(const char *s__ign, char c);
int bpf_strcmp(const char *s1__ign, const char *s2__ign);
int bpf_strcspn(const char *s__ign, const char *reject__ign);
int bpf_strlen(const char *s__ign);
int bpf_strnchr(const char *s__ign, size_t count, char c);
int bpf_strnlen(const char *s__ign, size_t count);
int bpf_strnstr(const char *s1__ign, const char *s2__ign, size_t len);
int bpf_strrchr(const char *s__ign, int c);
int bpf_strspn(const char *s__ign, const char *accept__ign);
int bpf_strstr(const char *s1__ign, const char *s2__ign);
KF_RCU int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name__str, struct bpf_dynptr *value_p);
KF_TRUSTED_ARGS int bpf_stream_vprintk_impl(int stream_id, const char *fmt__str, const void *args, u32 len__sz, void *aux__prog);
KF_TRUSTED_ARGS int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map, int (*callback)(struct bpf_map *map, void *key, void *value), void *aux__prog);
KF_TRUSTED_ARGS int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map, int (*callback)(struct bpf_map *map, void *key, void *value), void *aux__prog);
`,
  generic: `
KF_ACQUIRE KF_RET_NULL void *bpf_obj_new_impl(u64 local_type_id__k, void *meta__ign);
KF_ACQUIRE KF_RET_NULL void *bpf_percpu_obj_new_impl(u64 local_type_id__k, void *meta__ign);
KF_RELEASE void bpf_obj_drop_impl(void *p__alloc, void *meta__ign);
KF_RELEASE void bpf_percpu_obj_drop_impl(void *p__alloc, void *meta__ign);
KF_ACQUIRE KF_RET_NULL KF_RCU void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign);
int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64 off);
int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64 off);
KF_ACQUIRE KF_RET_NULL struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head);
KF_ACQUIRE KF_RET_NULL struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head);
KF_RET_NULL struct bpf_list_node *bpf_list_front(struct bpf_list_head *head);
KF_RET_NULL struct bpf_list_node *bpf_list_back(struct bpf_list_head *head);
KF_ACQUIRE KF_RCU KF_RET_NULL struct task_struct *bpf_task_acquire(struct task_struct *p);
KF_RELEASE void bpf_task_release(struct task_struct *p);
KF_ACQUIRE KF_RET_NULL struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node);
int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, bool (*less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta__ign, u64 off);
KF_RET_NULL struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root);
KF_RET_NULL struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root);
KF_RET_NULL struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node);
KF_RET_NULL struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node);
KF_ACQUIRE KF_RCU KF_RET_NULL struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp);
KF_RELEASE void bpf_cgroup_release(struct cgroup *cgrp);
KF_ACQUIRE KF_RCU KF_RET_NULL struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level);
KF_ACQUIRE KF_RET_NULL struct cgroup *bpf_cgroup_from_id(u64 cgid);
KF_RCU long bpf_task_under_cgroup(struct task_struct *task, struct cgroup *ancestor);
KF_ACQUIRE KF_RCU KF_RET_NULL struct cgroup *bpf_task_get_cgroup1(struct task_struct *task, int hierarchy_id);
KF_ACQUIRE KF_RET_NULL struct task_struct *bpf_task_from_pid(s32 pid);
KF_ACQUIRE KF_RET_NULL struct task_struct *bpf_task_from_vpid(s32 vpid);
void bpf_throw(u64 cookie);
KF_TRUSTED_ARGS int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type, u64 value);
KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE struct bpf_key *bpf_lookup_user_key(s32 serial, u64 flags);
KF_ACQUIRE KF_RET_NULL struct bpf_key *bpf_lookup_system_key(u64 id);
KF_RELEASE void bpf_key_put(struct bpf_key *bkey);
`,
  cpumask: `
KF_ACQUIRE KF_RET_NULL struct bpf_cpumask *bpf_cpumask_create(void);
KF_RELEASE void bpf_cpumask_release(struct bpf_cpumask *cpumask);
KF_ACQUIRE KF_TRUSTED_ARGS struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask);
KF_RCU u32 bpf_cpumask_first(const struct cpumask *cpumask);
KF_RCU u32 bpf_cpumask_first_zero(const struct cpumask *cpumask);
KF_RCU u32 bpf_cpumask_first_and(const struct cpumask *src1, const struct cpumask *src2);
KF_RCU void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask);
KF_RCU void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask);
KF_RCU bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask);
KF_RCU bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *cpumask);
KF_RCU bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask);
KF_RCU void bpf_cpumask_setall(struct bpf_cpumask *cpumask);
KF_RCU void bpf_cpumask_clear(struct bpf_cpumask *cpumask);
KF_RCU bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2);
KF_RCU void bpf_cpumask_or(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2);
KF_RCU void bpf_cpumask_xor(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2);
KF_RCU bool bpf_cpumask_equal(const struct cpumask *src1, const struct cpumask *src2);
KF_RCU bool bpf_cpumask_intersects(const struct cpumask *src1, const struct cpumask *src2);
KF_RCU bool bpf_cpumask_subset(const struct cpumask *src1, const struct cpumask *src2);
KF_RCU bool bpf_cpumask_empty(const struct cpumask *cpumask);
KF_RCU bool bpf_cpumask_full(const struct cpumask *cpumask);
KF_RCU void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src);
KF_RCU u32 bpf_cpumask_any_distribute(const struct cpumask *cpumask);
KF_RCU u32 bpf_cpumask_any_and_distribute(const struct cpumask *src1, const struct cpumask *src2);
KF_RCU u32 bpf_cpumask_weight(const struct cpumask *cpumask);
KF_RCU int bpf_cpumask_populate(struct cpumask *cpumask, void *src, size_t src__sz);
`,
  cryptoInit: `
KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params *params, u32 params__sz, int *err);
KF_RELEASE void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx);
KF_ACQUIRE KF_RCU KF_RET_NULL struct bpf_crypto_ctx *bpf_crypto_ctx_acquire(struct bpf_crypto_ctx *ctx);
`,
  crypto: `
KF_RCU int bpf_crypto_decrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst, const struct bpf_dynptr *siv__nullable);
KF_RCU int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst, const struct bpf_dynptr *siv__nullable);
`,
  conntrack: `
KF_ACQUIRE KF_RET_NULL struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *xdp_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
KF_ACQUIRE KF_RET_NULL struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *xdp_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
KF_ACQUIRE KF_RET_NULL struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
KF_ACQUIRE KF_RET_NULL struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
KF_ACQUIRE KF_RET_NULL KF_RELEASE struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *nfct_i);
KF_RELEASE void bpf_ct_release(struct nf_conn *nfct);
KF_TRUSTED_ARGS void bpf_ct_set_timeout(struct nf_conn___init *nfct, u32 timeout);
KF_TRUSTED_ARGS int bpf_ct_change_timeout(struct nf_conn *nfct, u32 timeout);
KF_TRUSTED_ARGS int bpf_ct_set_status(const struct nf_conn___init *nfct, u32 status);
KF_TRUSTED_ARGS int bpf_ct_change_status(struct nf_conn *nfct, u32 status);
KF_TRUSTED_ARGS int bpf_ct_set_nat_info(struct nf_conn___init *nfct, union nf_inet_addr *addr, int port, enum nf_nat_manip_type manip);
`,
  skb: `
KF_TRUSTED_ARGS int bpf_dynptr_from_skb(struct __sk_buff *s, u64 flags, struct bpf_dynptr *ptr__uninit);
`,
  skbMeta: `
KF_TRUSTED_ARGS int bpf_dynptr_from_skb_meta(struct __sk_buff *skb_, u64 flags, struct bpf_dynptr *ptr__uninit);
`,
  xdp: `
int bpf_dynptr_from_xdp(struct xdp_md *x, u64 flags, struct bpf_dynptr *ptr__uninit);
int bpf_xdp_pull_data(struct xdp_md *x, u32 len);
KF_TRUSTED_ARGS int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, u64 *timestamp);
KF_TRUSTED_ARGS int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, u32 *hash, enum xdp_rss_hash_type *rss_type);
KF_TRUSTED_ARGS int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto, u16 *vlan_tci);
KF_RET_NULL KF_ACQUIRE struct xfrm_state *bpf_xdp_get_xfrm_state(struct xdp_md *ctx, struct bpf_xfrm_state_opts *opts, u32 opts__sz);
KF_RELEASE void bpf_xdp_xfrm_state_release(struct xfrm_state *x);
`,
  reqsk: `
KF_TRUSTED_ARGS int bpf_sk_assign_tcp_reqsk(struct __sk_buff *s, struct sock *sk, struct bpf_tcp_req_attrs *attrs, int attrs__sz);
`,
  test: `
KF_RELEASE void bpf_kfunc_call_test_release(struct prog_test_ref_kfunc *p);
KF_RELEASE void bpf_kfunc_call_memb_release(struct prog_test_member *p);
`,
  rstat: `
void css_rstat_updated(struct cgroup_subsys_state *css, int cpu);
KF_SLEEPABLE void css_rstat_flush(struct cgroup_subsys_state *css);
`,
  cgroups: `
int bpf_sock_addr_set_sun_path(struct bpf_sock_addr_kern *sa_kern, const u8 *sun_path, u32 sun_path__sz);
KF_TRUSTED_ARGS int bpf_sock_ops_enable_tx_tstamp(struct bpf_sock_ops_kern *skops, u64 flags);
`,
  session: `
__u64 *bpf_session_cookie(void);
bool bpf_session_is_return(void);
`,
  sockDestroy: `
KF_TRUSTED_ARGS int bpf_sock_destroy(struct sock_common *sock);
`,
  others: `
KF_ACQUIRE KF_TRUSTED_ARGS KF_RET_NULL struct file *bpf_get_task_exe_file(struct task_struct *task);
KF_RELEASE void bpf_put_file(struct file *file);
`,
};

export interface KfuncRow {
  readonly name: string;
  /** Bits of {@link KF}. */
  readonly flags: number;
  readonly set: KfuncSet;
  /** In C, with its semicolon. */
  readonly prototype: string;
}

/** All kfuncs. */
export const KFUNCS: readonly KfuncRow[] = Object.entries(PROTOTYPES).flatMap(([set, text]) =>
  text
    .trim()
    .split('\n')
    .map((line) => readRow(set as KfuncSet, line)),
);

function readRow(set: KfuncSet, line: string): KfuncRow {
  const words = /^((?:KF_\w+ )*)(.*)$/.exec(line);
  const flags = (words?.[1] ?? '').trim().split(' ');
  const prototype = words?.[2] ?? '';
  return {
    name: /(\w+)\(/.exec(prototype)?.[1] ?? '',
    flags: flags.reduce((bits, flag) => bits | (flag === '' ? 0 : KF[flag as keyof typeof KF]), 0),
    set,
    prototype,
  };
}

const BY_NAME = new Map(KFUNCS.map((row) => [row.name, row]));

export function kfuncNamed(name: string): KfuncRow | undefined {
  return BY_NAME.get(name);
}

/** Whether programs of a type, attached so, may call a kfunc (Linux: btf_kfunc_id_set_contains). */
export function mayCall({ set }: KfuncRow, type: ProgramType, attachType: AttachType | undefined): boolean {
  const types: 'all' | readonly ProgramType[] = SETS[set];
  const attached = ATTACHED[set];
  if (attached !== undefined && (attachType === undefined || !attached.includes(attachType))) return false;
  return types === 'all' || types.includes(type);
}
