/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hot answers: each CPU keeps answers that it gives often, whole, in memory of its own, so that neither the item nor its page is looked
 * at again. The key's hash says which two slots an answer may be in.
 *
 * The trick: an answer stays right as long as its bucket's sequence is the one it was read under, because whatever changes what a `get`
 * sees of a key (a store, a delete, a touch, a number counted up, an eviction, a bucket that is split) changes that sequence, and it does
 * so before the command is answered. What does not change it is time and a flush, so a slot also holds for one second only, and for the
 * store's epoch. Nor does it hold when the hand of a clock has gone a quarter of its way: the next hit looks at the item and marks it as
 * used, so eviction sees what it would have seen without slots. Nobody but this CPU writes its slots, and nothing interrupts it
 * that does, so what was compared is what is sent.
 */
#ifndef KV_XDP_HOT_H
#define KV_XDP_HOT_H

#include "kv_xdp_request.h"

/* Hits that speak for what is in a slot, at most: so many answers to other keys push it out. */
#define KV_HOT_VOTES 64

/*
 * Slots of a CPU at most, 256 bytes each, and at least; and the share of the budget that those of all CPUs may have. At most is more than
 * a CPU's own cache holds; but with fewer of them more items are looked at, which are further away.
 */
#ifndef KV_HOT_MOST
#define KV_HOT_MOST 32768
#endif
#define KV_HOT_FEWEST 16
#define KV_HOT_SHARE 16

/* Bytes of an answer at least: kv_put_straight() goes by steps of so many. */
#define KV_HOT_LEAST 32

/* An answer with a key, in memory. */
struct kv_ready {
	__u64 slot; /* kv_hot_of() its hash */
	__u64 answer;
	__u32 bytes;
	__u32 hash;
	__u64 looked_at, when; /* as kv_hot has them */
};

/* The slot with that number. */
static __always_inline __u64 kv_hot_at(const struct kv_xdp_cpu __arena *cpu, __u32 number)
{
	return cpu->hot + number * sizeof(struct kv_hot);
}

/* The slots of a hash are a pair: this is the number of one. There are not many, and a power of two. */
static __always_inline __u32 kv_hot_number(const struct kv_xdp_cpu __arena *cpu, __u32 hash)
{
	return hash & (cpu->hot_slots - 1);
}

/* Of a hash's two slots the one that may have its answer; 0: this CPU has no slots. */
static __always_inline __u64 kv_hot_of(const struct kv_xdp_cpu __arena *cpu, __u32 hash)
{
	__u32 number = kv_hot_number(cpu, hash);
	__u64 slot = kv_hot_at(cpu, number);

	if (!cpu->hot_slots)
		return 0;
	return kv_at(struct kv_hot, slot)->hash == hash ? slot : kv_hot_at(cpu, number ^ 1);
}

/* The second, the store's epoch, and how far the clocks' hands have gone: what ends with one of these is what no sequence says. */
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
	return hot->looked_at == looked_at && hot->key_bytes == key_bytes && hot->when == kv_when(store);
}

static __always_inline void kv_hot_hit(struct kv_hot __arena *hot)
{
	if (hot->votes < KV_HOT_VOTES)
		hot->votes++;
}

/*
 * Puts an answer into a slot of a pair, or not: every hit speaks for what is there, every answer that would have liked to be there against
 * what less speaks for. The answer was valid as found, a moment ago, at that time. It is copied after it was sent: nobody waits for the slot's memory.
 */
static __noinline bool kv_hot_put(const struct kv_ready *ready, __u32 key_bytes, const struct kv_xdp_cpu __arena *cpu)
{
	struct kv_hot __arena *hot = kv_at(struct kv_hot, ready->slot), *other;

	if (ready->bytes < KV_HOT_LEAST || ready->bytes > sizeof(hot->answer))
		return false;
	if (hot->hash != ready->hash || hot->key_bytes != key_bytes) {
		/* The second one: in the first there is another key's. */
		other = kv_at(struct kv_hot, kv_hot_at(cpu, kv_hot_number(cpu, ready->hash)));
		if (other->votes <= hot->votes)
			hot = other;
		if (hot->votes) {
			hot->votes--;
			return false;
		}
		hot->votes = 1;
	}
	hot->looked_at = 0;
	if (kv_copy((__u64)hot->answer, ready->answer, ready->bytes))
		return false;
	hot->hash = ready->hash;
	hot->key_bytes = key_bytes;
	hot->bytes = ready->bytes;
	hot->when = ready->when;
	hot->looked_at = ready->looked_at;
	return true;
}

#endif /* KV_XDP_HOT_H */
