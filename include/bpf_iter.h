/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Iterator programs, SEC("iter/bpf_map_elem") and its like: their contexts, what they see of the kernel's objects, and how they write
 * what user space reads as a file. Offsets of fields are the running kernel's: the loader relocates them (CO-RE). Programs that include
 * vmlinux.h have all that from there, but for BPF_SEQ_PRINTF.
 */
#ifndef BPF_ITER_H
#define BPF_ITER_H

#include "bpf_helper_defs.h"
#include "bpf_helpers.h"

struct seq_file;

/* Of these only the number is of interest: BPF_PROG_TYPE_*, BPF_LINK_TYPE_* and its like. */
enum bpf_prog_type___number { BPF_PROG_TYPE___number };
enum bpf_attach_type___number { BPF_ATTACH_TYPE___number };
enum bpf_link_type___number { BPF_LINK_TYPE___number };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter_meta {
	struct seq_file *seq;
	/* Of this iteration, and of the object in it: from 0 on. At the end the last one's. */
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	__u32 id;
	char name[16];
};

struct bpf_prog_aux {
	__u32 id;
	char name[16];
	const char *attach_func_name;
};

struct bpf_prog {
	enum bpf_prog_type___number type;
	enum bpf_attach_type___number expected_attach_type;
	__u32 len;
	struct bpf_prog_aux *aux;
};

struct bpf_link {
	__u32 id;
	enum bpf_link_type___number type;
	struct bpf_prog *prog;
};

/* All pointers but those to meta, and to the map of an element, are NULL in the last call, which says that this is the end. */
struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};

/* The value may be written, and that changes the map. Of a per-CPU map it is a copy of all CPUs' values, each padded to 8 bytes. */
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};

#pragma clang attribute pop

/* 0, or -EOVERFLOW where it does not fit: what is written of one object has to be less than 32 KiB. */
static long (*const bpf_seq_printf)(struct seq_file *m, const char *fmt, __u32 fmt_size, const void *data,
				    __u32 data_len) = (void *)126;
static long (*const bpf_seq_write)(struct seq_file *m, const void *data, __u32 len) = (void *)127;

/* fmt is a string literal, with at most 12 arguments. */
#define BPF_SEQ_PRINTF(seq, fmt, args...)										\
	({														\
		static const char __fmt[] = fmt;									\
		unsigned long long __args[__BPF_SEQ_COUNT(args) ?: 1];							\
		__bpf_concat(__BPF_SEQ_, __BPF_SEQ_COUNT(args))(0, ##args)						\
		bpf_seq_printf(seq, __fmt, sizeof(__fmt), __args, 8 * __BPF_SEQ_COUNT(args));				\
	})

/* Puts arguments into the array, each as 64 bits, one by one: an initialiser would become a constant that is nowhere. */
#define __BPF_SEQ_0(at)
#define __BPF_SEQ_1(at, a) __args[at] = (unsigned long long)(a);
#define __BPF_SEQ_2(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_1(at + 1, __VA_ARGS__)
#define __BPF_SEQ_3(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_2(at + 1, __VA_ARGS__)
#define __BPF_SEQ_4(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_3(at + 1, __VA_ARGS__)
#define __BPF_SEQ_5(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_4(at + 1, __VA_ARGS__)
#define __BPF_SEQ_6(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_5(at + 1, __VA_ARGS__)
#define __BPF_SEQ_7(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_6(at + 1, __VA_ARGS__)
#define __BPF_SEQ_8(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_7(at + 1, __VA_ARGS__)
#define __BPF_SEQ_9(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_8(at + 1, __VA_ARGS__)
#define __BPF_SEQ_10(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_9(at + 1, __VA_ARGS__)
#define __BPF_SEQ_11(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_10(at + 1, __VA_ARGS__)
#define __BPF_SEQ_12(at, a, ...) __BPF_SEQ_1(at, a) __BPF_SEQ_11(at + 1, __VA_ARGS__)
#define __BPF_SEQ_COUNT_(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, count, ...) count
#define __BPF_SEQ_COUNT(args...) __BPF_SEQ_COUNT_(0, ##args, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

#endif
