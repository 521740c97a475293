/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Integer types and the few UAPI names a BPF program needs, so that it compiles with no other header installed. The
 * values are those of linux/bpf.h and errno.h. Native builds take errno from the C library instead.
 */
#ifndef BPF_TYPES_H
#define BPF_TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef signed short __s16;
typedef unsigned int __u32;
typedef signed int __s32;
typedef unsigned long long __u64;
typedef signed long long __s64;

#ifdef __bpf__

enum {
	EPERM = 1,
	ENOENT = 2,
	E2BIG = 7,
	EAGAIN = 11,
	ENOMEM = 12,
	EACCES = 13,
	EFAULT = 14,
	EBUSY = 16,
	EEXIST = 17,
	EINVAL = 22,
	ENOSPC = 28,
	ERANGE = 34,
	EDEADLK = 35,
	EOPNOTSUPP = 95,
	ETIMEDOUT = 110,
};

#else
#include <errno.h>
#endif

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_HASH_OF_MAPS = 13,
	BPF_MAP_TYPE_QUEUE = 22,
	BPF_MAP_TYPE_STACK = 23,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_MAP_TYPE_ARENA = 33,
};

/* Flags of BPF_MAP_CREATE. */
enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
	/* Arena: user space that touches an absent page gets SIGSEGV instead of a zeroed page. */
	BPF_F_SEGV_ON_FAULT = 1U << 17,
	/* Arena: cast_user leaves the low 32 bits alone, user space never follows the pointers. */
	BPF_F_NO_USER_CONV = 1U << 18,
};

/* Flags of map update: create or overwrite, create only, overwrite only. */
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

enum xdp_action {
	XDP_ABORTED = 0,
	XDP_DROP,
	XDP_PASS,
	XDP_TX,
	XDP_REDIRECT,
};

/* The context of an XDP program; the kernel rewrites accesses to its fields. */
struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

/* What a `tristate` kconfig extern holds; libbpf finds the type by this name. */
enum libbpf_tristate {
	TRI_NO = 0,
	TRI_YES = 1,
	TRI_MODULE = 2,
};

#endif /* BPF_TYPES_H */
