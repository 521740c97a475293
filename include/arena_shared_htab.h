/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A hash table of 64-bit keys and values for several CPUs that also remove. (arena_htab.h is smaller and its set needs no
 * lock, but remove needs the table to itself.) Elements come from a slab allocator. User space walks it as it reads:
 * table.bucket[i].first, then next.
 *
 * Each bucket has a sequence lock. Readers walk its chain without taking it, and walk again when it was changed meanwhile. So a
 * reader may stand on an element that is freed under it, even on a page that is given back. In the arena that does no harm: an
 * absent page reads as zero, a load never faults, and what was read is thrown away. (Natively readers take the lock.)
 *
 * Concurrency: get, set, add, remove from any number of CPUs at once. A set that overwrites is one store. User space reads
 * safely when nobody writes; else it may meet elements that are gone.
 * Cost: 24 bytes an element in slots of 32, 16 a bucket; a get is one acquire for each word it reads, no atomic operation; set
 * and remove are one cmpxchg and one release besides the allocator's.
 * Loops run under the program's loop budget: -ETIMEDOUT says that it ran out, and nothing was changed (see can_loop).
 */
#ifndef ARENA_SHARED_HTAB_H
#define ARENA_SHARED_HTAB_H

#include "arena_slab.h"

/* Log2 of the number of buckets; between 1 and 24. */
#ifndef ARENA_SHARED_HTAB_BITS
#define ARENA_SHARED_HTAB_BITS 12
#endif

struct arena_shared_elem {
	struct arena_shared_elem __arena *next;
	__u64 key;
	__u64 value;
};
bpf_type_emit(struct arena_shared_elem);

struct arena_shared_bucket {
	struct arena_seqlock lock;
	struct arena_shared_elem __arena *first;
};

/* The table. All-zero is an empty one: allocate ARENA_SHARED_HTAB_PAGES pages for it, or make it an arena global. */
struct arena_shared_htab {
	__u64 count; /* elements */
	__u64 pad;
	struct arena_shared_bucket bucket[1 << ARENA_SHARED_HTAB_BITS];
};

#define ARENA_SHARED_HTAB_PAGES ((sizeof(struct arena_shared_htab) + PAGE_SIZE - 1) / PAGE_SIZE)

static inline struct arena_shared_bucket __arena *__arena_shared_bucket(struct arena_shared_htab __arena *htab, __u64 key)
{
	return &htab->bucket[(key * 0x9e3779b97f4a7c15ull) >> (64 - ARENA_SHARED_HTAB_BITS)];
}

/* Reads key's value into *value. 0, -ENOENT when there is none, -ETIMEDOUT. */
static inline int arena_shared_htab_get(struct arena_shared_htab __arena *htab, __u64 key, __u64 *value)
{
	struct arena_shared_bucket __arena *bucket = __arena_shared_bucket(htab, key);
	struct arena_shared_elem __arena *elem;
	__u64 sequence, found = 0;
	int err;

	do {
		sequence = arena_read_seqbegin(&bucket->lock);
		err = -ENOENT;
		elem = smp_load_acquire(&arena_kern(bucket)->first);
		while (elem && can_loop) {
			if (smp_load_acquire(&arena_kern(elem)->key) == key) {
				found = smp_load_acquire(&arena_kern(elem)->value);
				err = 0;
				break;
			}
			elem = smp_load_acquire(&arena_kern(elem)->next);
		}
		if (arena_read_seqretry(&bucket->lock, sequence))
			continue;
		if (err && elem)
			return -ETIMEDOUT;
		if (!err)
			*value = found;
		return err;
	} while (can_loop);
	return -ETIMEDOUT;
}

/* The element with that key, or NULL; *before is the one before it. The bucket is locked. *spent: the budget ran out. */
static inline struct arena_shared_elem __arena *__arena_shared_find(struct arena_shared_bucket __arena *bucket, __u64 key,
								    struct arena_shared_elem __arena **before, bool *spent)
{
	struct arena_shared_elem __arena *elem = arena_kern(bucket)->first;

	*before = NULL;
	while (elem) {
		if (arena_kern(elem)->key == key)
			return elem;
		*before = elem;
		elem = arena_kern(elem)->next;
		if (!can_loop) {
			*spent = elem;
			return NULL;
		}
	}
	return NULL;
}

/*
 * Sets key to value. flags as for a map update: BPF_ANY creates or overwrites, BPF_NOEXIST only creates (else -EEXIST),
 * BPF_EXIST only overwrites (else -ENOENT). 0, or one of these, -ENOMEM, -ETIMEDOUT. Only sleepable programs.
 */
static inline int arena_shared_htab_set(void *map, struct arena_slab __arena *slab, struct arena_shared_htab __arena *htab,
					__u64 key, __u64 value, __u64 flags)
{
	struct arena_shared_bucket __arena *bucket = __arena_shared_bucket(htab, key);
	struct arena_shared_elem __arena *fresh = NULL, *elem, *before;
	bool spent = false;
	int err = 0;

	/* Allocated before the lock is taken, for that may sleep; given back where it is not needed. */
	if (flags != BPF_EXIST) {
		fresh = arena_slab_alloc(map, slab, sizeof(*fresh));
		if (!fresh)
			return -ENOMEM;
		arena_kern(fresh)->key = key;
		arena_kern(fresh)->value = value;
	}
	err = arena_write_seqlock(&bucket->lock);
	if (!err) {
		elem = __arena_shared_find(bucket, key, &before, &spent);
		if (spent) {
			err = -ETIMEDOUT;
		} else if (elem) {
			if (flags == BPF_NOEXIST)
				err = -EEXIST;
			else
				WRITE_ONCE(arena_kern(elem)->value, value);
		} else if (flags == BPF_EXIST) {
			err = -ENOENT;
		} else {
			arena_kern(fresh)->next = arena_kern(bucket)->first;
			arena_kern(bucket)->first = fresh;
			fresh = NULL;
			fetch_add(&arena_kern(htab)->count, 1);
		}
		arena_write_sequnlock(&bucket->lock);
	}
	arena_slab_free(map, slab, fresh);
	return err;
}

/* Takes key out and frees its element. 0, -ENOENT, -ETIMEDOUT. Only sleepable programs. */
static inline int arena_shared_htab_remove(void *map, struct arena_slab __arena *slab,
					   struct arena_shared_htab __arena *htab, __u64 key)
{
	struct arena_shared_bucket __arena *bucket = __arena_shared_bucket(htab, key);
	struct arena_shared_elem __arena *elem, *before;
	bool spent = false;
	int err;

	err = arena_write_seqlock(&bucket->lock);
	if (err)
		return err;
	elem = __arena_shared_find(bucket, key, &before, &spent);
	if (elem) {
		if (before)
			arena_kern(before)->next = arena_kern(elem)->next;
		else
			arena_kern(bucket)->first = arena_kern(elem)->next;
		fetch_add(&arena_kern(htab)->count, -1);
	}
	arena_write_sequnlock(&bucket->lock);
	if (!elem)
		return spent ? -ETIMEDOUT : -ENOENT;
	return arena_slab_free(map, slab, elem);
}

#endif /* ARENA_SHARED_HTAB_H */
