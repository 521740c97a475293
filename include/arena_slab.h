/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A slab allocator: objects of up to 4032 bytes in the arena, for programs and user space alike. A page holds objects of one
 * size and, in its first 64 bytes, all that is known of them; the sizes are those that divide the rest, so nothing is lost
 * at a page's end. Freed objects of a page are a list through their first words. A page whose last object goes
 * is kept for the next that needs one, and beyond ARENA_SLAB_KEEP such pages given back to the arena.
 *
 *	struct arena_slab __arena_global heap;
 *	struct node __arena *node = arena_slab_alloc(&arena, &heap, sizeof(*node));
 *	arena_slab_free(&arena, &heap, node);
 *
 * Concurrency: alloc and free from any number of CPUs, freeing on another CPU included. A lock guards the pages of one
 * size of one shard; CPUs are dealt out to ARENA_SLAB_SHARDS shards, so they seldom meet. Page functions are called outside
 * the locks. User space takes part: it takes the same locks (struct arena_spin_lock) and follows the same lists; what it
 * cannot do is get pages, so it uses those that are kept, and runs a program that calls arena_slab_refill() when there are
 * none. ARENA_SLAB_REFILL() defines that program. In TypeScript that is `loaded.heap`.
 *
 * Cost: alloc and free are some 40 instructions each, two of them atomic. Memory is not zeroed: arena_slab_zalloc() does
 * that. Objects are aligned to 16 bytes, those of 64 and multiples of it to 64. Only sleepable programs.
 */
#ifndef ARENA_SLAB_H
#define ARENA_SLAB_H

#include "arena_spin_lock.h"

/* Shards, a power of two: about the number of CPUs that allocate at the same time. */
#ifndef ARENA_SLAB_SHARDS
#define ARENA_SLAB_SHARDS 8
#endif

/* Empty pages that are kept. */
#ifndef ARENA_SLAB_KEEP
#define ARENA_SLAB_KEEP 16
#endif

/* The largest object, in bytes. For more use bpf_arena_alloc_pages(). */
#define ARENA_SLAB_MAX 4032

/* Sizes of objects, in bytes. The layout is known to user space: they cannot be configured. */
#define ARENA_SLAB_SIZES 18
#define __ARENA_SLAB_SIZES                                                                                             \
	{ 16, 32, 48, 64, 96, 112, 144, 192, 224, 288, 336, 448, 576, 672, 1008, 1344, 2016, 4032 }

/* The start of each page. */
struct arena_slab_page {
	struct arena_slab_page __arena *next; /* of the bin's pages with room, or of the kept ones */
	struct arena_slab_page __arena *prev;
	void __arena *freed; /* the object freed last; its first word leads to the one before */
	__u16 size; /* of an object; 0 while the page is kept empty */
	__u16 used; /* objects that live here */
	__u16 fresh; /* where the objects begin that were never handed out, in bytes from the page's start */
	__u16 bin; /* index in arena_slab.bin */
	__u64 live[4]; /* bit n: an object that lives begins at byte 16 * n */
};
bpf_type_emit(struct arena_slab_page);

/* The pages of one size in one shard. The lock guards them too. */
struct arena_slab_bin {
	struct arena_spin_lock lock;
	__u32 objects; /* that live */
	struct arena_slab_page __arena *first; /* of the pages that have room */
};

/* The allocator. All-zero is its initial state. */
struct arena_slab {
	struct arena_spin_lock lock; /* of kept and empty */
	__u32 kept; /* pages in empty */
	struct arena_slab_page __arena *empty;
	__u64 pages; /* taken from the arena, the kept ones included */
	__u64 deferred; /* objects that were freed while a lock was not to be had; each leads to the one before */
	__u64 pad[4];
	struct arena_slab_bin bin[ARENA_SLAB_SHARDS * ARENA_SLAB_SIZES]; /* shard by shard, small sizes first */
};

/* The bytes of the smallest size that will do, times 256, plus its index; 0 when there is none. */
static __always_inline __u32 __arena_slab_size(__u64 size)
{
	const __u16 sizes[ARENA_SLAB_SIZES] = __ARENA_SLAB_SIZES;
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < ARENA_SLAB_SIZES; i++)
		if (size <= sizes[i])
			return sizes[i] << 8 | i;
	return 0;
}

static inline void __arena_slab_link(struct arena_slab_bin __arena *bin, struct arena_slab_page __arena *page)
{
	struct arena_slab_page __arena *first = arena_kern(bin)->first;

	arena_kern(page)->next = first;
	arena_kern(page)->prev = NULL;
	if (first)
		arena_kern(first)->prev = page;
	arena_kern(bin)->first = page;
}

static inline void __arena_slab_unlink(struct arena_slab_bin __arena *bin, struct arena_slab_page __arena *page)
{
	struct arena_slab_page __arena *next = arena_kern(page)->next, *prev = arena_kern(page)->prev;

	if (next)
		arena_kern(next)->prev = prev;
	if (prev)
		arena_kern(prev)->next = next;
	else
		arena_kern(bin)->first = next;
}

