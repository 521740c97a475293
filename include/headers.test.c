// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Uses what the headers offer and the programs in programs/ do not. build.test.ts compiles it in every form and for every
 * instruction set that has arenas; as native code it runs and prints the number of the first step that went wrong, or 0.
 */
#include "arena_htab.h"
#include "arena_list.h"
#include "arena_rbtree.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
} arena SEC(".maps");

struct node {
	ARENA_LIST_LINKS(node);
	int value;
};

ARENA_LIST_HEAD(nodes, node);

struct arena_frag_cache __arena_global frags;
struct nodes __arena_global list;
struct node __arena_global node[4];
struct arena_htab __arena_global table;
struct arena_htab_elem __arena_global own_elem[2];
struct arena_rbtree __arena_global tree;
struct arena_rbnode __arena_global leaf[512];
struct arena_rbnode __arena_global own_node;
__u32 __arena_global word32 = 5;
__u64 __arena_global word64 = 6;
__u64 local64 = 7;

static __noinline int atomics(void)
{
	__u32 __arena *w32 = arena_kern(&word32);
	__u64 __arena *w64 = arena_kern(&word64);

	if (fetch_add(w32, 2) != 5 || READ_ONCE(*w32) != 7)
		return 1;
	if (xchg(w64, 1ull << 40) != 6 || cmpxchg(w64, 6, 8) != 1ull << 40 || cmpxchg(w64, 1ull << 40, 9) != 1ull << 40)
		return 2;
	if (smp_load_acquire(w64) != 9 || smp_load_acquire(w32) != 7)
		return 3;
	smp_store_release(w64, 10);
	smp_store_release(w32, 11);
	WRITE_ONCE(*w32, READ_ONCE(*w32) + 1);
	if (READ_ONCE(*w64) != 10 || READ_ONCE(*w32) != 12)
		return 4;
	smp_store_release(&local64, smp_load_acquire(&local64) + 1);
	return fetch_add(&local64, 1) == 8 && xchg(&local64, 3) == 9 ? 0 : 5;
}

/* The values on the list as decimal digits, first to last. */
static __noinline int digits(void)
{
	struct node __arena *n;
	int all = 0;

	arena_list_for_each(n, &list)
		all = all * 10 + arena_kern(n)->value;
	return all;
}

static __noinline int lists(void)
{
	struct node __arena *n, *after;
	__u32 i;

	for (i = 0; i < 4; i++)
		arena_kern(&node[i])->value = i + 1;
	arena_list_push_first(&list, &node[1]);
	arena_list_push_first(&list, &node[0]);
	arena_list_push_last(&list, &node[2]);
	arena_list_push_last(&list, &node[3]);
	if (digits() != 1234)
		return 1;
	arena_list_remove(&list, &node[1]);
	arena_list_remove(&list, &node[3]);
	if (digits() != 13 || arena_kern(&list)->last != &node[2])
		return 2;
	arena_list_remove(&list, &node[0]);
	if (digits() != 3 || arena_kern(&node[2])->prev)
		return 3;
	arena_list_for_each_safe(n, after, &list)
		arena_list_remove(&list, n);
	return arena_kern(&list)->first || arena_kern(&list)->last ? 4 : 0;
}

static __noinline int tables(void)
{
	__u64 value = 0;

	if (arena_htab_get(&table, 1, &value) != -ENOENT)
		return 1;
	if (arena_htab_set(&arena, &frags, &table, 1, 2, BPF_EXIST) != -ENOENT)
		return 2;
	if (arena_htab_set(&arena, &frags, &table, 1, 2, BPF_NOEXIST))
		return 3;
	if (arena_htab_set(&arena, &frags, &table, 1, 3, BPF_NOEXIST) != -EEXIST)
		return 4;
	if (arena_htab_get(&table, 1, &value) || value != 2)
		return 5;
	if (arena_htab_set(&arena, &frags, &table, 1, 4, BPF_ANY) || arena_htab_get(&table, 1, &value) || value != 4)
		return 6;
	if (arena_kern(&table)->count != 1 || arena_htab_remove(&arena, &table, 1))
		return 7;
	if (arena_htab_remove(&arena, &table, 1) != -ENOENT || arena_kern(&table)->count != 0)
		return 8;
	arena_kern(&own_elem[0])->key = arena_kern(&own_elem[1])->key = 5;
	arena_kern(&own_elem[0])->value = 6;
	if (arena_htab_add(&table, &own_elem[0]) || arena_htab_add(&table, &own_elem[1]) != -EEXIST)
		return 9;
	return arena_htab_get(&table, 5, &value) == 0 && value == 6 && arena_kern(&table)->count == 1 ? 0 : 10;
}

