/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A hash table of 64-bit keys and values in the arena: a fixed array of buckets, each a chain of elements from the
 * fragment allocator. User space walks it as it reads: htab.buckets[i].first, then next.
 *
 * Concurrency: get and set from any number of CPUs at once, without locks. A new element is published by one cmpxchg at
 * the head of its chain; elements in a chain never move, so a set that loses the race only looks at what was put before
 * the head it had seen. Two sets of one key: one value wins, no key ever stands twice. remove needs the table to itself
 * (no get, set or remove elsewhere): a reader could stand on the element that is freed.
 *
 * Cost: 24 bytes an element, 8 a bucket; get and set are linear in the chain, count / 2^ARENA_HTAB_BITS on average.
 * Chains are walked under the program's loop budget: -ETIMEDOUT says that it ran out (see can_loop).
 */
#ifndef ARENA_HTAB_H
#define ARENA_HTAB_H

#include "arena_page_frag.h"

/* Log2 of the number of buckets; between 1 and 24. */
#ifndef ARENA_HTAB_BITS
#define ARENA_HTAB_BITS 12
#endif

struct arena_htab_elem {
	struct arena_htab_elem __arena *next;
	__u64 key;
	__u64 value;
};
bpf_type_emit(struct arena_htab_elem);

struct arena_htab_bucket {
	struct arena_htab_elem __arena *first;
};

/* The table. All-zero is an empty one: allocate ARENA_HTAB_PAGES pages for it, or make it an arena global. */
struct arena_htab {
	__u64 count; /* elements */
	struct arena_htab_bucket buckets[1 << ARENA_HTAB_BITS];
};

#define ARENA_HTAB_PAGES ((sizeof(struct arena_htab) + PAGE_SIZE - 1) / PAGE_SIZE)

/* Fibonacci hashing: the odd number next to 2^64 divided by the golden ratio spreads runs of keys evenly. */
static inline struct arena_htab_bucket __arena *arena_htab_bucket_of(struct arena_htab __arena *htab, __u64 key)
{
	return &htab->buckets[(key * 0x9e3779b97f4a7c15ull) >> (64 - ARENA_HTAB_BITS)];
}

/*
 * Walks a chain from elem up to (not including) end. The element with that key, else end, else, when the loop budget
 * runs out, the element it had come to.
 */
static inline struct arena_htab_elem __arena *arena_htab_walk(struct arena_htab_elem __arena *elem,
							      struct arena_htab_elem __arena *end, __u64 key)
{
	while (elem != end && can_loop) {
		if (arena_kern(elem)->key == key)
			break;
		elem = arena_kern(elem)->next;
	}
	return elem;
}

/* Reads key's value into *value. 0, -ENOENT when there is none, -ETIMEDOUT. */
static inline int arena_htab_get(struct arena_htab __arena *htab, __u64 key, __u64 *value)
{
	struct arena_htab_bucket __arena *bucket = arena_htab_bucket_of(htab, key);
	struct arena_htab_elem __arena *elem = READ_ONCE(arena_kern(bucket)->first);

	elem = arena_htab_walk(elem, NULL, key);
	if (!elem)
		return -ENOENT;
	if (arena_kern(elem)->key != key)
		return -ETIMEDOUT;
	*value = READ_ONCE(arena_kern(elem)->value);
	return 0;
}

/*
 * Sets key to value. flags as for a map update: BPF_ANY creates or overwrites, BPF_NOEXIST only creates (else -EEXIST),
 * BPF_EXIST only overwrites (else -ENOENT). 0, or one of these, -ENOMEM, -ETIMEDOUT.
 */
static inline int arena_htab_set(void *map, struct arena_frag_cache __arena *cache, struct arena_htab __arena *htab,
				 __u64 key, __u64 value, __u64 flags)
{
	struct arena_htab_bucket __arena *bucket = arena_htab_bucket_of(htab, key);
	struct arena_htab_elem __arena *first = READ_ONCE(arena_kern(bucket)->first);
	struct arena_htab_elem __arena *searched = NULL; /* the chain from here on is known not to hold the key */
	struct arena_htab_elem __arena *fresh = NULL;
	struct arena_htab_elem __arena *elem;
	int ret = -ETIMEDOUT;

	while (can_loop) {
		elem = arena_htab_walk(first, searched, key);
		if (elem != searched) {
			if (arena_kern(elem)->key != key)
				break; /* out of budget */
			ret = flags == BPF_NOEXIST ? -EEXIST : 0;
			if (ret == 0)
				WRITE_ONCE(arena_kern(elem)->value, value);
			break;
		}
		if (flags == BPF_EXIST) {
			ret = -ENOENT;
			break;
		}
		if (!fresh) {
			fresh = arena_frag_alloc(map, cache, sizeof(*fresh));
			if (!fresh)
				return -ENOMEM;
			arena_kern(fresh)->key = key;
			arena_kern(fresh)->value = value;
		}
		arena_kern(fresh)->next = first;
		elem = cmpxchg(&arena_kern(bucket)->first, first, fresh);
		if (elem == first) {
			fetch_add(&arena_kern(htab)->count, 1);
			return 0;
		}
		searched = first;
		first = elem;
	}
	arena_frag_free(map, fresh);
	return ret;
}

/*
 * Puts an element that the caller allocated and gave its key and value: for programs with an allocator of their own. 0, or
 * -EEXIST when the key is there already, or -ETIMEDOUT; the element is then not in the table. Elements from different
 * allocators do not mix: arena_htab_remove() frees fragments.
 */
static inline int arena_htab_add(struct arena_htab __arena *htab, struct arena_htab_elem __arena *fresh)
{
	__u64 key = arena_kern(fresh)->key;
	struct arena_htab_bucket __arena *bucket = arena_htab_bucket_of(htab, key);
	struct arena_htab_elem __arena *first = READ_ONCE(arena_kern(bucket)->first);
	struct arena_htab_elem __arena *searched = NULL; /* as above */
	struct arena_htab_elem __arena *elem;

	while (can_loop) {
		elem = arena_htab_walk(first, searched, key);
		if (elem != searched)
			return arena_kern(elem)->key == key ? -EEXIST : -ETIMEDOUT;
		arena_kern(fresh)->next = first;
		elem = cmpxchg(&arena_kern(bucket)->first, first, fresh);
		if (elem == first) {
			fetch_add(&arena_kern(htab)->count, 1);
			return 0;
		}
		searched = first;
		first = elem;
	}
	return -ETIMEDOUT;
}

/* Takes key out and frees its element. 0, -ENOENT, -ETIMEDOUT. The caller has the table to itself. */
static inline int arena_htab_remove(void *map, struct arena_htab __arena *htab, __u64 key)
{
	struct arena_htab_bucket __arena *bucket = arena_htab_bucket_of(htab, key);
	struct arena_htab_elem __arena *elem = arena_kern(bucket)->first;
	struct arena_htab_elem __arena *before = NULL;

	while (elem && can_loop) {
		if (arena_kern(elem)->key == key)
			break;
		before = elem;
		elem = arena_kern(elem)->next;
	}
	if (!elem)
		return -ENOENT;
	if (arena_kern(elem)->key != key)
		return -ETIMEDOUT;
	if (before)
		arena_kern(before)->next = arena_kern(elem)->next;
	else
		arena_kern(bucket)->first = arena_kern(elem)->next;
	fetch_add(&arena_kern(htab)->count, -1);
	arena_frag_free(map, elem);
	return 0;
}

#endif /* ARENA_HTAB_H */
