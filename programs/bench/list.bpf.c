// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: a linked list in the arena. list_build appends nodes from a pool to an empty list, several times over; list_walk sums the
 * values of all nodes.
 */
#include "arena_list.h"
#include "bench.h"

#define NODES 65536
#define BUILDS 16
#define WALKS 16

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
} arena SEC(".maps");

struct node {
	ARENA_LIST_LINKS(node);
	__u64 value;
};

ARENA_LIST_HEAD(nodes, node);

struct nodes __arena_global list;
struct node __arena *pool; /* NODES */

/* 0, or -ENOMEM. */
SEC("syscall")
int list_setup(void *ctx)
{
	pool = bpf_arena_alloc_pages(&arena, NULL, NODES * sizeof(*pool) / PAGE_SIZE, NUMA_NO_NODE, 0);
	return pool ? 0 : -ENOMEM;
}

/* 0, or -ETIMEDOUT. */
SEC("syscall")
int list_build(void *ctx)
{
	struct node __arena *node;
	__u64 sum = 0;
	__u32 pass, i;

	for (pass = unknown_zero; pass < BUILDS && can_loop; pass++) {
		arena_kern(&list)->first = NULL;
		arena_kern(&list)->last = NULL;
		for (i = unknown_zero; i < NODES && can_loop; i++) {
			node = &pool[i];
			arena_kern(node)->value = i * 3;
			arena_list_push_last(&list, node);
			sum += i;
		}
		if (i < NODES)
			return -ETIMEDOUT;
	}
	checksum = sum;
	return pass < BUILDS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int list_walk(void *ctx)
{
	struct node __arena *node;
	__u64 sum = 0;
	__u32 i;

	for (i = unknown_zero; i < WALKS && can_loop; i++) {
		arena_list_for_each(node, &list)
			sum += arena_kern(node)->value;
		if (node)
			return -ETIMEDOUT;
	}
	checksum = sum;
	return i < WALKS ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(list_setup), BENCH_PROGRAM(list_build), BENCH_PROGRAM(list_walk));
