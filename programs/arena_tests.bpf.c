// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tests that describe themselves: `bpf-arena test programs/arena_tests.bpf.o`, with --kernel linux on the other kernel. One
 * of each kind of annotation.
 */
#include <bpf_arena.h>
#include <bpf_helpers.h>
#include <bpf_test.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} values SEC(".maps");

int __arena counter;

SEC("syscall")
__success __retval(0)
__description("a page is allocated, written, read and freed")
int page(void *ctx)
{
	int __arena *page = bpf_arena_alloc_pages(&arena, 0, 1, NUMA_NO_NODE, 0);
	int got;

	if (!page)
		return 1;
	cast_kern(page);
	page[3] = 7;
	got = page[3];
	cast_user(page);
	bpf_arena_free_pages(&arena, page, 1);
	return got == 7 ? 0 : 2;
}

SEC("syscall")
__success __retval(-12)
int negative(void *ctx)
{
	return -12;
}

SEC("syscall")
__success __log_level(2) __msg("0: R1=ctx()") __msg("{{[0-9]+}}: (95) exit") __not_msg("R1 invalid mem access")
int logged(void *ctx)
{
	return counter;
}

SEC("?syscall")
__failure __msg("R{{[0-9]}} invalid mem access 'scalar'")
__description("an address is a number until it is cast")
int not_cast(void *ctx)
{
	__u64 address = bpf_get_prandom_u32();

	asm volatile("%0 = *(u32 *)(%0 + 0)" : "+r"(address));
	return address;
}

SEC("?syscall")
__failure __msg("R0 invalid mem access 'map_value_or_null'")
int not_checked(void *ctx)
{
	__u32 key = 5;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	return *value;
}

SEC("?xdp")
__failure __flag(BPF_F_STRICT_ALIGNMENT) __msg("misaligned value access")
int strict(struct xdp_md *ctx)
{
	__u32 key = 1;
	char *value = bpf_map_lookup_elem(&values, &key);
	__u32 word = 0;

	if (value)
		asm volatile("%0 = *(u32 *)(%1 + 2)" : "=r"(word) : "r"(value));
	return word;
}

SEC("syscall")
__success __flag(BPF_F_TEST_STATE_FREQ) __retval(10)
int often(void *ctx)
{
	int sum = 0;

	for (int i = 0; i < 5 && can_loop; i++)
		sum += i;
	return sum;
}

SEC("syscall") __auxiliary
int helper(void *ctx)
{
	return 0;
}

SEC("syscall")
__arch("ARM64") __success __retval(1)
int elsewhere(void *ctx)
{
	return 1;
}

/* What unprivileged users would be told is not looked at, and reported as not covered. */
SEC("syscall")
__success __bpf_test_tag("test_expect_failure_unpriv")
int privileged(void *ctx)
{
	return 0;
}

/* Without annotations: it is verified, and run where it can be run alone. */
SEC("syscall")
int plain(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
