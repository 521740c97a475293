// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The slab allocator of arena_slab.h. slab_on_one_cpu returns 0, or the number of the step that went wrong. slab_contend
 * allocates and frees objects of random sizes on all CPUs at once: each carries a mark at both ends that names it, and whoever
 * frees it, often another CPU, looks whether the marks are there. In the end all is freed.
 *
 * heap is also a heap for user space: sum_tree walks a tree that user space has built, grow_list builds a list that
 * user space frees.
 */
#include "contend.h"

#include "arena_slab.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__ulong(map_extra, 6ull << 44);
} arena SEC(".maps");

struct arena_slab __arena_global heap;
ARENA_SLAB_REFILL(&arena, heap)

/* Where objects wait for somebody to free them. */
#define PLACES 512
__u64 __arena_global place[PLACES];
/* Objects that could not be freed in time, each with the one before in `self`. */
__u64 orphans;

/* Input. */
__u64 rounds = 20000;

/* Output. */
__u64 done; /* rounds */
__u64 allocated;
__u64 freed;
__u64 bad; /* objects that were not as they were left, or could not be freed */
__u64 objects_left;
__u64 pages_left; /* held by the allocator */

struct object {
	__u64 size; /* bytes; its own address and size stand in the last 8 of them, in one word */
	__u64 self;
};

static __always_inline __u64 mark_of(__u64 object, __u64 size)
{
	return object << 12 ^ size;
}

static __always_inline struct object __arena *make(__u64 size)
{
	struct object __arena *o = arena_slab_alloc(&arena, &heap, size);
	__u64 __arena *last;

	if (!o)
		return NULL;
	arena_kern(o)->size = size;
	arena_kern(o)->self = (__u64)o;
	last = (__u64 __arena *)((__u64)o + size - 8);
	*arena_kern(last) = mark_of((__u64)o, size);
	return o;
}

/* Gives an object back that is not in use any more, now or, when the lock timed out, in slab_empty. */
static __always_inline void unmake(struct object __arena *o)
{
	__u64 size = arena_kern(o)->size;
	__u64 __arena *last = (__u64 __arena *)((__u64)o + size - 8);
	bool good = size >= 24 && size <= ARENA_SLAB_MAX && arena_kern(o)->self == (__u64)o &&
		    *arena_kern(last) == mark_of((__u64)o, size);
	int err = arena_slab_free(&arena, &heap, o);

	if (err == -ETIMEDOUT)
		arena_kern(o)->self = xchg(&orphans, (__u64)o);
	else if (err || !good)
		fetch_add(&bad, 1);
	fetch_add(&freed, 1);
}

static __always_inline __u64 objects(void)
{
	__u64 all = 0;
	__u32 i;

	for (i = unknown_zero; i < ARENA_SLAB_SHARDS * ARENA_SLAB_SIZES && can_loop; i++)
		all += arena_kern(&heap.bin[i])->objects;
	return all;
}

SEC("syscall")
int slab_on_one_cpu(void *ctx)
{
	void __arena *a, *b, *c, *d;

	if (arena_slab_alloc(&arena, &heap, ARENA_SLAB_MAX + 1) || objects())
		return 1;
	a = arena_slab_alloc(&arena, &heap, 100);
	b = arena_slab_alloc(&arena, &heap, 112);
	if (!a || (__u64)a % PAGE_SIZE != 64 || b != a + 112 || objects() != 2)
		return 2;
	/* The one freed last comes first. */
	if (arena_slab_free(&arena, &heap, a) || arena_slab_alloc(&arena, &heap, 97) != a)
		return 3;
	if (arena_slab_free(&arena, &heap, a + 16) != -EINVAL || arena_slab_free(&arena, &heap, a + 8) != -EINVAL)
		return 4;
	if (arena_slab_free(&arena, &heap, a) || arena_slab_free(&arena, &heap, a) != -EINVAL)
		return 5;
	/* A page to itself, which is kept when it is free, and serves another size then. */
	c = arena_slab_alloc(&arena, &heap, ARENA_SLAB_MAX);
	if (!c || arena_kern(&heap)->pages != 2 || arena_slab_free(&arena, &heap, c) || arena_kern(&heap)->kept != 1)
		return 6;
	d = arena_slab_zalloc(&arena, &heap, 16);
	if (d != c || *(__u64 __arena *)arena_kern(d) || *(__u64 __arena *)arena_kern(d + 8))
		return 7;
	if (arena_slab_free(&arena, &heap, c) || arena_slab_free(&arena, &heap, b) || arena_slab_free(&arena, &heap, NULL))
		return 8;
	if (objects() || arena_kern(&heap)->kept != 2 || arena_kern(&heap)->pages != 2)
		return 9;
	if (arena_slab_refill(&arena, &heap, 5) || arena_kern(&heap)->kept != 5 || arena_kern(&heap)->pages != 5)
		return 10;
	if (arena_slab_trim(&arena, &heap) || arena_kern(&heap)->pages || arena_kern(&heap)->kept)
		return 11;
	return 0;
}

