// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmark: page_churn allocates and frees runs of 1 to 4 pages in a random order, with about half of its slots in use,
 * and writes to each page. It frees what is left, so every run is the same. There are no such pages natively.
 */
#include "bench.h"

#define SLOTS 128
#define STEPS 512

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2048);
} arena SEC(".maps");

struct slot {
	__u64 __arena *pages; /* NULL when free */
	__u32 count;
	__u32 pad;
};

struct slot __arena_global slots[SLOTS];

/* Writes tag to the start of each page. */
static __always_inline void mark(__u64 __arena *pages, __u32 count, __u32 tag)
{
	__u32 i;

	for (i = unknown_zero; i < count && can_loop; i++)
		*arena_kern(&pages[i * (PAGE_SIZE / 8)]) = tag;
}

/* Frees a slot. What its last page was marked with. */
static __always_inline __u64 empty(struct slot __arena *slot)
{
	__u32 count = arena_kern(slot)->count;
	__u64 __arena *pages = arena_kern(slot)->pages;
	__u64 tag = *arena_kern(&pages[(count - 1) * (PAGE_SIZE / 8)]);

	bpf_arena_free_pages(&arena, pages, count);
	arena_kern(slot)->pages = NULL;
	return tag;
}

/* 0, -ENOMEM, or -ETIMEDOUT. */
SEC("syscall")
int page_churn(void *ctx)
{
	struct slot __arena *slot;
	__u64 random, sum = 0;
	__u32 i, count;

	for (i = unknown_zero; i < STEPS && can_loop; i++) {
		random = bench_mix(i);
		slot = &slots[random % SLOTS];
		if (arena_kern(slot)->pages) {
			sum = sum * 31 + empty(slot);
			continue;
		}
		count = 1 + (random >> 32) % 4;
		arena_kern(slot)->pages = bpf_arena_alloc_pages(&arena, NULL, count, NUMA_NO_NODE, 0);
		if (!arena_kern(slot)->pages)
			return -ENOMEM;
		arena_kern(slot)->count = count;
		mark(arena_kern(slot)->pages, count, i);
	}
	if (i < STEPS)
		return -ETIMEDOUT;
	for (i = unknown_zero; i < SLOTS && can_loop; i++)
		if (arena_kern(&slots[i])->pages)
			sum = sum * 31 + empty(&slots[i]);
	checksum = sum;
	return i < SLOTS ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
