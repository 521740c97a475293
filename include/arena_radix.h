/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A sparse array in the arena: from 64-bit indexes to words that are not 0 (pointers, or numbers), as a radix tree of nodes with
 * 64 slots. It is as high as its largest index asks for, at most 11 levels; a node knows its own height, so the root can be
 * replaced by a higher node at any time and who stands below does not notice.
 *
 * Concurrency: get, exchange (which sets and erases) and next from any number of CPUs at once, without locks. A node that is
 * missing is made aside and put in by one cmpxchg; who comes second frees its own. Nodes that have become empty stay:
 * arena_radix_clear() frees them all, and needs the array to itself, as it frees what others may stand on.
 * next sees what was there all the time; of what comes and goes meanwhile, some.
 *
 * Cost: 528 bytes a node, from the fragment allocator; get takes some 5 instructions a level. Dense runs of indexes cost 8.4
 * bytes each; a lone one costs a node a level. Loops run under the program's loop budget, a pass a level: -ETIMEDOUT says that
 * it ran out (see can_loop).
 */
#ifndef ARENA_RADIX_H
#define ARENA_RADIX_H

#include "arena_page_frag.h"

#define ARENA_RADIX_BITS 6
#define ARENA_RADIX_SLOTS (1 << ARENA_RADIX_BITS)

struct arena_radix_node {
	__u64 shift; /* a slot here stands for 2^shift indexes: 0 where slots are the words themselves */
	__u64 pad;
	__u64 slot[ARENA_RADIX_SLOTS]; /* nodes, or words; 0 where there is none */
};
bpf_type_emit(struct arena_radix_node);

/* All-zero is an empty array. */
struct arena_radix {
	struct arena_radix_node __arena *root;
};

/* Whether index is beyond what a node of that shift covers. */
static inline bool __arena_radix_beyond(__u64 index, __u64 shift)
{
	/* The shift of 66 that the highest node would need is none. */
	return index >> shift >> ARENA_RADIX_BITS;
}

static inline __u64 __arena *__arena_radix_slot(struct arena_radix_node __arena *node, __u64 index, __u64 shift)
{
	return &node->slot[index >> shift & (ARENA_RADIX_SLOTS - 1)];
}

/* The word at index, 0 when there is none. 0, or -ETIMEDOUT. */
static inline int arena_radix_get(struct arena_radix __arena *array, __u64 index, __u64 *word)
{
	struct arena_radix_node __arena *node = smp_load_acquire(&arena_kern(array)->root);
	__u64 shift;

	*word = 0;
	if (!node || __arena_radix_beyond(index, arena_kern(node)->shift))
		return 0;
	do {
		shift = arena_kern(node)->shift & 63;
		node = (void __arena *)smp_load_acquire(arena_kern(__arena_radix_slot(node, index, shift)));
		if (!node || !shift) {
			*word = (__u64)node;
			return 0;
		}
	} while (can_loop);
	return -ETIMEDOUT;
}

static inline struct arena_radix_node __arena *__arena_radix_new(void *map, struct arena_frag_cache __arena *cache, __u64 shift)
{
	struct arena_radix_node __arena *node = arena_frag_alloc(map, cache, sizeof(*node));

	if (node)
		arena_kern(node)->shift = shift;
	return node;
}

/*
 * Puts word at index, 0 to erase; *old is what was there. 0, -ENOMEM, or -ETIMEDOUT: then nothing was changed. Sleepable
 * programs only.
 */
static inline int arena_radix_exchange(void *map, struct arena_frag_cache __arena *cache, struct arena_radix __arena *array,
				       __u64 index, __u64 word, __u64 *old)
{
	struct arena_radix_node __arena *node, *fresh, *root;
	__u64 __arena *slot;
	__u64 shift, seen;

	*old = 0;
	/* High enough. */
	while (true) {
		root = smp_load_acquire(&arena_kern(array)->root);
		if (root && !__arena_radix_beyond(index, arena_kern(root)->shift))
			break;
		if (!word)
			return 0;
		if (!can_loop)
			return -ETIMEDOUT;
		fresh = __arena_radix_new(map, cache, root ? arena_kern(root)->shift + ARENA_RADIX_BITS : 0);
		if (!fresh)
			return -ENOMEM;
		arena_kern(fresh)->slot[0] = (__u64)root;
		if (cmpxchg(&arena_kern(array)->root, root, fresh) != root)
			arena_frag_free(map, fresh);
	}
	node = root;
	do {
		shift = arena_kern(node)->shift & 63;
		slot = __arena_radix_slot(node, index, shift);
		if (!shift) {
			*old = xchg(arena_kern(slot), word);
			return 0;
		}
		seen = smp_load_acquire(arena_kern(slot));
		if (!seen) {
			if (!word)
				return 0;
			fresh = __arena_radix_new(map, cache, shift - ARENA_RADIX_BITS);
			if (!fresh)
				return -ENOMEM;
			seen = cmpxchg(arena_kern(slot), 0, (__u64)fresh);
			if (seen)
				arena_frag_free(map, fresh);
			else
				seen = (__u64)fresh;
		}
		node = (void __arena *)seen;
	} while (can_loop);
	return -ETIMEDOUT;
}

/*
 * The first word at *index or behind it; *index is then its place. 0, -ENOENT when there is none, or -ETIMEDOUT: *index is
 * where to go on.
 */
static inline int arena_radix_next(struct arena_radix __arena *array, __u64 *index, __u64 *word)
{
	struct arena_radix_node __arena *root = smp_load_acquire(&arena_kern(array)->root), *node = root;
	__u64 at = *index, shift, seen;

	do {
		if (!node || (node == root && __arena_radix_beyond(at, arena_kern(node)->shift)))
			return -ENOENT;
		shift = arena_kern(node)->shift & 63;
		seen = smp_load_acquire(arena_kern(__arena_radix_slot(node, at, shift)));
		if (seen && !shift) {
			*index = at;
			*word = seen;
			return 0;
		}
		if (seen) {
			node = (void __arena *)seen;
			continue;
		}
		/* On to the next slot; where that is another node's, down from the root again. */
		at = ((at >> shift) + 1) << shift;
		*index = at;
		if (!at)
			return -ENOENT;
		if (!(at >> shift & (ARENA_RADIX_SLOTS - 1)))
			node = root;
	} while (can_loop);
	return -ETIMEDOUT;
}

/*
 * Frees all nodes; the words are the caller's. 0, or -ETIMEDOUT: call it again. The caller has the array to itself. It goes
 * down along the first slots that lead somewhere, and frees what leads nowhere.
 */
static inline int arena_radix_clear(void *map, struct arena_radix __arena *array)
{
	struct arena_radix_node __arena *node, *below;
	__u64 __arena *from = (__u64 __arena *)&array->root;
	__u32 i = unknown_zero;

	node = arena_kern(array)->root;
	while (node) {
		if (!can_loop)
			return -ETIMEDOUT;
		below = NULL;
		if (arena_kern(node)->shift && i < ARENA_RADIX_SLOTS) {
			below = (void __arena *)arena_kern(node)->slot[i];
			if (!below) {
				i++;
				continue;
			}
			from = &node->slot[i];
			node = below;
			i = unknown_zero;
			continue;
		}
		*arena_kern(from) = 0;
		arena_frag_free(map, node);
		from = (__u64 __arena *)&array->root;
		node = arena_kern(array)->root;
		i = unknown_zero;
	}
	return 0;
}

#endif /* ARENA_RADIX_H */
