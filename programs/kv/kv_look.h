/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looking into the store: sums of what was counted, and a walk over the items. */
#ifndef KV_LOOK_H
#define KV_LOOK_H

#include "kv_slab.h"

/* Sets words to the sum of what all count, who are `step` bytes apart. 0 or -EAGAIN. */
__noinline int kv_sum_words(__u64 to, __u64 from, __u32 words)
{
	__u32 i, who;
	__u64 sum;

	for (i = unknown_zero; i < words; i++) {
		sum = unknown_zero;
		for (who = 0; who < KV_COUNTING; who++)
			sum += kv_at(__u64, from + who * sizeof(struct kv_counts))[i];
		kv_at(__u64, to)[i] = sum;
		if (!can_loop)
			return -EAGAIN;
	}
	return 0;
}

static __always_inline int kv_sum_class(__u32 number)
{
	struct kv_class_counters __arena *to = &kv.statistics.class[number].counters;
	struct kv_class __arena *class = &kv.class[number];
	__u64 age = unknown_zero;
	__u32 who;

	if (kv_sum_words((__u64)to, (__u64)&kv.counts[0].class[number], sizeof(*to) / 8))
		return -EAGAIN;
	for (who = 0; who < KV_COUNTING; who++)
		if (age < kv.counts[who].class[number].last_evicted_age)
			age = kv.counts[who].class[number].last_evicted_age;
	to->last_evicted_age = age;
	kv.statistics.class[number].size = class->size;
	kv.statistics.class[number].slots = class->slots;
	kv.statistics.class[number].slabs = class->slabs;
	kv.statistics.class[number].pages = class->pages;
	kv.statistics.class[number].used_slots = number == KV_LARGE ? class->slabs : class->used;
	return 0;
}

/* Fills kv.statistics. 0 or -EAGAIN. */
static __always_inline int kv_sum(void)
{
	__u32 i;

	if (kv_sum_words((__u64)&kv.statistics.all, (__u64)&kv.counts[0].all, sizeof(struct kv_counters) / 8))
		return -EAGAIN;
	for (i = unknown_zero; i < KV_CLASSES; i++)
		if (!can_loop || kv_sum_class(i & (KV_CLASSES - 1)))
			return -EAGAIN;
	kv.statistics.pages = kv.pages;
	kv.statistics.budget_pages = kv.budget;
	kv.statistics.pages_table = kv.segments * KV_SEGMENT_PAGES + kv.directory_pages;
	kv.statistics.pages_ports = kv.port_pages;
	kv.statistics.buckets = (__u32)kv.state;
	return 0;
}

/* Writes what there is to say of a bucket's items, as many as fit. Bytes written; -EAGAIN: the bucket has changed meanwhile. */
__noinline int kv_walk_bucket(__u32 index, __u64 result, __u32 room)
{
	__u64 bucket = kv_bucket_at(index), item;
	__u32 sequence = kv_sequence(bucket);
	struct kv_walked __arena *to;
	struct kv_item __arena *it;
	__u32 wrote = unknown_zero, bytes;

	if (sequence & 1)
		return -EAGAIN;
	kv_read_barrier();
	item = READ_ONCE(kv_at(struct kv_bucket, bucket)->first);
	while (item && can_loop) {
		it = kv_at(struct kv_item, item);
		bytes = sizeof(*to) + kv_padded(it->key_bytes);
		if (wrote + bytes > room)
			break;
		if (!kv_is_gone(item)) {
			to = kv_at(struct kv_walked, result + wrote);
			to->cas = it->cas;
			to->flags = it->flags;
			to->expires = it->expires;
			to->accessed = it->accessed;
			to->value_bytes = it->value_bytes;
			to->key_bytes = (bytes - sizeof(*to)) ? it->key_bytes : 0;
			to->item = it->bits & (KV_STALE | KV_WIN_SENT | KV_FETCHED);
			to->class = it->place >> 10;
			to->pad = 0;
			kv_copy(result + wrote + sizeof(*to), kv_key_of(item), bytes - sizeof(*to));
			wrote += bytes;
		}
		item = READ_ONCE(it->next);
		if (kv_sequence(bucket) != sequence)
			return -EAGAIN;
	}
	kv_read_barrier();
	return kv_sequence(bucket) == sequence ? wrote : -EAGAIN;
}

#endif /* KV_LOOK_H */
