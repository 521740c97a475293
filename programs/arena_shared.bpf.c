// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The hash table and the red-black tree for several CPUs. shared_on_one_cpu returns 0, or the number of the step that went
 * wrong. htab_contend and tree_contend insert, look up and remove random keys on all CPUs at once; what a key's value must be
 * follows from the key, and inserts less removes are what is left in the end.
 */
#include "contend.h"

#include "arena_shared_htab.h"
#include "arena_shared_rbtree.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__ulong(map_extra, 0x72ull << 40);
} arena SEC(".maps");

struct arena_slab __arena_global heap;
struct arena_shared_htab __arena_global htab;
struct arena_shared_rbtree __arena_global tree;

struct entry {
	struct arena_rbnode node;
	__u64 value;
};
bpf_type_emit(struct entry);

#define KEYS 512

/* Entries that could not be freed in time, each with the one before as its value. */
__u64 orphans;

/* Input. */
__u64 rounds = 20000;

/* Output, of the table and of the tree: rounds, and inserts less removes. */
__u64 htab_rounds, tree_rounds;
__u64 htab_balance, tree_balance;
__u64 bad; /* values that are not their key's */
__u64 htab_lost, tree_lost; /* 0: the balance, the count and what a walk finds are equal */
__u64 objects_left;

static __always_inline __u64 value_of(__u64 key)
{
	return key * 1000003 + 7;
}

static __always_inline struct entry __arena *make_entry(__u64 key)
{
	struct entry __arena *entry = arena_slab_alloc(&arena, &heap, sizeof(*entry));

	if (entry) {
		arena_kern(entry)->node.key = key;
		arena_kern(entry)->value = value_of(key);
	}
	return entry;
}

SEC("syscall")
int shared_on_one_cpu(void *ctx)
{
	struct entry __arena *entry;
	__u64 value = 0;
	int err;

	if (arena_shared_htab_get(&htab, 1, &value) != -ENOENT)
		return 1;
	if (arena_shared_htab_set(&arena, &heap, &htab, 1, 2, BPF_EXIST) != -ENOENT)
		return 2;
	if (arena_shared_htab_set(&arena, &heap, &htab, 1, 2, BPF_NOEXIST))
		return 3;
	if (arena_shared_htab_set(&arena, &heap, &htab, 1, 3, BPF_NOEXIST) != -EEXIST)
		return 4;
	if (arena_shared_htab_get(&htab, 1, &value) || value != 2 || arena_kern(&htab)->count != 1)
		return 5;
	if (arena_shared_htab_set(&arena, &heap, &htab, 1, 4, BPF_ANY) || arena_shared_htab_get(&htab, 1, &value) || value != 4)
		return 6;
	if (arena_shared_htab_remove(&arena, &heap, &htab, 1) || arena_shared_htab_remove(&arena, &heap, &htab, 1) != -ENOENT)
		return 7;

	entry = make_entry(5);
	if (!entry || arena_shared_rbtree_get(&tree, 5, offsetof(struct entry, value), &value) != -ENOENT)
		return 8;
	if (arena_shared_rbtree_insert(&tree, &entry->node) || arena_shared_rbtree_insert(&tree, &entry->node) != -EEXIST)
		return 9;
	if (arena_shared_rbtree_get(&tree, 5, offsetof(struct entry, value), &value) || value != value_of(5))
		return 10;
	if (arena_shared_rbtree_remove(&tree, 4, &err) || err != -ENOENT)
		return 11;
	if (arena_shared_rbtree_remove(&tree, 5, &err) != &entry->node || arena_slab_free(&arena, &heap, entry))
		return 12;
	return arena_kern(&tree)->tree.count || arena_kern(&htab)->count || arena_slab_trim(&arena, &heap) ? 13 : 0;
}

/* The key and the action of a round. */
static __always_inline __u64 random_of(__u64 round)
{
	__u64 random = (round + 1) * 0x9e3779b97f4a7c15ull;

	random ^= random >> 29;
	return random * 0xbf58476d1ce4e5b9ull >> 16;
}

SEC("syscall")
int htab_contend(void *ctx)
{
	__u64 random, key, value, round;
	int err;

	arena_associate(&arena);
	while (can_loop) {
		round = fetch_add(&htab_rounds, 1);
		if (round >= rounds) {
			fetch_add(&htab_rounds, -1);
			return 0;
		}
		random = random_of(round);
		key = random % KEYS;
		switch (random >> 40 & 3) {
		case 0:
			err = arena_shared_htab_set(&arena, &heap, &htab, key, value_of(key), BPF_NOEXIST);
			if (!err)
				fetch_add(&htab_balance, 1);
			break;
		case 1:
			err = arena_shared_htab_remove(&arena, &heap, &htab, key);
			if (!err)
				fetch_add(&htab_balance, -1);
			break;
		case 2:
			err = arena_shared_htab_set(&arena, &heap, &htab, key, value_of(key), BPF_EXIST);
			break;
		default:
			err = arena_shared_htab_get(&htab, key, &value);
			if (!err && value != value_of(key))
				fetch_add(&bad, 1);
		}
		if (err && err != -ENOENT && err != -EEXIST) {
			fetch_add(&htab_rounds, -1);
			return -EAGAIN;
		}
	}
	return -EAGAIN;
}

