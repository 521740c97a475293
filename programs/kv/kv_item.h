/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The store's one global, `kv`, and what an item looks like: a header, the key, the value, each padded to eight bytes, so that all is
 * hashed, compared and copied in aligned words. Links are arena addresses of 32 bits: half the size of pointers, and a cast away
 * from them.
 *
 * Functions that are not inlined are global, with numbers as arguments: the verifier then looks at each once, whoever calls it.
 */
#ifndef KV_ITEM_H
#define KV_ITEM_H

#include "kv.h"

/* An arena address, or user address, as a pointer to a type. */
#define kv_at(type, address) ((type __arena *)(__u64)(address))

/* Of the longest key. */
#define KV_KEY_WORDS ((KV_KEY_MAX + 7) / 8)

/* Bytes of a string and its padding. */
#define kv_padded(bytes) (((bytes) + 7) & ~7u)

/*
 * Loads before it stay before the loads behind it. x86-64 keeps them in order by itself. Elsewhere user space sets this constant
 * before load, and what it guards is in the program at all.
 */
const volatile __u32 kv_weakly_ordered;

static __always_inline void kv_read_barrier(void)
{
	__u64 word = 0;

	barrier();
	if (kv_weakly_ordered)
		fetch_add(&word, 1);
	barrier();
}

/* Stores before it are seen before what it stores. */
#define kv_store_release(p, v)                                                                                                     \
	({                                                                                                                         \
		if (kv_weakly_ordered) {                                                                                           \
			smp_store_release(p, v);                                                                                   \
		} else {                                                                                                           \
			barrier();                                                                                                 \
			WRITE_ONCE(*(p), v);                                                                                       \
		}                                                                                                                  \
	})

/* kv_item.bits; the first three are what results say, shifted by nothing: enum kv_item_bits. */
enum {
	KV_ITEM_STALE = 1 << 1,
	KV_ITEM_WIN_SENT = 1 << 2,
	KV_ITEM_FETCHED = 1 << 3,
	KV_ITEM_LINKED = 1 << 4, /* in a chain */
	KV_ITEM_RESERVED = 1 << 5, /* KV_RESERVE answered it */
};

struct kv_item {
	__u32 next; /* in its bucket's chain, or among free ones; 0: none */
	__u32 hash;
	__u64 cas;
	__u32 flags;
	__u32 expires;
	__u32 accessed;
	__u32 value_bytes;
	__u8 key_bytes;
	__u8 bits;
	__u16 place; /* class << 10 | slot in its slab: stays while the slab is of that class */
	union {
		__u32 epoch; /* kv.epoch when it was stored, in the upper 24 bits: a flush makes all older ones invisible */
		__u8 used; /* since the hand last came by */
	};
	/* key, value */
};
bpf_type_emit(struct kv_item);

#define KV_LARGE (KV_CLASSES - 1)

/* Items of about one size, and the slabs that they are in: kv_slab.h. Large items are the last class. */
struct kv_class {
	__u32 lock;
	__u32 freed; /* items that were given back: anybody pushes, the lock's owner takes them all */
	__u32 backlog; /* of those that were taken, what the loop budget left */
	__u32 room; /* first slab with free slots */
	__u32 hand; /* slab, or large item, that the hand of the clock points at; all are a ring */
	__u32 hand_slot;
	__u32 slabs; /* or large items */
	__u32 size; /* bytes of a slot */
	__u32 slots; /* of a slab */
	__u32 pages; /* taken */
	__u32 evicted; /* slots, or pages, since `turn` was last set */
	__u32 passed; /* used items that the hand has passed since it stopped last */
	__u32 went; /* slabs that it has left since kv.quarters was last counted */
	__u32 used; /* slots, or large items */
	__u64 turn; /* kv.turn when the last slab's worth was evicted */
	__u64 pad2[7];
};

/* Who counts: each port, and two more. A port is one CPU's at a time, so these are plain words. */
#define KV_COUNTING (KV_PORTS + 2)
#define KV_CRAWLER KV_PORTS /* kv_expire */
#define KV_TIMER (KV_PORTS + 1)

struct kv_counts {
	struct kv_counters all;
	struct kv_class_counters class[KV_CLASSES];
};

/* Commands of a batch whose memory is fetched ahead. */
#define KV_AHEAD 16

/* What kv_look_ahead notes of them, and what it found, so that nobody thinks it useless. */
struct kv_ahead {
	__u32 hash[KV_AHEAD];
	__u32 item[KV_AHEAD];
	__u64 found;
	__u64 pad[7];
};

