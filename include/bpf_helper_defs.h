/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Helpers beyond those of bpf_helpers.h, by number: the ids of enum bpf_func_id. Signatures are those of the manual page
 * bpf-helpers(7), which says what each does.
 */
#ifndef BPF_HELPER_DEFS_H
#define BPF_HELPER_DEFS_H

#include "bpf_types.h"

struct bpf_timer {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct bpf_wq {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_dynptr {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

/* Time, and who runs. */
static __u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_get_current_comm)(void *buf, __u32 size) = (void *)16;
static __u64 (*const bpf_get_current_task)(void) = (void *)35;
static long (*const bpf_get_numa_node_id)(void) = (void *)42;
static __u64 (*const bpf_get_current_cgroup_id)(void) = (void *)80;
static __u64 (*const bpf_jiffies64)(void) = (void *)118;
static long (*const bpf_get_ns_current_pid_tgid)(__u64 dev, __u64 ino, void *info, __u32 size) = (void *)120;
static __u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static __u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static __u64 (*const bpf_get_func_ip)(void *ctx) = (void *)173;
static __u64 (*const bpf_get_attach_cookie)(void *ctx) = (void *)174;
static __u64 (*const bpf_ktime_get_tai_ns)(void) = (void *)208;

/* What is kept for a task: NULL where there is nothing, unless the flag says that it is made, zeroed or from `value`. */
enum {
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
};
struct task_struct;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static void *(*const bpf_task_storage_get)(void *map, struct task_struct *task, void *value, __u64 flags) = (void *)156;
static long (*const bpf_task_storage_delete)(void *map, struct task_struct *task) = (void *)157;

/* Sends a record to user space. flags: BPF_F_CURRENT_CPU, or a CPU; of packets, how many bytes of them, in the upper half. */
enum {
	BPF_F_CURRENT_CPU = 0xffffffffU,
};
static long (*const bpf_perf_event_output)(void *ctx, void *map, __u64 flags, void *data, __u64 size) = (void *)25;

/* Memory that may not be there: 0, or a negative errno. The forms for text give its length with the final 0. */
static long (*const bpf_probe_read)(void *dst, __u32 size, const void *from) = (void *)4;
static long (*const bpf_probe_read_str)(void *dst, __u32 size, const void *from) = (void *)45;
static long (*const bpf_probe_read_user)(void *dst, __u32 size, const void *from) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *dst, __u32 size, const void *from) = (void *)113;
static long (*const bpf_probe_read_user_str)(void *dst, __u32 size, const void *from) = (void *)114;
static long (*const bpf_probe_read_kernel_str)(void *dst, __u32 size, const void *from) = (void *)115;
static long (*const bpf_copy_from_user)(void *dst, __u32 size, const void *from) = (void *)148;

/* Text and numbers. */
static long (*const bpf_strtol)(const char *buf, __u32 size, __u64 flags, long *result) = (void *)105;
static long (*const bpf_strtoul)(const char *buf, __u32 size, __u64 flags, unsigned long *result) = (void *)106;
static long (*const bpf_snprintf)(char *str, __u32 size, const char *fmt, __u64 *data, __u32 data_len) = (void *)165;
static long (*const bpf_trace_vprintk)(const char *fmt, __u32 size, const void *data, __u32 data_len) = (void *)177;
static long (*const bpf_strncmp)(const char *s1, __u32 size, const char *s2) = (void *)182;

/* Locks in map values. */
static void (*const bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static void (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;

/* Records in ring buffers. */
static long (*const bpf_ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;
static void *(*const bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;
static __u64 (*const bpf_ringbuf_query)(void *ringbuf, __u64 flags) = (void *)134;

/* Dynptrs: pointers to memory whose size only run time knows. */
static long (*const bpf_dynptr_from_mem)(void *data, __u32 size, __u64 flags, struct bpf_dynptr *ptr) = (void *)197;
static long (*const bpf_ringbuf_reserve_dynptr)(void *map, __u32 size, __u64 flags, struct bpf_dynptr *ptr) = (void *)198;
static void (*const bpf_ringbuf_submit_dynptr)(struct bpf_dynptr *ptr, __u64 flags) = (void *)199;
static void (*const bpf_ringbuf_discard_dynptr)(struct bpf_dynptr *ptr, __u64 flags) = (void *)200;
static long (*const bpf_dynptr_read)(void *dst, __u32 len, const struct bpf_dynptr *src, __u32 offset,
				     __u64 flags) = (void *)201;
static long (*const bpf_dynptr_write)(const struct bpf_dynptr *dst, __u32 offset, void *src, __u32 len,
				      __u64 flags) = (void *)202;
static void *(*const bpf_dynptr_data)(const struct bpf_dynptr *ptr, __u32 offset, __u32 len) = (void *)203;

/* Functions of the program that a helper calls. */
static long (*const bpf_for_each_map_elem)(void *map, void *callback_fn, void *callback_ctx, __u64 flags) = (void *)164;
static long (*const bpf_tail_call)(void *ctx, void *prog_array_map, __u32 index) = (void *)12;

/*
 * Packets of XDP programs. Moves the first byte, and the end, by so many bytes: 0, or -EINVAL where there is no room. New bytes at the
 * end are zero. Pointers into the packet end.
 */
struct xdp_md;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int bytes) = (void *)44;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int bytes) = (void *)65;

/* Pointers to objects in map values. */
static void *(*const bpf_kptr_xchg)(void *dst, void *ptr) = (void *)194;

/* Functions of the program that run later. */
static long (*const bpf_timer_init)(struct bpf_timer *timer, void *map, __u64 flags) = (void *)169;
static long (*const bpf_timer_set_callback)(struct bpf_timer *timer, void *callback_fn) = (void *)170;
static long (*const bpf_timer_start)(struct bpf_timer *timer, __u64 nsecs, __u64 flags) = (void *)171;
static long (*const bpf_timer_cancel)(struct bpf_timer *timer) = (void *)172;

#endif
