// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: a red-black tree in the arena. tree_insert puts nodes from a pool into an empty tree, in no order of their
 * keys; tree_lookup looks up keys, of which half are there. tree_clear forgets all nodes.
 */
#include "arena_rbtree.h"
#include "bench.h"

#define NODES 16384
#define LOOKUPS 65536

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
} arena SEC(".maps");

struct entry {
	struct arena_rbnode node;
	__u64 value;
};

struct arena_rbtree __arena_global tree;
struct entry __arena *pool;

/* 0, or -ENOMEM. */
SEC("syscall")
int tree_setup(void *ctx)
{
	pool = bpf_arena_alloc_pages(&arena, NULL, NODES * sizeof(struct entry) / PAGE_SIZE, NUMA_NO_NODE, 0);
	return pool ? 0 : -ENOMEM;
}

/* 0, or -ETIMEDOUT. */
SEC("syscall")
int tree_insert(void *ctx)
{
	struct entry __arena *entry;
	__u32 i;
	int err;

	for (i = unknown_zero; i < NODES && can_loop; i++) {
		entry = &pool[i];
		arena_kern(entry)->node.key = bench_mix(i);
		arena_kern(entry)->value = i;
		err = arena_rbtree_insert(&tree, &entry->node);
		if (err)
			return err;
	}
	checksum = arena_kern(arena_kern(&tree)->root)->key;
	return i < NODES ? -ETIMEDOUT : 0;
}

SEC("syscall")
int tree_lookup(void *ctx)
{
	struct entry __arena *entry;
	__u64 sum = 0;
	__u32 i;

	for (i = unknown_zero; i < LOOKUPS && can_loop; i++) {
		/* In another order than they came in. */
		entry = (struct entry __arena *)arena_rbtree_find(&tree, bench_mix(i * 40503u % (2 * NODES)));
		if (entry)
			sum += arena_kern(entry)->value;
	}
	checksum = sum;
	return i < LOOKUPS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int tree_clear(void *ctx)
{
	arena_kern(&tree)->root = NULL;
	arena_kern(&tree)->count = 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(tree_setup), BENCH_PROGRAM(tree_insert), BENCH_PROGRAM(tree_lookup),
	   BENCH_PROGRAM(tree_clear));