/* Keeps an empty page, or gives it back where `keep` pages are kept already. Whether it was kept. */
static inline bool __arena_slab_give_page(void *map, struct arena_slab __arena *slab,
					  struct arena_slab_page __arena *page, __u32 keep)
{
	bool kept = false;

	arena_kern(page)->size = 0;
	if (!arena_spin_lock(&slab->lock)) {
		kept = arena_kern(slab)->kept < keep;
		if (kept) {
			arena_kern(page)->next = arena_kern(slab)->empty;
			arena_kern(slab)->empty = page;
			arena_kern(slab)->kept++;
		}
		arena_spin_unlock(&slab->lock);
	}
	if (!kept) {
		bpf_arena_free_pages(map, page, 1);
		fetch_add(&arena_kern(slab)->pages, -1);
	}
	return kept;
}

/* Whether all objects of a page live. */
static inline bool __arena_slab_full(struct arena_slab_page __arena *page)
{
	return !arena_kern(page)->freed && arena_kern(page)->fresh + arena_kern(page)->size > PAGE_SIZE;
}

/* Frees an object, unless the loop budget ends. */
static inline int __arena_slab_put(void *map, struct arena_slab __arena *slab, void __arena *object)
{
	struct arena_slab_page __arena *page = (struct arena_slab_page __arena *)((__u64)object & PAGE_MASK);
	__u32 unit = ((__u64)object & (PAGE_SIZE - 1)) / 16;
	__u64 live = 1ull << unit % 64;
	struct arena_slab_bin __arena *bin;
	bool was_full, is_empty;

	if (!READ_ONCE(arena_kern(page)->size) || (__u64)object % 16)
		return -EINVAL;
	bin = &slab->bin[arena_kern(page)->bin];
	if (arena_spin_lock(&bin->lock))
		return -ETIMEDOUT;
	if (!(arena_kern(page)->live[unit / 64] & live)) {
		arena_spin_unlock(&bin->lock);
		return -EINVAL;
	}
	was_full = __arena_slab_full(page);
	arena_kern(page)->live[unit / 64] &= ~live;
	*(void __arena *__arena *)arena_kern(object) = arena_kern(page)->freed;
	arena_kern(page)->freed = object;
	arena_kern(bin)->objects--;
	is_empty = --arena_kern(page)->used == 0;
	if (is_empty && !was_full)
		__arena_slab_unlink(bin, page);
	else if (!is_empty && was_full)
		__arena_slab_link(bin, page);
	arena_spin_unlock(&bin->lock);
	if (is_empty)
		__arena_slab_give_page(map, slab, page, ARENA_SLAB_KEEP);
	return 0;
}

/*
 * Gives an object back. 0, or -EINVAL where no object lives that came from here (freed before, or a pointer into one). Where
 * the loop budget ends before the lock is to be had, it is freed by whoever next looks for a page. NULL does nothing.
 */
static inline int arena_slab_free(void *map, struct arena_slab __arena *slab, void __arena *object)
{
	int err = object ? __arena_slab_put(map, slab, object) : 0;
	__u64 before;
	int i;

	/* Without can_loop: the budget is used up. Each pass that fails is one in which another CPU got through. */
	for (i = 0; err == -ETIMEDOUT && i < 16; i++) {
		before = READ_ONCE(arena_kern(slab)->deferred);
		*(__u64 __arena *)arena_kern(object) = before;
		if (cmpxchg(&arena_kern(slab)->deferred, before, (__u64)object) == before)
			err = 0;
	}
	return err;
}

/* Frees what was deferred. Under the lock only one takes away from that list, so nothing comes back to its head unseen. */
static __noinline int __arena_slab_settle(void *map, struct arena_slab __arena *slab)
{
	void __arena *object;
	__u64 next;

	while (READ_ONCE(arena_kern(slab)->deferred) && can_loop) {
		if (arena_spin_lock(&slab->lock))
			break;
		object = (void __arena *)READ_ONCE(arena_kern(slab)->deferred);
		if (object) {
			next = *(__u64 __arena *)arena_kern(object);
			if (cmpxchg(&arena_kern(slab)->deferred, (__u64)object, next) != (__u64)object)
				object = NULL;
		}
		arena_spin_unlock(&slab->lock);
		if (arena_slab_free(map, slab, object))
			break;
	}
	return 0;
}

/* An empty page, kept or new; NULL when there is none. */
static inline struct arena_slab_page __arena *__arena_slab_take_page(void *map, struct arena_slab __arena *slab)
{
	struct arena_slab_page __arena *page = NULL;

	if (READ_ONCE(arena_kern(slab)->deferred))
		__arena_slab_settle(map, slab);
	if (READ_ONCE(arena_kern(slab)->kept) && !arena_spin_lock(&slab->lock)) {
		page = arena_kern(slab)->empty;
		if (page) {
			arena_kern(slab)->empty = arena_kern(page)->next;
			arena_kern(slab)->kept--;
		}
		arena_spin_unlock(&slab->lock);
	}
	if (page)
		return page;
	page = bpf_arena_alloc_pages(map, NULL, 1, NUMA_NO_NODE, 0);
	if (page)
		fetch_add(&arena_kern(slab)->pages, 1);
	return page;
}

