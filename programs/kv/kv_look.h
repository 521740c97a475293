/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looking into the store: sums of what was counted, and a walk over the items. */
#ifndef KV_LOOK_H
#define KV_LOOK_H

#include "kv_slab.h"

/* Adds the words of one structure to those of another. */
__noinline int kv_add_words(__u64 to, __u64 from, __u32 words)
{
	__u32 i;

	for (i = unknown_zero; i < words && can_loop; i++)
		kv_at(__u64, to)[i] += kv_at(__u64, from)[i];
	return 0;
}

__noinline int kv_zero_words(__u64 to, __u32 words)
{
	__u32 i;

	for (i = unknown_zero; i < words && can_loop; i++)
		kv_at(__u64, to)[i] = 0;
	return 0;
}

static __always_inline void kv_sum_class(__u32 number)
{
	struct kv_class_counters __arena *to = &kv.statistics.class[number].counters;
	struct kv_class __arena *class = &kv.class[number];
	__u64 age = unknown_zero, at, used = unknown_zero;
	__u32 who, slab, i;

	for (who = unknown_zero; who < KV_COUNTING && can_loop; who++) {
		at = (__u64)&kv.counts[who].class[number];
		kv_add_words((__u64)to, at, sizeof(*to) / 8);
		if (age < kv_at(struct kv_class_counters, at)->last_evicted_age)
			age = kv_at(struct kv_class_counters, at)->last_evicted_age;
	}
	to->last_evicted_age = age;
	kv.statistics.class[number].size = class->size;
	kv.statistics.class[number].slots = class->slots;
	kv.statistics.class[number].slabs = class->slabs;
	kv.statistics.class[number].pages = class->pages;
	if (number != KV_LARGE && !kv_lock_class(class)) {
		slab = class->hand;
		for (i = unknown_zero; i < class->slabs && can_loop; i++) {
			used += kv_at(struct kv_slab, slab)->used;
			slab = kv_at(struct kv_slab, slab)->next;
		}
		kv_unlock_class(class);
	} else {
		used = class->slabs;
	}
	kv.statistics.class[number].used_slots = used;
}

/* Fills kv.statistics. */
static __always_inline void kv_sum(void)
{
	__u32 i;

	kv_zero_words((__u64)&kv.statistics, sizeof(kv.statistics) / 8);
	for (i = unknown_zero; i < KV_COUNTING && can_loop; i++)
		kv_add_words((__u64)&kv.statistics.all, (__u64)&kv.counts[i].all, sizeof(struct kv_counters) / 8);
	for (i = unknown_zero; i < KV_CLASSES && can_loop; i++)
		kv_sum_class(i & (KV_CLASSES - 1));
	kv.statistics.pages = kv.pages;
	kv.statistics.budget_pages = kv.budget;
	kv.statistics.pages_table = kv.segments * KV_SEGMENT_PAGES + kv.directory_pages;
	kv.statistics.pages_ports = kv.port_pages;
	kv.statistics.buckets = (__u32)kv.state;
}

/* Writes what there is to say of a bucket's items, as many as fit. Bytes written; -EAGAIN: the bucket has changed meanwhile. */
__noinline int kv_walk_bucket(__u32 index, __u64 result, __u32 room)
{
	__u64 bucket = kv_bucket_at(index), sequence = kv_sequence(bucket), item;
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
