/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bounded first-in, first-out queues of 64-bit words (numbers or pointers) in the arena, in two forms:
 *
 *	struct arena_ring	any number of CPUs push and pop at once. A cell has a turn: even while it is empty, odd while
 *				it is full, and higher by two with each lap, so that all-zero cells are an empty ring. Who
 *				wins the cmpxchg on the position owns the cell until it moves the turn on. 16 bytes an entry
 *	struct arena_spsc	one CPU pushes and one pops at the same time, two atomic accesses each. 8 bytes an entry
 *
 * User space may be one of those CPUs. Errors are those of queue maps: -E2BIG when the ring is full, -ENOENT when it is
 * empty. A CPU that stops in the middle of a push holds up the pops behind it: to them the ring is empty from there on; and
 * likewise the other way round. Nobody is ever handed a word twice, or one that was not pushed.
 *
 * Concurrency: push and pop as said. init and destroy need the ring to themselves. The MPMC forms loop only while others get
 * ahead of them, under the loop budget: -ETIMEDOUT says that it ran out, and nothing was pushed or popped (see can_loop).
 */
#ifndef ARENA_RING_H
#define ARENA_RING_H

#include "bpf_arena.h"

/* Positions count on for ever; the low bits say which cell, the others which lap. */
struct arena_ring_cell {
	__u64 turn; /* 2 * lap: empty; 2 * lap + 1: full */
	__u64 word;
};
bpf_type_emit(struct arena_ring_cell);

struct arena_ring {
	struct arena_ring_cell __arena *cell;
	__u64 bits; /* log2 of the number of cells */
	__u64 pad[6];
	__u64 tail; /* position of the next push; a cache line to itself, as head has */
	__u64 tail_pad[7];
	__u64 head; /* position of the next pop */
	__u64 head_pad[7];
};