/* Whether node hangs where its key says, and is not red below a red one. */
static __noinline bool is_well_hung(struct arena_rbnode __arena *node)
{
	struct arena_rbnode __arena *parent = arena_kern(node)->parent;

	if (!parent)
		return arena_kern(&tree)->root == node && !arena_kern(node)->red;
	if (arena_kern(parent)->red && arena_kern(node)->red)
		return false;
	return arena_kern(parent)->child[arena_kern(node)->key > arena_kern(parent)->key] == node;
}

/* Nodes in order, each properly hung, and as many black ones above each end of the tree. The number of nodes, or -1. */
static __noinline int tree_nodes(void)
{
	struct arena_rbnode __arena *node, *above;
	int nodes = unknown_zero, blacks, depth = -1;
	__u64 last = 0;

	for (node = arena_rbtree_first(&tree); node && can_loop; node = arena_rbtree_next(node)) {
		if (!is_well_hung(node) || (nodes && arena_kern(node)->key <= last))
			return -1;
		last = arena_kern(node)->key;
		nodes++;
		if (arena_kern(node)->child[0] && arena_kern(node)->child[1])
			continue;
		blacks = unknown_zero;
		for (above = node; above && can_loop; above = arena_kern(above)->parent)
			blacks += !arena_kern(above)->red;
		if (depth >= 0 && blacks != depth)
			return -1;
		depth = blacks;
	}
	return (__u64)nodes == arena_kern(&tree)->count ? nodes : -1;
}

/* Inserts nodes in an order that is not their keys', then removes them in another, looking at the tree after each. */
static __noinline int trees(void)
{
	struct arena_rbnode __arena *node;
	__u32 i;

	if (tree_nodes() != 0 || arena_rbtree_find(&tree, 0))
		return 1;
	for (i = unknown_zero; i < 512 && can_loop; i++) {
		node = &leaf[i];
		arena_kern(node)->key = i * 197 % 512;
		if (arena_rbtree_insert(&tree, node) || tree_nodes() != (int)i + 1)
			return 2;
	}
	for (i = unknown_zero; i < 512 && can_loop; i++) {
		node = arena_rbtree_find(&tree, i);
		if (!node || arena_kern(node)->key != i)
			return 3;
	}
	if (arena_rbtree_find(&tree, 512))
		return 4;
	arena_kern(&own_node)->key = 7;
	if (arena_rbtree_insert(&tree, &own_node) != -EEXIST)
		return 5;
	for (i = unknown_zero; i < 512 && can_loop; i++) {
		node = arena_rbtree_find(&tree, i * 75 % 512);
		if (!node)
			return 6;
		arena_rbtree_remove(&tree, node);
		if (tree_nodes() != 511 - (int)i || arena_rbtree_find(&tree, i * 75 % 512))
			return 7;
	}
	return 0;
}

static __noinline int frag_sizes(void)
{
	__u64 __arena *a, *b;
	void __arena *whole;

	if (arena_frag_alloc(&arena, &frags, 0) || arena_frag_alloc(&arena, &frags, ARENA_FRAG_MAX + 1))
		return 1;
	whole = arena_frag_alloc(&arena, &frags, ARENA_FRAG_MAX);
	if (!whole || ((__u64)whole + ARENA_FRAG_MAX) % PAGE_SIZE)
		return 2;
	a = arena_frag_alloc(&arena, &frags, 1);
	b = arena_frag_alloc(&arena, &frags, 9);
	if (!a || b != a + 1 || *arena_kern(a) || *arena_kern(b + 1))
		return 3;
	arena_frag_free(&arena, whole);
	arena_frag_free(&arena, a);
	arena_frag_free(&arena, b);
	arena_frag_free(&arena, NULL);
	arena_frag_drain(&arena, &frags);
	return 0;
}

static __noinline int loops(void)
{
	__u32 i, passes = unknown_zero;

	for (i = unknown_zero;; i++) {
		cond_break;
		if (i >= 1000)
			break;
		passes++;
	}
	return passes != 1000;
}

/* 0, or the number of the part times 10 plus the step that went wrong. */
SEC("syscall")
int headers(void *ctx)
{
	int step;

	if ((step = atomics()))
		return 10 + step;
	if ((step = lists()))
		return 20 + step;
	if ((step = tables()))
		return 30 + step;
	if ((step = frag_sizes()))
		return 40 + step;
	if ((step = trees()))
		return 60 + step;
	return loops() ? 51 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__
#include <stdio.h>

int main(void)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	printf("headers=%d\npages_left=%u\n", headers(NULL), bpf_arena_native_used());
	return 0;
}
#endif
