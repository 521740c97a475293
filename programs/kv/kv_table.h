/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash table: linear hashing. Buckets are in segments of 4096, which never move and are never given back; a directory finds them.
 * kv.state says how many buckets there are. The table grows by one at a time: the items of one bucket that belong into the
 * new one move over, under the lock of that one bucket, so nobody ever waits for more than that.
 *
 * Readers take no lock. A bucket's sequence is odd while a writer changes its chain, and another one afterwards. Whoever takes an
 * item out of a chain does so under the lock, and its memory is used for something else only after that. So a reader does this,
 * also one that may not sleep (XDP):
 *
 *	struct kv_found found;
 *	do {
 *		if (kv_find(key, key_bytes, hash, &found, true))	// 0, -ENOENT, -ETIMEDOUT
 *			break;
 *		...read found.item: it may be nonsense, even absent (then it reads as zero), so check lengths before using them
 *	} while (!kv_is_valid(&found) && can_loop);		// what was read is whole, and was the key's value, if this says so
 *	kv_mark_used(&found);					// last: seldom more than a look
 *
 * A program that may have interrupted a writer on its own CPU, as XDP does, passes false and does not try again.
 *
 * key: the arena address of the key, padded with zeroes to a multiple of 8. hash: kv_hash(key, key_bytes).
 */
#ifndef KV_TABLE_H
#define KV_TABLE_H

#include "kv_item.h"

#define KV_SEGMENT_BUCKETS 4096
#define KV_SEGMENT_PAGES (KV_SEGMENT_BUCKETS * sizeof(struct kv_bucket) / PAGE_SIZE)

/* Eight in a cache line. The sequence is the same again after 2^31 changes of its bucket: no look takes that long. */
struct kv_bucket {
	__u32 sequence;
	__u32 first; /* item */
};
bpf_type_emit(struct kv_bucket);

/* Where a key is, as one look at its bucket found it. */
struct kv_found {
	__u64 bucket;
	__u64 item;
	__u32 sequence;
};

/* kv.state for so many buckets, at least 2. */
static __always_inline __u64 kv_state(__u32 buckets)
{
	__u32 mask = buckets - 1;

	mask |= mask >> 1;
	mask |= mask >> 2;
	mask |= mask >> 4;
	mask |= mask >> 8;
	mask |= mask >> 16;
	return (__u64)mask << 32 | buckets;
}

static __always_inline __u64 kv_bucket_at(__u32 index)
{
	__u32 segment = kv_at(__u32, kv.directory)[index / KV_SEGMENT_BUCKETS];

	return (__u64)segment + index % KV_SEGMENT_BUCKETS * sizeof(struct kv_bucket);
}

/* The bucket of a hash. */
static __always_inline __u64 kv_bucket_of(__u64 state, __u32 hash)
{
	__u32 mask = state >> 32, index = hash & mask;

	if (index >= (__u32)state)
		index &= mask >> 1;
	return kv_bucket_at(index);
}

static __always_inline __u32 kv_sequence(__u64 bucket)
{
	return READ_ONCE(kv_at(struct kv_bucket, bucket)->sequence);
}

/* Whether the bucket is as it was when it was looked at, so that what was read since is whole. */
static __always_inline bool kv_is_valid(const struct kv_found *found)
{
	kv_read_barrier();
	return kv_sequence(found->bucket) == found->sequence;
}

/* Says whether an item has the key that is looked for, wherever that is. */
typedef bool (*kv_has_key)(const void *wanted, __u64 item);

/* kv_find(), for a key that need not be in the arena. */
static __always_inline int kv_find_as(kv_has_key has_key, const void *wanted, __u32 key_bytes, __u32 hash,
				      struct kv_found *found, bool waits)
{
	__u64 bucket, item;
	__u32 sequence;

	do {
		bucket = kv_bucket_of(READ_ONCE(kv.state), hash);
		sequence = kv_sequence(bucket);
		found->bucket = bucket;
		found->sequence = sequence;
		if (sequence & 1)
			continue;
		kv_read_barrier();
		item = READ_ONCE(kv_at(struct kv_bucket, bucket)->first);
		while (item) {
			if (kv_at(struct kv_item, item)->hash == hash && kv_at(struct kv_item, item)->key_bytes == key_bytes &&
			    has_key(wanted, item)) {
				found->item = item;
				return 0;
			}
			item = READ_ONCE(kv_at(struct kv_item, item)->next);
			/* Items that were freed under it could lead on and on. */
			if (kv_sequence(bucket) != sequence)
				break;
			if (!can_loop)
				return -ETIMEDOUT;
		}
		if (kv_is_valid(found) && kv_bucket_of(READ_ONCE(kv.state), hash) == bucket)
			return -ENOENT;
	} while (waits && can_loop);
	return -ETIMEDOUT;
}

