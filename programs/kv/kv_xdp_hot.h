/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hot answers: each CPU keeps answers that it gives often, whole, in memory of its own, so that neither the item nor its page is looked
 * at again. A slot for a key is where the key's hash says.
 *
 * The trick: an answer stays right as long as its bucket's sequence is the one it was read under, because whatever changes what a `get`
 * sees of a key (a store, a delete, a touch, a number counted up, an eviction, a bucket that is split) changes that sequence, and it does
 * so before the command is answered. What does not change it is time and a flush, so a slot also holds for one second only, and
 * for the store's epoch; the first hit of a second looks at the item, and marks it as used, as it would have without slots. Nobody but this
 * CPU writes its slots, and nothing interrupts it that does, so what was compared is what is sent.
 */
#ifndef KV_XDP_HOT_H
#define KV_XDP_HOT_H

#include "kv_xdp_request.h"

/* Hits after which the item is looked at again, since the clock's hand may have come round and taken its mark. */
#define KV_HOT_HITS 64

/*
 * Slots of a CPU at most, and the share of the budget that all CPUs' may have. More would not fit a CPU's own caches (a slot in
 * use has 256 bytes, most often 192 of them touched).
 */
#ifndef KV_HOT_MOST
#define KV_HOT_MOST 4096
#endif
#define KV_HOT_SHARE 16

/* Bytes of an answer at least: kv_put_straight() goes by steps of so many. */
#define KV_HOT_LEAST 32

#define KV_HOT_PER_PAGE (PAGE_SIZE / sizeof(struct kv_hot))

/* The slot of a hash; 0: this CPU has none. */
static __always_inline __u64 kv_hot_of(struct kv_xdp_cpu __arena *cpu, __u32 hash)
{
	__u32 slots = cpu->hot_slots;

	return slots ? cpu->hot + (hash & (slots - 1)) * sizeof(struct kv_hot) : 0;
}

/* The second, and the store's epoch: what ends with either is what no sequence says. */
static __always_inline __u64 kv_when(const struct kv __arena *store)
{
	return READ_ONCE(*(const __u64 __arena *)&store->now);
}

/*
 * Whether what a slot holds is the answer with a key of that length, if it is the same key: that is to be compared, and nothing else.
 */
static __always_inline bool kv_is_hot(struct kv_hot __arena *hot, __u32 key_bytes, const struct kv __arena *store)
{
	if (hot->key_bytes != key_bytes || hot->when != kv_when(store) || !(__u16)hot->hits)
		return false;
	kv_read_barrier();
	return kv_sequence(hot->bucket) == hot->sequence;
}

/* One more hit, and one less until the item is looked at again. */
static __always_inline void kv_hot_hit(struct kv_hot __arena *hot)
{
	hot->hits += (1 << 16) - 1;
}

/*
 * Whether an answer of so many bytes shall be put into a slot. Every hit speaks for what is there, every answer that would have liked to be
 * there against it. When so, the slot is empty now.
 */
static __always_inline bool kv_hot_takes(struct kv_hot __arena *hot, __u32 hash, __u32 key_bytes, __u32 bytes)
{
	__u32 hits = hot->hits >> 16;

	if (bytes < KV_HOT_LEAST || bytes > sizeof(hot->answer))
		return false;
	if (hot->hash == hash && hot->key_bytes == key_bytes) {
		if (hits > KV_HOT_HITS)
			hits = KV_HOT_HITS;
	} else if (hits) {
		hot->hits -= 1 << 16;
		return false;
	} else {
		hits = 1;
	}
	hot->hits = hits << 16;
	return true;
}

/* Says what it is that was put into a slot: it was valid as found, a moment ago, at that time. */
static __always_inline void kv_hot_holds(struct kv_hot __arena *hot, __u32 hash, __u32 key_bytes, __u32 bytes, __u64 when,
					 const struct kv_found *found)
{
	hot->hash = hash;
	hot->key_bytes = key_bytes;
	hot->bytes = bytes;
	hot->bucket = found->bucket;
	hot->sequence = found->sequence;
	hot->when = when;
	hot->hits |= KV_HOT_HITS;
}

#endif /* KV_XDP_HOT_H */
