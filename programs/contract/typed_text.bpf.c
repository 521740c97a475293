// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Text made of what lies in memory, by the kernel's types; test/contract/typed-text.test.ts gives the bytes and reads the text. */
#include <bpf_iter.h>

char LICENSE[] SEC("license") = "GPL";

#define ENOENT 2

/* Of the kernel these are: their fields are there. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct iphdr {
	__u8 version;
};
struct ethhdr {
	__u8 h_proto;
};
struct in6_addr {
	int in6_u;
};
struct list_head {
	struct list_head *next;
};
struct bpf_iter_num {
	__u64 __opaque[1];
};
#pragma clang attribute pop

struct btf_ptr {
	void *ptr;
	__u32 type_id;
	__u32 flags;
};

static long (*const bpf_snprintf_btf)(char *str, __u32 str_size, struct btf_ptr *ptr, __u32 btf_ptr_size,
				      __u64 flags) = (void *)149;

char bytes[64];
char text[512];
__u32 room;
__u64 flags;

static __always_inline int shows(__u32 type_id)
{
	struct btf_ptr ptr = { .ptr = bytes, .type_id = type_id };
	__u32 size = room;

	if (size == 0 || size > sizeof(text))
		return -1;
	return bpf_snprintf_btf(text, size, &ptr, sizeof(ptr), flags);
}

static long (*const bpf_seq_printf_btf)(struct seq_file *m, struct btf_ptr *ptr, __u32 ptr_size,
					__u64 flags) = (void *)150;

#define kernel_type_id(type) __builtin_btf_type_id(*(type *)0, 1)

SEC("syscall")
int shows_iphdr(void *ctx)
{
	return shows(kernel_type_id(struct iphdr));
}

SEC("syscall")
int shows_ethhdr(void *ctx)
{
	return shows(kernel_type_id(struct ethhdr));
}

SEC("syscall")
int shows_in6_addr(void *ctx)
{
	return shows(kernel_type_id(struct in6_addr));
}

SEC("syscall")
int shows_list_head(void *ctx)
{
	return shows(kernel_type_id(struct list_head));
}

SEC("syscall")
int shows_iter_num(void *ctx)
{
	return shows(kernel_type_id(struct bpf_iter_num));
}

SEC("syscall")
int shows_nothing(void *ctx)
{
	return shows(0);
}

/* Flags, sizes and types that there are not. */
SEC("syscall")
int refuses(void *ctx)
{
	struct btf_ptr ptr = { .ptr = bytes, .type_id = kernel_type_id(struct iphdr) };

	if (bpf_snprintf_btf(text, sizeof(text), &ptr, sizeof(ptr), 16) != -EINVAL)
		return __LINE__;
	if (bpf_snprintf_btf(text, sizeof(text), &ptr, 8, 0) != -EINVAL)
		return __LINE__;
	ptr.type_id = -1;
	if (bpf_snprintf_btf(text, sizeof(text), &ptr, sizeof(ptr), 0) != -ENOENT)
		return __LINE__;
	ptr.type_id = 0x7fffffff;
	if (bpf_snprintf_btf(text, sizeof(text), &ptr, sizeof(ptr), 0) != -ENOENT)
		return __LINE__;
	return 0;
}

SEC("iter/bpf_map")
int writes_iphdr(struct bpf_iter__bpf_map *ctx)
{
	struct btf_ptr ptr = { .ptr = bytes, .type_id = kernel_type_id(struct iphdr) };

	if (!ctx->map)
		bpf_seq_printf_btf(ctx->meta->seq, &ptr, sizeof(ptr), flags);
	return 0;
}