struct kv_wanted {
	__u64 key;
	__u32 key_bytes;
};

static __always_inline bool kv_has_arena_key(const void *wanted, __u64 item)
{
	const struct kv_wanted *w = wanted;

	return kv_same_key(kv_key_of(item), w->key, w->key_bytes);
}

/*
 * Finds a key, which may have expired or been flushed (kv_is_gone). 0; -ENOENT, which needs no validation; -ETIMEDOUT. `waits` says
 * whether to wait for a writer: a program that may have interrupted one must not.
 */
static __always_inline int kv_find(__u64 key, __u32 key_bytes, __u32 hash, struct kv_found *found, bool waits)
{
	const struct kv_wanted wanted = { key, key_bytes };

	return kv_find_as(kv_has_arena_key, &wanted, key_bytes, hash, found, waits);
}

/*
 * Notes that an item was hit now. Its memory may be another's by now, so that takes the bucket's lock for a moment, if
 * nothing has changed since: within a second only the first hit has something to note. Nobody has to see that, so the sequence is
 * set back; and where it has changed, the note is left out.
 */
static __always_inline void kv_mark_used(const struct kv_found *found)
{
	struct kv_bucket __arena *bucket = kv_at(struct kv_bucket, found->bucket);
	struct kv_item __arena *item = kv_at(struct kv_item, found->item);
	__u32 now = kv.now;

	if (item->used && item->accessed == now && item->bits & KV_ITEM_FETCHED)
		return;
	if (cmpxchg(&bucket->sequence, found->sequence, found->sequence + 1) != found->sequence)
		return;
	item->used = 1;
	item->accessed = now;
	item->bits |= KV_ITEM_FETCHED;
	kv_store_release(&bucket->sequence, found->sequence);
}

/* Locks the bucket of a hash; `waits` as for kv_find. 0 or -ETIMEDOUT. The locked sequence is odd: found->sequence is the one before. */
static __always_inline int kv_lock(__u32 hash, struct kv_found *found, bool waits)
{
	__u64 bucket;
	__u32 sequence;

	do {
		bucket = kv_bucket_of(READ_ONCE(kv.state), hash);
		sequence = kv_sequence(bucket);
		if (sequence & 1 ||
		    cmpxchg(&kv_at(struct kv_bucket, bucket)->sequence, sequence, sequence + 1) != sequence)
			continue;
		if (kv_bucket_of(READ_ONCE(kv.state), hash) == bucket) {
			found->bucket = bucket;
			found->sequence = sequence;
			return 0;
		}
		kv_store_release(&kv_at(struct kv_bucket, bucket)->sequence, sequence);
	} while (waits && can_loop);
	return -ETIMEDOUT;
}

/* Locks a bucket that was looked at, if nothing has changed since. */
static __always_inline bool kv_lock_found(const struct kv_found *found)
{
	__u32 __arena *sequence = &kv_at(struct kv_bucket, found->bucket)->sequence;

	return cmpxchg(sequence, found->sequence, found->sequence + 1) == found->sequence;
}

/* Readers look again. */
static __always_inline void kv_unlock(const struct kv_found *found)
{
	kv_store_release(&kv_at(struct kv_bucket, found->bucket)->sequence, found->sequence + 2);
}

/* Readers need not: nothing that they could have read has changed. */
static __always_inline void kv_unlock_unchanged(const struct kv_found *found)
{
	kv_store_release(&kv_at(struct kv_bucket, found->bucket)->sequence, found->sequence);
}

/*
 * Finds a key in a locked bucket. found->item is 0 where it is not there. The address of the link that leads to it, or of the
 * last one; 0 where the loop budget ends.
 */
static __always_inline __u64 kv_find_locked(__u64 key, __u32 key_bytes, __u32 hash, struct kv_found *found)
{
	__u64 link = found->bucket + offsetof(struct kv_bucket, first);
	__u64 item = *kv_at(__u32, link);

	while (item) {
		if (kv_at(struct kv_item, item)->hash == hash && kv_at(struct kv_item, item)->key_bytes == key_bytes &&
		    kv_same_key(kv_key_of(item), key, key_bytes))
			break;
		link = item + offsetof(struct kv_item, next);
		item = *kv_at(__u32, link);
		if (!can_loop)
			return 0;
	}
	found->item = item;
	return link;
}

#endif /* KV_TABLE_H */
