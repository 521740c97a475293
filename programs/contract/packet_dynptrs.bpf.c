// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Dynptrs over packets. The packet has 64 bytes, each holding its number. */
#include "check.h"

struct __sk_buff;
struct xdp_md;

extern int bpf_dynptr_from_skb(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym __weak;
extern int bpf_dynptr_from_skb_meta(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym __weak;
extern int bpf_dynptr_from_xdp(struct xdp_md *x, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym __weak;

static __always_inline int reads(struct bpf_dynptr *ptr)
{
	char buf[8] = {};
	char *slice;

	check(!bpf_dynptr_is_null(ptr));
	check(bpf_dynptr_size(ptr) == 64);
	check(bpf_dynptr_read(buf, 4, ptr, 60, 0) == 0);
	check(buf[0] == 60 && buf[3] == 63);
	check(bpf_dynptr_read(buf, 4, ptr, 61, 0) == -E2BIG);
	/* Packets have no address of their own. */
	check(!bpf_dynptr_data(ptr, 0, 4));
	slice = bpf_dynptr_slice(ptr, 20, buf, 8);
	check(slice && slice[0] == 20 && slice[7] == 27);
	check(!bpf_dynptr_slice(ptr, 60, buf, 8));
	check(bpf_dynptr_adjust(ptr, 14, 34) == 0);
	slice = bpf_dynptr_slice(ptr, 0, 0, 8);
	check(slice && slice[0] == 14);
	check(bpf_dynptr_read(buf, 1, ptr, 19, 0) == 0);
	check(buf[0] == 33);
	check(bpf_dynptr_read(buf, 1, ptr, 20, 0) == -E2BIG);
	return 0;
}

static __always_inline int writes(struct bpf_dynptr *ptr)
{
	char buf[8] = "hello";
	char *slice;

	check(!bpf_dynptr_is_rdonly(ptr));
	check(bpf_dynptr_write(ptr, 30, buf, 5, 0) == 0);
	check(bpf_dynptr_write(ptr, 62, buf, 5, 0) == -E2BIG);
	check(bpf_dynptr_read(buf + 1, 5, ptr, 30, 0) == 0);
	check(buf[1] == 'h' && buf[5] == 'o');
	slice = bpf_dynptr_slice_rdwr(ptr, 40, buf, 8);
	check(slice);
	slice[0] = 'x';
	check(bpf_dynptr_read(buf, 1, ptr, 40, 0) == 0);
	check(buf[0] == 'x');
	check(bpf_dynptr_memset(ptr, 50, 4, 9) == 0);
	check(bpf_dynptr_read(buf, 5, ptr, 50, 0) == 0);
	check(buf[0] == 9 && buf[3] == 9 && buf[4] == 54);
	return 0;
}

SEC("tc")
int a_classifier_reads(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;

	check(bpf_dynptr_from_skb(skb, 1, &ptr) == -EINVAL);
	check(bpf_dynptr_is_null(&ptr));
	check(bpf_dynptr_from_skb(skb, 0, &ptr) == 0);
	return reads(&ptr);
}

SEC("tc")
int a_classifier_writes(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char buf[4] = "abc";

	check(bpf_dynptr_from_skb(skb, 0, &ptr) == 0);
	/* Flags of bpf_skb_store_bytes. */
	check(bpf_dynptr_write(&ptr, 20, buf, 3, 3) == 0);
	check(bpf_dynptr_write(&ptr, 20, buf, 3, 4) == -EINVAL);
	return writes(&ptr);
}

static long (*const set_hash)(struct __sk_buff *skb, __u32 hash) = (void *)48;
static __u32 (*const get_hash)(struct __sk_buff *skb) = (void *)34;

SEC("tc")
int a_write_can_forget_the_hash(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char buf[4] = "abc";

	set_hash(skb, 77);
	check(bpf_dynptr_from_skb(skb, 0, &ptr) == 0);
	check(bpf_dynptr_write(&ptr, 20, buf, 3, 0) == 0);
	check(get_hash(skb) == 77);
	check(bpf_dynptr_write(&ptr, 20, buf, 3, 2) == 0);
	check(get_hash(skb) != 77);
	return 0;
}

SEC("tc")
int a_classifiers_packet_has_no_metadata(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char byte = 0;

	check(bpf_dynptr_from_skb_meta(skb, 1, &ptr) == -EINVAL);
	check(bpf_dynptr_from_skb_meta(skb, 0, &ptr) == 0);
	check(!bpf_dynptr_is_null(&ptr) && bpf_dynptr_size(&ptr) == 0);
	check(bpf_dynptr_read(&byte, 1, &ptr, 0, 0) == -E2BIG);
	return 0;
}

SEC("socket")
int a_filter_only_reads(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char byte = 0;

	/* Its packet begins behind the Ethernet header. */
	check(bpf_dynptr_from_skb(skb, 0, &ptr) == 0);
	check(bpf_dynptr_size(&ptr) == 50);
	check(bpf_dynptr_is_rdonly(&ptr));
	check(bpf_dynptr_read(&byte, 1, &ptr, 0, 0) == 0);
	check(byte == 14);
	check(bpf_dynptr_write(&ptr, 0, &byte, 1, 0) == -EINVAL);
	return 0;
}

SEC("xdp")
int an_xdp_program_reads(struct xdp_md *xdp)
{
	struct bpf_dynptr ptr;

	check(bpf_dynptr_from_xdp(xdp, 1, &ptr) == -EINVAL);
	check(bpf_dynptr_from_xdp(xdp, 0, &ptr) == 0);
	return reads(&ptr);
}

SEC("xdp")
int an_xdp_program_writes(struct xdp_md *xdp)
{
	struct bpf_dynptr ptr;
	char byte = 0;

	check(bpf_dynptr_from_xdp(xdp, 0, &ptr) == 0);
	check(bpf_dynptr_write(&ptr, 0, &byte, 1, 1) == -EINVAL);
	return writes(&ptr);
}
