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
 * Slots of a CPU at most, 256 bytes each, and the share of the budget that those of all CPUs may have. That is more than a CPU's own cache
 * holds; but with fewer of them more items are looked at, which are further away.
 */
#ifndef KV_HOT_MOST
#define KV_HOT_MOST 16384
#endif
#define KV_HOT_SHARE 16

/* Bytes of an answer at least: kv_put_straight() goes by steps of so many. */
#define KV_HOT_LEAST 32

#define KV_HOT_PER_PAGE (PAGE_SIZE / sizeof(struct kv_hot))

/* An answer with a key, in memory. */
struct kv_ready {
	__u64 slot; /* the key's, 0 where there are none */
	__u64 answer;
	__u32 bytes;
	__u32 hash;
	__u64 looked_at, when; /* as kv_hot has them */
};

/* The slot of a hash; 0: this CPU has none. */
static __always_inline __u64 kv_hot_of(struct kv_xdp_cpu __arena *cpu, __u32 hash)
{
	__u32 slots = cpu->hot_slots; /* not many, and a power of two */

	return slots ? cpu->hot + (hash & (slots - 1)) * sizeof(struct kv_hot) : 0;
}

/* The second, and the store's epoch: what ends with either is what no sequence says. */
static __always_inline __u64 kv_when(const struct kv __arena *store)
{
	return READ_ONCE(*(const __u64 __arena *)&store->now);
}

/*
 * Whether what a slot holds is the answer with a key of that hash and length, if it is the same key: that is to be compared, and nothing else.
 * The bucket is found by the hash, so that nothing waits for the slot before it is looked at.
 */
static __always_inline bool kv_is_hot(struct kv_hot __arena *hot, __u32 hash, __u32 key_bytes, const struct kv __arena *store)
{
	__u64 bucket = kv_bucket_of(READ_ONCE(store->state), hash), looked_at;

	kv_read_barrier();
	looked_at = kv_lower(bucket) | (__u64)kv_sequence(bucket) << 32;
	return hot->looked_at == looked_at && hot->key_bytes == key_bytes && hot->when == kv_when(store) && (__u16)hot->hits;
}

/* One more hit, and one less until the item is looked at again. */
static __always_inline void kv_hot_hit(struct kv_hot __arena *hot)
{
	hot->hits += (1 << 16) - 1;
}

/*
 * Puts an answer into a slot, or not: every hit speaks for what is there, every answer that would have liked to be there against it. The answer
 * was valid as found, a moment ago, at that time. It is copied after it was sent: nobody waits for the slot's memory.
 */
static __noinline bool kv_hot_put(__u64 slot, const struct kv_ready *ready, __u32 key_bytes)
{
	struct kv_hot __arena *hot = kv_at(struct kv_hot, slot);
	__u32 hits = hot->hits >> 16;

	if (ready->bytes < KV_HOT_LEAST || ready->bytes > sizeof(hot->answer))
		return false;
	if (hot->hash == ready->hash && hot->key_bytes == key_bytes) {
		if (hits > KV_HOT_HITS)
			hits = KV_HOT_HITS;
	} else if (hits) {
		hot->hits -= 1 << 16;
		return false;
	} else {
		hits = 1;
	}
	hot->hits = 0;
	if (kv_copy((__u64)hot->answer, ready->answer, ready->bytes))
		return false;
	hot->hash = ready->hash;
	hot->key_bytes = key_bytes;
	hot->bytes = ready->bytes;
	hot->looked_at = ready->looked_at;
	hot->when = ready->when;
	hot->hits = hits << 16 | KV_HOT_HITS;
	return true;
}

#endif /* KV_XDP_HOT_H */
