// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What bpf_arena_alloc_pages() gives, and when it gives nothing. */
#include <bpf_arena.h>

#include "check.h"

#define PAGES 16
#define SIZE 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PAGES);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

static __always_inline char __arena *pages(void __arena *at, __u32 count, int node, __u64 flags)
{
	return bpf_arena_alloc_pages(&arena, at, count, node, flags);
}

SEC("syscall")
int memory_comes_from_any_node_or_from_one_that_is_there(void *ctx)
{
	char __arena *any = pages(NULL, 1, NUMA_NO_NODE, 0);
	char __arena *first = pages(NULL, 1, 0, 0);

	check(any && first);
	bpf_arena_free_pages(&arena, any, 1);
	bpf_arena_free_pages(&arena, first, 1);
	check(!pages(NULL, 1, 99, 0));
	check(!pages(NULL, 1, 1 << 20, 0));
	check(!pages(NULL, 1, -2, 0));
	return 0;
}

SEC("syscall")
int a_page_is_given_once(void *ctx)
{
	char __arena *page = pages(NULL, 1, NUMA_NO_NODE, 0);

	check(page);
	check(!pages(page, 1, NUMA_NO_NODE, 0));
	bpf_arena_free_pages(&arena, page, 1);
	check(pages(page, 1, NUMA_NO_NODE, 0) == page);
	bpf_arena_free_pages(&arena, page, 1);
	return 0;
}

SEC("syscall")
int addresses_that_are_asked_for_begin_a_page_of_the_arena(void *ctx)
{
	char __arena *page = pages(NULL, 1, NUMA_NO_NODE, 0);

	check(page);
	bpf_arena_free_pages(&arena, page, 1);
	check(!pages(page + 8, 1, NUMA_NO_NODE, 0));
	check(!pages(page + PAGES * SIZE, 1, NUMA_NO_NODE, 0));
	check(!pages(page - PAGES * SIZE, 1, NUMA_NO_NODE, 0));
	check(!pages(page, PAGES + 1, NUMA_NO_NODE, 0));
	return 0;
}

SEC("syscall")
int there_are_no_pages_for_no_count_or_unknown_flags(void *ctx)
{
	check(!pages(NULL, 0, NUMA_NO_NODE, 0));
	check(!pages(NULL, PAGES + 1, NUMA_NO_NODE, 0));
	check(!pages(NULL, 1, NUMA_NO_NODE, 1));
	check(!pages(NULL, 1, NUMA_NO_NODE, 1ull << 40));
	return 0;
}

SEC("syscall")
int an_arena_has_as_many_pages_as_it_says(void *ctx)
{
	char __arena *page, *first = NULL;
	int count = 0, i;

	for (i = 0; i <= PAGES; i++) {
		page = pages(NULL, 1, NUMA_NO_NODE, 0);
		if (!page)
			break;
		if (!first)
			first = page;
		page[i] = i;
		count++;
	}
	check(count == PAGES);
	bpf_arena_free_pages(&arena, first, 1000000);
	check(pages(NULL, PAGES, NUMA_NO_NODE, 0) == first);
	for (i = 0; i < PAGES; i++)
		check(first[i * SIZE + i] == 0);
	bpf_arena_free_pages(&arena, first, PAGES);
	return 0;
}

SEC("syscall")
int other_maps_have_no_pages(void *ctx)
{
	check(!bpf_arena_alloc_pages(&array, NULL, 1, NUMA_NO_NODE, 0));
	bpf_arena_free_pages(&array, NULL, 1);
	check(bpf_arena_reserve_pages(&array, NULL, 1) == -EINVAL);
	return 0;
}
