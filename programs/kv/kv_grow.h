/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What changes the table besides commands: buckets are added, and items taken out that made room or have expired. Lock order: a
 * bucket's lock is taken last, under kv.growing where a bucket is split.
 */
#ifndef KV_GROW_H
#define KV_GROW_H

#include "kv_slab.h"

/* Why an item is taken out. */
enum { KV_EVICTED, KV_RECLAIMED };

static __always_inline void kv_count_reason(__u32 who, __u64 item, int reason)
{
	struct kv_counts __arena *counts = kv_counts(who);
	struct kv_item __arena *it = kv_at(struct kv_item, item);
	__u32 class = it->place >> 10 & (KV_CLASSES - 1);
	bool unfetched = !(it->bits & KV_ITEM_FETCHED);

	if (reason == KV_EVICTED) {
		counts->all.evictions++;
		counts->all.evicted_unfetched += unfetched;
		counts->class[class].evictions++;
		counts->class[class].evicted_unfetched += unfetched;
		counts->class[class].last_evicted_age = kv.now - it->accessed;
	} else {
		counts->all.reclaimed++;
		counts->all.expired_unfetched += unfetched;
		counts->all.crawler_reclaimed += who >= KV_PORTS;
		counts->class[class].reclaimed++;
	}
}

/*
 * Takes the item at that address out of its chain, if it is there. 1: it is the caller's now, who gives it back or uses it anew. 0: it
 * is in no chain, or the lock was not to be had. `waits` as for kv_find. A gone item counts as reclaimed.
 */
__noinline int kv_take_out(__u32 item, __u32 hash, __u32 who, int waits)
{
	struct kv_found found;
	__u64 link, at;

	if (kv_lock(hash, &found, waits))
		return 0;
	link = found.bucket + offsetof(struct kv_bucket, first);
	at = *kv_at(__u32, link);
	while (at && at != item && can_loop) {
		link = at + offsetof(struct kv_item, next);
		at = *kv_at(__u32, link);
	}
	if (!at || at != item) {
		kv_unlock_unchanged(&found);
		return 0;
	}
	*kv_at(__u32, link) = kv_at(struct kv_item, item)->next;
	kv_at(struct kv_item, item)->bits &= ~KV_ITEM_LINKED;
	kv_count_item(who, item, -1);
	kv_count_reason(who, item, kv_is_gone(item) ? KV_RECLAIMED : KV_EVICTED);
	kv_unlock(&found);
	return 1;
}

/* Moves what belongs there from a locked bucket into a new one. False where the loop budget ends: then all is as it was. */
static __always_inline bool kv_move_items(__u64 bucket, __u64 fresh, __u32 bit)
{
	__u64 link = bucket + offsetof(struct kv_bucket, first), item = *kv_at(__u32, link);
	__u32 moved = 0, last = 0;
	bool all = true;

	while (item) {
		if (!can_loop) {
			all = false;
			break;
		}
		if (kv_at(struct kv_item, item)->hash & bit) {
			*kv_at(__u32, link) = kv_at(struct kv_item, item)->next;
			kv_at(struct kv_item, item)->next = moved;
			if (!moved)
				last = item;
			moved = item;
		} else {
			link = item + offsetof(struct kv_item, next);
		}
		item = *kv_at(__u32, link);
	}
	if (!all && moved) {
		kv_at(struct kv_item, last)->next = kv_at(struct kv_bucket, bucket)->first;
		kv_at(struct kv_bucket, bucket)->first = moved;
		return false;
	}
	kv_at(struct kv_bucket, fresh)->first = moved;
	return all;
}

/* Adds a bucket, which takes over what belongs there of one other. 0, or an errno. */
__noinline int kv_split(__u32 index)
{
	struct kv_found found;
	__u32 mask = kv_state(index + 1) >> 32, bit = (mask >> 1) + 1;
	__u32 segment = index / KV_SEGMENT_BUCKETS;
	__u64 pages, fresh;
	bool moved;

	if (segment >= kv.segments_max)
		return -ENOSPC;
	if (!kv_at(__u32, kv.directory)[segment]) {
		pages = kv_take_pages(KV_SEGMENT_PAGES);
		if (!pages)
			return -ENOMEM;
		kv_at(__u32, kv.directory)[segment] = pages;
		kv.segments++;
	}
	fresh = kv_bucket_at(index);
	/* The hash of the items that stay: only the owner of kv.growing changes which bucket that is. */
	if (kv_lock(index & (mask >> 1), &found, true))
		return -ETIMEDOUT;
	moved = kv_move_items(found.bucket, fresh, bit);
	if (moved)
		kv_store_release(&kv.state, kv_state(index + 1));
	kv_unlock(&found);
	return moved ? 0 : -ETIMEDOUT;
}

/* Adds buckets while there are more than 1.5 items to each, at most 16. A new item calls it now and then. */
__noinline int kv_grow(void)
{
	__u64 items = unknown_zero;
	__u32 i;

	for (i = 0; i < KV_COUNTING; i++)
		items += kv.counts[i].all.items;
	if (items * 2 <= (__u64)(__u32)kv.state * 3 || READ_ONCE(kv.growing) || cmpxchg(&kv.growing, 0, 1))
		return 0;
	for (i = unknown_zero; i < 16 && can_loop; i++)
		if (items * 2 <= (__u64)(__u32)kv.state * 3 || kv_split(kv.state))
			break;
	kv_store_release(&kv.growing, 0);
	return 0;
}

#endif /* KV_GROW_H */