/* Takes an object of a page with room, whose bin is locked. */
static inline void __arena *__arena_slab_take(struct arena_slab_bin __arena *bin, struct arena_slab_page __arena *page)
{
	void __arena *object = arena_kern(page)->freed;
	__u32 unit;

	if (object) {
		arena_kern(page)->freed = *(void __arena *__arena *)arena_kern(object);
	} else {
		object = (void __arena *)((__u64)page + arena_kern(page)->fresh);
		arena_kern(page)->fresh += arena_kern(page)->size;
	}
	unit = ((__u64)object & (PAGE_SIZE - 1)) / 16;
	arena_kern(page)->live[unit / 64] |= 1ull << unit % 64;
	arena_kern(page)->used++;
	arena_kern(bin)->objects++;
	if (__arena_slab_full(page))
		__arena_slab_unlink(bin, page);
	return object;
}

/* size bytes, not zeroed; 0 bytes count as one. NULL when the arena is full, the loop budget ends, or size is too large. */
static inline void __arena *arena_slab_alloc(void *map, struct arena_slab __arena *slab, __u64 size)
{
	__u32 bytes = __arena_slab_size(size);
	__u32 index = (bpf_get_smp_processor_id() & (ARENA_SLAB_SHARDS - 1)) * ARENA_SLAB_SIZES + (bytes & 255);
	struct arena_slab_bin __arena *bin = &slab->bin[index];
	struct arena_slab_page __arena *page;
	void __arena *object;
	__u32 i;

	if (!bytes || arena_spin_lock(&bin->lock))
		return NULL;
	page = arena_kern(bin)->first;
	if (!page) {
		arena_spin_unlock(&bin->lock);
		page = __arena_slab_take_page(map, slab);
		if (!page)
			return NULL;
		arena_kern(page)->freed = NULL;
		arena_kern(page)->size = bytes >> 8;
		arena_kern(page)->used = 0;
		arena_kern(page)->fresh = sizeof(*page);
		arena_kern(page)->bin = index;
		for (i = 0; i < 4; i++)
			arena_kern(page)->live[i] = 0;
		if (arena_spin_lock(&bin->lock)) {
			__arena_slab_give_page(map, slab, page, ARENA_SLAB_KEEP);
			return NULL;
		}
		__arena_slab_link(bin, page);
	}
	object = __arena_slab_take(bin, page);
	arena_spin_unlock(&bin->lock);
	return object;
}

/* size zeroed bytes, as above. */
static inline void __arena *arena_slab_zalloc(void *map, struct arena_slab __arena *slab, __u64 size)
{
	void __arena *object = arena_slab_alloc(map, slab, size);
	__u64 at;

	if (!object)
		return NULL;
	for (at = unknown_zero; at < size && can_loop; at += 8)
		*(__u64 __arena *)arena_kern(object + at) = 0;
	if (at >= size)
		return object;
	arena_slab_free(map, slab, object);
	return NULL;
}

/* Takes pages from the arena until `pages` are kept, for user space to use. 0, -ENOMEM or -ETIMEDOUT. */
static inline int arena_slab_refill(void *map, struct arena_slab __arena *slab, __u32 pages)
{
	struct arena_slab_page __arena *page;

	while (READ_ONCE(arena_kern(slab)->kept) < pages) {
		if (!can_loop)
			return -ETIMEDOUT;
		page = bpf_arena_alloc_pages(map, NULL, 1, NUMA_NO_NODE, 0);
		if (!page)
			return -ENOMEM;
		fetch_add(&arena_kern(slab)->pages, 1);
		if (!__arena_slab_give_page(map, slab, page, pages))
			break;
	}
	return 0;
}

/* Gives the kept pages back to the arena, once nothing is deferred. 0 or -ETIMEDOUT. */
static inline int arena_slab_trim(void *map, struct arena_slab __arena *slab)
{
	struct arena_slab_page __arena *page, *next;

	if (READ_ONCE(arena_kern(slab)->deferred))
		__arena_slab_settle(map, slab);
	if (READ_ONCE(arena_kern(slab)->deferred) || arena_spin_lock(&slab->lock))
		return -ETIMEDOUT;
	page = arena_kern(slab)->empty;
	arena_kern(slab)->empty = NULL;
	arena_kern(slab)->kept = 0;
	arena_spin_unlock(&slab->lock);
	for (; page && can_loop; page = next) {
		next = arena_kern(page)->next;
		bpf_arena_free_pages(map, page, 1);
		fetch_add(&arena_kern(slab)->pages, -1);
	}
	return page ? -ETIMEDOUT : 0;
}

/* The program that user space runs when it wants pages: `slab`_refill, for a slab that is an arena global. */
#define ARENA_SLAB_REFILL(map, slab)                                                                                   \
	SEC("syscall") int slab##_refill(void *ctx)                                                                    \
	{                                                                                                              \
		return arena_slab_refill(map, &slab, ARENA_SLAB_KEEP);                                                 \
	}

#endif /* ARENA_SLAB_H */