SEC("syscall")
int tree_contend(void *ctx)
{
	struct entry __arena *entry;
	__u64 random, key, value, round;
	int err;

	arena_associate(&arena);
	while (can_loop) {
		round = fetch_add(&tree_rounds, 1);
		if (round >= rounds) {
			fetch_add(&tree_rounds, -1);
			return 0;
		}
		random = random_of(round);
		key = random % KEYS;
		entry = NULL;
		switch (random >> 40 & 3) {
		case 0:
			entry = make_entry(key);
			err = entry ? arena_shared_rbtree_insert(&tree, &entry->node) : -ENOMEM;
			if (!err) {
				fetch_add(&tree_balance, 1);
				entry = NULL;
			}
			break;
		case 1:
			entry = (void __arena *)arena_shared_rbtree_remove(&tree, key, &err);
			if (entry) {
				fetch_add(&tree_balance, -1);
				if (arena_kern(entry)->value != value_of(key))
					fetch_add(&bad, 1);
			}
			break;
		default:
			err = arena_shared_rbtree_get(&tree, key, offsetof(struct entry, value), &value);
			if (!err && value != value_of(key))
				fetch_add(&bad, 1);
		}
		if (entry && arena_slab_free(&arena, &heap, entry) == -ETIMEDOUT)
			arena_kern(entry)->value = xchg(&orphans, (__u64)entry);
		if (err && err != -ENOENT && err != -EEXIST) {
			fetch_add(&tree_rounds, -1);
			return -EAGAIN;
		}
	}
	return -EAGAIN;
}

/* Counts what is left in both, then empties them. 0 or -EAGAIN. */
SEC("syscall")
int shared_empty(void *ctx)
{
	struct arena_rbnode __arena *node;
	struct arena_shared_elem __arena *elem;
	struct entry __arena *entry;
	__u64 htab_walked = 0, tree_walked = 0;
	__u32 i;
	int err;

	arena_associate(&arena);
	for (i = unknown_zero; i < 1 << ARENA_SHARED_HTAB_BITS && can_loop; i++) {
		for (elem = arena_kern(&htab.bucket[i])->first; elem && can_loop; elem = arena_kern(elem)->next)
			htab_walked++;
	}
	for (node = arena_rbtree_first(&tree.tree); node && can_loop; node = arena_rbtree_next(node))
		tree_walked++;
	htab_lost = (htab_balance ^ arena_kern(&htab)->count) | (htab_balance ^ htab_walked);
	tree_lost = (tree_balance ^ arena_kern(&tree)->tree.count) | (tree_balance ^ tree_walked);
	for (i = unknown_zero; i < KEYS && can_loop; i++) {
		err = arena_shared_htab_remove(&arena, &heap, &htab, i);
		if (err && err != -ENOENT)
			return err;
		entry = (void __arena *)arena_shared_rbtree_remove(&tree, i, &err);
		if (entry && arena_slab_free(&arena, &heap, entry))
			return -EINVAL;
	}
	while (orphans && can_loop) {
		entry = (void __arena *)orphans;
		orphans = arena_kern(entry)->value;
		if (arena_slab_free(&arena, &heap, entry))
			return -EINVAL;
	}
	/* Before the objects are counted: it frees those that were deferred. */
	err = arena_slab_trim(&arena, &heap);
	objects_left = 0;
	for (i = unknown_zero; i < ARENA_SLAB_SHARDS * ARENA_SLAB_SIZES && can_loop; i++)
		objects_left += arena_kern(&heap.bin[i])->objects;
	return err;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__

/* Runs the programs in their order, those that contend on four threads; `arena_shared ROUNDS`. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		rounds = atoi(argv[1]);
	print_run(shared_on_one_cpu);
	print_run_on_all(htab_contend);
	print_run_on_all(tree_contend);
	loop_budget = 1 << 20;
	printf("shared_empty=%d\n", shared_empty(NULL));
	print_global(htab_rounds);
	print_global(tree_rounds);
	print_global(bad);
	print_global(htab_lost);
	print_global(tree_lost);
	print_global(objects_left);
	return 0;
}
#endif