static inline __u32 __arena_ring_pages(__u64 bytes)
{
	return (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* Makes an empty ring of 2^bits entries, bits at most 24. 0, -EINVAL or -ENOMEM. Only sleepable programs. */
static inline int arena_ring_init(void *map, struct arena_ring __arena *ring, __u32 bits)
{
	struct arena_ring_cell __arena *cell;

	if (bits > 24)
		return -EINVAL;
	cell = bpf_arena_alloc_pages(map, NULL, __arena_ring_pages(sizeof(*cell) << bits), NUMA_NO_NODE, 0);
	if (!cell)
		return -ENOMEM;
	arena_kern(ring)->cell = cell;
	arena_kern(ring)->bits = bits;
	arena_kern(ring)->tail = 0;
	arena_kern(ring)->head = 0;
	return 0;
}

/* Gives the cells back. */
static inline void arena_ring_destroy(void *map, struct arena_ring __arena *ring)
{
	__u64 bytes = sizeof(struct arena_ring_cell) << arena_kern(ring)->bits;

	bpf_arena_free_pages(map, arena_kern(ring)->cell, __arena_ring_pages(bytes));
	arena_kern(ring)->cell = NULL;
}

/*
 * The cell at *position, once the caller owns it, or NULL: *err says why. The position is that of the next push or pop;
 * full is 0 for who wants an empty cell, 1 for who wants a full one.
 */
static inline struct arena_ring_cell __arena *__arena_ring_own(struct arena_ring __arena *ring, __u64 __arena *next,
							       __u64 full, __u64 *turn, int *err)
{
	__u64 position = READ_ONCE(*arena_kern(next)), bits = arena_kern(ring)->bits, seen;
	struct arena_ring_cell __arena *cell;
	__s64 ahead;

	do {
		cell = arena_kern(ring)->cell + (position & ((1ull << bits) - 1));
		*turn = 2 * (position >> bits) + full;
		ahead = smp_load_acquire(&arena_kern(cell)->turn) - *turn;
		if (ahead < 0) {
			/* A lap behind: still full for who pushes, still empty for who pops, unless others have moved on. */
			seen = READ_ONCE(*arena_kern(next));
			if (seen == position) {
				*err = full ? -ENOENT : -E2BIG;
				return NULL;
			}
		} else if (ahead > 0) {
			seen = READ_ONCE(*arena_kern(next));
		} else {
			seen = cmpxchg(arena_kern(next), position, position + 1);
			if (seen == position)
				return cell;
		}
		position = seen;
	} while (can_loop);
	*err = -ETIMEDOUT;
	return NULL;
}

/* Puts word at the end. 0, -E2BIG when the ring is full, or -ETIMEDOUT. */
static inline int arena_ring_push(struct arena_ring __arena *ring, __u64 word)
{
	struct arena_ring_cell __arena *cell;
	__u64 turn;
	int err = 0;

	cell = __arena_ring_own(ring, &ring->tail, 0, &turn, &err);
	if (!cell)
		return err;
	arena_kern(cell)->word = word;
	smp_store_release(&arena_kern(cell)->turn, turn + 1);
	return 0;
}

/* Takes the first word. 0, -ENOENT when the ring is empty, or -ETIMEDOUT. */
static inline int arena_ring_pop(struct arena_ring __arena *ring, __u64 *word)
{
	struct arena_ring_cell __arena *cell;
	__u64 turn;
	int err = 0;

	cell = __arena_ring_own(ring, &ring->head, 1, &turn, &err);
	if (!cell)
		return err;
	*word = arena_kern(cell)->word;
	smp_store_release(&arena_kern(cell)->turn, turn + 1);
	return 0;
}

/* Words in the ring; while others push and pop, what it was at some time, more or less. */
static inline __u64 arena_ring_length(struct arena_ring __arena *ring)
{
	__s64 length = READ_ONCE(arena_kern(ring)->tail) - READ_ONCE(arena_kern(ring)->head);

	return length < 0 ? 0 : length;
}

struct arena_spsc {
	__u64 __arena *word;
	__u64 bits; /* log2 of the number of words */
	__u64 pad[6];
	__u64 tail; /* the pushing CPU alone writes it */
	__u64 tail_pad[7];
	__u64 head; /* the popping CPU alone writes it */
	__u64 head_pad[7];
};

/* Makes an empty ring of 2^bits words, bits at most 24. 0, -EINVAL or -ENOMEM. Only sleepable programs. */
static inline int arena_spsc_init(void *map, struct arena_spsc __arena *ring, __u32 bits)
{
	__u64 __arena *word;

	if (bits > 24)
		return -EINVAL;
	word = bpf_arena_alloc_pages(map, NULL, __arena_ring_pages(sizeof(*word) << bits), NUMA_NO_NODE, 0);
	if (!word)
		return -ENOMEM;
	arena_kern(ring)->word = word;
	arena_kern(ring)->bits = bits;
	arena_kern(ring)->tail = 0;
	arena_kern(ring)->head = 0;
	return 0;
}

/* Gives the words back. */
static inline void arena_spsc_destroy(void *map, struct arena_spsc __arena *ring)
{
	__u64 bytes = sizeof(__u64) << arena_kern(ring)->bits;

	bpf_arena_free_pages(map, arena_kern(ring)->word, __arena_ring_pages(bytes));
	arena_kern(ring)->word = NULL;
}

/* Puts word at the end. 0, or -E2BIG when the ring is full. */
static inline int arena_spsc_push(struct arena_spsc __arena *ring, __u64 word)
{
	__u64 tail = arena_kern(ring)->tail, size = 1ull << arena_kern(ring)->bits;

	if (tail - smp_load_acquire(&arena_kern(ring)->head) >= size)
		return -E2BIG;
	*arena_kern(arena_kern(ring)->word + (tail & (size - 1))) = word;
	smp_store_release(&arena_kern(ring)->tail, tail + 1);
	return 0;
}

/* Takes the first word. 0, or -ENOENT when the ring is empty. */
static inline int arena_spsc_pop(struct arena_spsc __arena *ring, __u64 *word)
{
	__u64 head = arena_kern(ring)->head, size = 1ull << arena_kern(ring)->bits;

	if (head == smp_load_acquire(&arena_kern(ring)->tail))
		return -ENOENT;
	*word = *arena_kern(arena_kern(ring)->word + (head & (size - 1)));
	smp_store_release(&arena_kern(ring)->head, head + 1);
	return 0;
}

#endif /* ARENA_RING_H */