SEC("syscall")
int slab_contend(void *ctx)
{
	struct object __arena *o;
	__u64 random, round;

	arena_associate(&arena);
	while (can_loop) {
		round = fetch_add(&done, 1);
		if (round >= rounds) {
			fetch_add(&done, -1);
			return 0;
		}
		/* Random enough: the words of a multiplication. */
		random = (round + 1) * 0x9e3779b97f4a7c15ull;
		o = make(24 + (random >> 40) % (round % 8 ? 200 : ARENA_SLAB_MAX - 23));
		if (!o) {
			/* The lock timed out: another run does this round. */
			fetch_add(&done, -1);
			break;
		}
		fetch_add(&allocated, 1);
		o = (void __arena *)xchg(arena_kern(&place[(random >> 20) % PLACES]), (__u64)o);
		if (o)
			unmake(o);
	}
	return -EAGAIN;
}

/* Frees what is left. 0 or -EAGAIN. */
SEC("syscall")
int slab_empty(void *ctx)
{
	struct object __arena *o;
	__u32 i;

	for (i = unknown_zero; i < PLACES && can_loop; i++) {
		o = (void __arena *)xchg(arena_kern(&place[i]), 0);
		if (o)
			unmake(o);
	}
	while (orphans && can_loop) {
		o = (void __arena *)orphans;
		orphans = arena_kern(o)->self;
		bad += arena_slab_free(&arena, &heap, o) != 0;
	}
	if (i < PLACES || orphans || arena_slab_trim(&arena, &heap))
		return -EAGAIN;
	objects_left = objects();
	pages_left = arena_kern(&heap)->pages;
	return 0;
}

/* What user space builds: a search tree. */
struct tree_node {
	struct tree_node __arena *child[2];
	struct tree_node __arena *parent;
	__u64 key;
};
bpf_type_emit(struct tree_node);

struct list_node {
	struct list_node __arena *next;
	__u64 value;
};
bpf_type_emit(struct list_node);

/* A page's worth. */
struct big_object {
	__u64 word[ARENA_SLAB_MAX / 8];
};
bpf_type_emit(struct big_object);

/* Too large for the allocator. */
struct too_big {
	struct big_object object;
	__u64 more;
};
bpf_type_emit(struct too_big);

struct tree_node __arena *root; /* in */
struct list_node __arena *list; /* out */
__u64 tree_nodes, tree_sum; /* out; the sum of keys, each times its place in the order */
__u64 list_length = 1000; /* in */

/* Walks the tree in order. 0 or -ETIMEDOUT. */
SEC("syscall")
int sum_tree(void *ctx)
{
	struct tree_node __arena *node = root, *from = NULL, *next;

	arena_associate(&arena);
	tree_nodes = 0;
	tree_sum = 0;
	while (node && can_loop) {
		if (from == arena_kern(node)->parent && arena_kern(node)->child[0]) {
			next = arena_kern(node)->child[0];
		} else if (from == arena_kern(node)->child[1] && from) {
			next = arena_kern(node)->parent;
		} else {
			tree_sum += ++tree_nodes * arena_kern(node)->key;
			next = arena_kern(node)->child[1] ? arena_kern(node)->child[1] : arena_kern(node)->parent;
		}
		from = node;
		node = next;
	}
	return node ? -ETIMEDOUT : 0;
}

/* Puts list_length new nodes before the list, with the values 0 to list_length - 1. 0, -ENOMEM or -ETIMEDOUT. */
SEC("syscall")
int grow_list(void *ctx)
{
	struct list_node __arena *node;
	__u64 i;

	for (i = unknown_zero; i < list_length && can_loop; i++) {
		node = arena_slab_alloc(&arena, &heap, sizeof(*node));
		if (!node)
			return -ENOMEM;
		arena_kern(node)->value = i;
		arena_kern(node)->next = list;
		list = node;
	}
	return i < list_length ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__

/* Runs the programs in their order, slab_contend on four threads; `arena_slab ROUNDS`. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		rounds = atoi(argv[1]);
	print_run(slab_on_one_cpu);
	print_run_on_all(slab_contend);
	print_run_to_end(slab_empty);
	print_global(done);
	print_global(allocated);
	print_global(freed);
	print_global(bad);
	print_global(objects_left);
	print_global(pages_left);
	return 0;
}
#endif