/* The store. Times in seconds since 1970. */
struct kv {
	__u32 now; /* user space keeps it up to date */
	union {
		__u32 epoch; /* << 8, as items have it */
		__u8 quarters; /* of rounds that hands of classes have gone */
	};
	__u64 pages; /* taken: table, slabs, large items, ports, and these globals */
	__u64 state; /* buckets in the lower half, and in the upper one a mask of as many bits as the last one's number has */
	__u64 directory; /* of segments: arena addresses, 32 bits each */
	__u32 segments, segments_max; /* in the directory, and that it has room for */
	__u64 upper; /* half of user addresses */
	__u64 cas; /* the last one given out */
	__u32 budget; /* pages */
	__u32 flush_at; /* when a flush that waits takes place; 0: none does */
	__u32 growing; /* a lock: one bucket is split at a time */
	__u32 crawled; /* the bucket that the crawler comes to next */
	__u64 turn; /* slabs' worth of items that were evicted, of all classes */
	__u32 buffer_bytes; /* of each buffer of a port */
	__u32 directory_pages;
	__u32 port_pages;
	__u32 started; /* what kv_start has done so far: ports */
	__u32 classes, classed; /* the last one made, and how many sizes have their class */
	__u64 pad[2];
	__u64 factor[KV_KEY_WORDS]; /* of the hash */
	struct kv_port port[KV_PORTS];
	struct kv_class class[KV_CLASSES];
	__u8 class_of[2048]; /* by size / 8 */
	struct kv_ahead ahead[KV_PORTS];
	struct kv_counts counts[KV_COUNTING];
	struct kv_statistics statistics;
};

struct kv __arena_global kv;

static __always_inline struct kv_counts __arena *kv_counts(__u32 who)
{
	return &kv.counts[who < KV_COUNTING ? who : KV_TIMER];
}

/* Counts an item that came into a chain, or left it: sign is 1 or -1. */
static __always_inline void kv_count_item(__u32 who, __u64 item, int sign)
{
	struct kv_counts __arena *counts = kv_counts(who);
	struct kv_item __arena *it = kv_at(struct kv_item, item);
	__u64 bytes = sizeof(*it) + it->key_bytes + it->value_bytes;
	__u32 class = it->place >> 10 & (KV_CLASSES - 1);

	counts->all.items += sign;
	counts->all.bytes += sign * bytes;
	counts->class[class].items += sign;
	counts->class[class].bytes += sign * bytes;
}

/* Words of the key. */
static __always_inline __u64 kv_key_of(__u64 item)
{
	return item + sizeof(struct kv_item);
}

static __always_inline __u64 kv_value_of(__u64 item, __u32 key_bytes)
{
	return item + sizeof(struct kv_item) + kv_padded(key_bytes);
}

/*
 * A key's hash: each word, the last one padded with zeroes, times a random odd number of its own (kv.factor), all added up, and mixed. The
 * products do not wait for each other, as they would were each word mixed into what came before it.
 */
static __always_inline __u64 kv_hash_start(__u32 key_bytes)
{
	return key_bytes * 0x9e3779b97f4a7c15ull;
}

static __always_inline __u32 kv_hash_end(__u64 sum)
{
	return ((sum ^ sum >> 32) * 0x9e3779b97f4a7c15ull) >> 32;
}

/* Of a key in the arena. */
__noinline __u32 kv_hash(__u64 key, __u32 key_bytes)
{
	__u64 sum = kv_hash_start(key_bytes);
	__u32 i;

	for (i = 0; i < KV_KEY_WORDS; i++) {
		if (i * 8 >= key_bytes)
			break;
		sum += kv_at(__u64, key)[i] * kv.factor[i];
	}
	return kv_hash_end(sum);
}

/* Whether two keys of that length are the same. */
__noinline int kv_same_key(__u64 one, __u64 other, __u32 key_bytes)
{
	__u32 i;

	for (i = 0; i < KV_KEY_WORDS; i++) {
		if (i * 8 >= key_bytes)
			break;
		if (kv_at(__u64, one)[i] != kv_at(__u64, other)[i])
			return 0;
	}
	return 1;
}

/* Copies whole words. 0, or -ETIMEDOUT where the loop budget ends. */
__noinline int kv_copy(__u64 to, __u64 from, __u32 bytes)
{
	__u64 __arena *source = kv_at(__u64, from);
	__u64 __arena *target = kv_at(__u64, to);
	__u64 a, b, c, d;
	__u32 words = (bytes + 7) / 8;

	while (words >= 4) {
		a = READ_ONCE(source[0]);
		b = READ_ONCE(source[1]);
		c = READ_ONCE(source[2]);
		d = READ_ONCE(source[3]);
		WRITE_ONCE(target[0], a);
		WRITE_ONCE(target[1], b);
		WRITE_ONCE(target[2], c);
		WRITE_ONCE(target[3], d);
		source += 4;
		target += 4;
		words -= 4;
		if (!can_loop)
			return -ETIMEDOUT;
	}
	if (words & 2) {
		a = READ_ONCE(source[0]);
		b = READ_ONCE(source[1]);
		WRITE_ONCE(target[0], a);
		WRITE_ONCE(target[1], b);
		source += 2;
		target += 2;
	}
	if (words & 1)
		WRITE_ONCE(target[0], READ_ONCE(source[0]));
	return 0;
}

/* As items have it. */
static __always_inline __u32 kv_epoch(void)
{
	return kv.epoch & ~0xffu;
}

/* Whether a flush or its time has ended it. */
static __always_inline bool kv_is_gone(__u64 item)
{
	__u32 expires = kv_at(struct kv_item, item)->expires;

	return (kv_at(struct kv_item, item)->epoch ^ kv.epoch) >> 8 || (expires && expires <= kv.now);
}

#endif /* KV_ITEM_H */
