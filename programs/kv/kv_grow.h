/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the table grows: one bucket is split at a time, under its lock, by whoever finds that there are more than 1.5 items to each. Lock order: a
 * bucket's lock is taken under kv.growing, which nobody waits for.
 */
#ifndef KV_GROW_H
#define KV_GROW_H

#include "kv_evict.h"

/* There is no room for a segment: so crowded, by the bucket, the table takes it from others. */
#define KV_CROWDED 3

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

/* Adds a bucket, which takes over what belongs there of one other. 0, or an errno. The caller has kv.growing. */
static __always_inline int kv_split(__u32 index, bool crowded, __u32 who)
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
		if (!pages && crowded && !kv_gather(KV_CLASSES, who, KV_SEGMENT_PAGES, true))
			pages = kv_charged_pages(KV_SEGMENT_PAGES);
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
__noinline int kv_grow(__u32 who)
{
	__u64 items = unknown_zero;
	__u32 i;

	for (i = 0; i < KV_COUNTING; i++)
		items += kv.counts[i].all.items;
	if (items * 2 <= (__u64)(__u32)kv.state * 3 || READ_ONCE(kv.growing) || cmpxchg(&kv.growing, 0, 1))
		return 0;
	for (i = unknown_zero; i < 16 && can_loop; i++)
		if (items * 2 <= (__u64)(__u32)kv.state * 3 || kv_split(kv.state, items > (__u64)(__u32)kv.state * KV_CROWDED, who))
			break;
	kv_store_release(&kv.growing, 0);
	return 0;
}

#endif /* KV_GROW_H */
