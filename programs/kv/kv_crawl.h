/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What nobody asks for any more: items that have expired or were flushed are taken out when somebody comes by, and for the rest a crawler
 * goes through the table, some buckets at a time. It runs as a program, and in a timer, which must not wait for a lock: it may have
 * interrupted its owner.
 */
#ifndef KV_CRAWL_H
#define KV_CRAWL_H

#include "kv_evict.h"

/* Takes what is gone out of a bucket. */
__noinline int kv_crawl_bucket(__u32 index, __u32 who, int waits)
{
	__u64 bucket = kv_bucket_at(index);
	__u32 sequence, item, i;

	for (i = unknown_zero; i < 64 && can_loop; i++) {
		sequence = kv_sequence(bucket);
		item = READ_ONCE(kv_at(struct kv_bucket, bucket)->first);
		while (item && !kv_is_gone(item) && kv_sequence(bucket) == sequence && can_loop)
			item = READ_ONCE(kv_at(struct kv_item, item)->next);
		if (!item)
			return 0;
		if (kv_is_gone(item) && kv_take_out(item, kv_at(struct kv_item, item)->hash, who, waits))
			kv_free(item);
	}
	return 0;
}

/* Goes on with the next so many buckets; after the last comes the first. */
static __always_inline void kv_crawl(__u32 buckets, __u32 who, bool waits)
{
	__u32 i, index;

	for (i = unknown_zero; i < buckets && can_loop; i++) {
		index = READ_ONCE(kv.crawled);
		if (index >= (__u32)kv.state)
			index = 0;
		WRITE_ONCE(kv.crawled, index + 1);
		kv_crawl_bucket(index, who, waits);
	}
}

#endif /* KV_CRAWL_H */
