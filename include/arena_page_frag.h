/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments of arena pages: an allocator for objects smaller than a page. It bumps an offset through the CPU's current
 * page and counts what lives there; a page goes back to the arena with its last object. It never hands out a part of a
 * page that was freed.
 *
 * Protocol. Every page starts with a reference count: one for each live object, and one for being current, that is, for
 * whoever may still bump it. The count cannot reach zero while a bump is possible, so "last object freed" alone never
 * frees a page that some CPU still allocates from.
 *
 *	alloc	take the page out of the slot (xchg with NULL): from here on nobody else can bump it
 *		no room: drop the current reference, start a fresh page with one reference
 *		bump, count the new object
 *		put the page back (cmpxchg from NULL); if somebody filled the slot meanwhile: drop the current reference
 *	free	drop the object's reference
 *	drop	fetch_add(refs, -1); who takes the count from 1 to 0 frees the page, and is alone in that
 *
 * Taking the page out is what makes this safe: exclusive use comes from the exchange, not from being on the CPU. Slots
 * are picked by CPU number only to keep CPUs out of each other's way; a program that is preempted or sleeps in the
 * middle, one that interrupts it on the same CPU, or two CPUs that share a slot cost a page's tail and nothing else. A
 * page at an address that was freed and allocated again in between is no problem either: nothing is ever decided on a
 * page pointer read without owning a reference.
 *
 * Concurrency: any number of CPUs, in any mix of alloc and free, freeing on another CPU included. No locks, no loops.
 * Cost: three atomic operations an alloc, one a free, a kfunc call once a page. 16 bytes of a page are its header.
 * A single live object keeps its whole page. Fragments are zeroed (fresh pages are, and no byte is handed out twice in a
 * page's life) and aligned to 8 bytes. Only sleepable programs: the page kfuncs may sleep.
 */
#ifndef ARENA_PAGE_FRAG_H
#define ARENA_PAGE_FRAG_H

#include "bpf_arena.h"

/* Number of current pages, a power of two; about the number of CPUs that allocate at the same time. */
#ifndef ARENA_FRAG_SLOTS
#define ARENA_FRAG_SLOTS 64
#endif

/* The start of every page that holds fragments. */
struct arena_frag_page {
	__u64 refs; /* live objects, plus one while the page is current */
	__u64 used; /* bytes from the page's start that are handed out; only its taker touches it */
};
bpf_type_emit(struct arena_frag_page);

struct arena_frag_slot {
	struct arena_frag_page __arena *page; /* the current page; NULL when none, or while one is taken out */
	__u64 pad[7]; /* a cache line to itself */
};

/* The allocator. Lies in the arena, for example as an arena global; all-zero is its initial state. */
struct arena_frag_cache {
	struct arena_frag_slot slot[ARENA_FRAG_SLOTS];
};

/* Largest fragment, in bytes. For more use bpf_arena_alloc_pages(). */
#define ARENA_FRAG_MAX (PAGE_SIZE - sizeof(struct arena_frag_page))

/* Drops one reference; the last one frees the page. */
static inline void arena_frag_drop(void *map, struct arena_frag_page __arena *page)
{
	if (fetch_add(&arena_kern(page)->refs, -1) == 1)
		bpf_arena_free_pages(map, page, 1);
}

/* size zeroed bytes, aligned to 8. NULL when size is 0 or above ARENA_FRAG_MAX, or the arena is full. */
static inline void __arena *arena_frag_alloc(void *map, struct arena_frag_cache __arena *cache, __u32 size)
{
	struct arena_frag_slot __arena *slot;
	struct arena_frag_page __arena *page;
	__u64 at;

	if (size == 0 || size > ARENA_FRAG_MAX)
		return NULL;
	size = (size + 7) & ~7u;

	slot = &cache->slot[bpf_get_smp_processor_id() & (ARENA_FRAG_SLOTS - 1)];
	page = xchg(&arena_kern(slot)->page, NULL);
	if (page && arena_kern(page)->used + size > PAGE_SIZE) {
		arena_frag_drop(map, page);
		page = NULL;
	}
	if (!page) {
		page = bpf_arena_alloc_pages(map, NULL, 1, NUMA_NO_NODE, 0);
		if (!page)
			return NULL;
		arena_kern(page)->refs = 1;
		arena_kern(page)->used = sizeof(struct arena_frag_page);
	}

	at = arena_kern(page)->used;
	arena_kern(page)->used = at + size;
	fetch_add(&arena_kern(page)->refs, 1);

	if (cmpxchg(&arena_kern(slot)->page, NULL, page))
		arena_frag_drop(map, page);
	return (void __arena *)((__u64)page + at);
}

/* Gives a fragment back. NULL does nothing. Freeing twice is a bug that this cannot detect. */
static inline void arena_frag_free(void *map, void __arena *frag)
{
	if (frag)
		arena_frag_drop(map, (struct arena_frag_page __arena *)((__u64)frag & PAGE_MASK));
}

/* Retires the current pages: each goes back to the arena as soon as it holds no object. Allocating goes on as before. */
static inline void arena_frag_drain(void *map, struct arena_frag_cache __arena *cache)
{
	struct arena_frag_slot __arena *slot;
	struct arena_frag_page __arena *page;
	__u32 i;

	for (i = unknown_zero; i < ARENA_FRAG_SLOTS && can_loop; i++) {
		slot = &cache->slot[i];
		page = xchg(&arena_kern(slot)->page, NULL);
		if (page)
			arena_frag_drop(map, page);
	}
}

#endif /* ARENA_PAGE_FRAG_H */
