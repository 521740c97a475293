/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bitmaps in the arena: bit n is bit n % 64 of word n / 64. The caller brings the words and says how many bits count; bits
 * beyond are never looked at, and functions that take a bit do not check it.
 *
 * Concurrency: set, clear and change one bit atomically, together with any of the others, from any number of CPUs. claim
 * gives each bit to one CPU only. test, find and weight look at one word after the other: what they say of a bit was true of it
 * at some time during the call. The functions with two underscores are for bitmaps that nobody else changes meanwhile.
 *
 * Cost: find and claim look at 64 bits at a time, and take some 20 instructions for the word with the bit. Loops run under
 * the program's loop budget, one pass a word: -ETIMEDOUT says that it ran out (see can_loop). A bitmap has up to 2^32 words:
 * in 32 bits the verifier sees an index come back to where it was, in 64 it would follow it for ever.
 */
#ifndef ARENA_BITMAP_H
#define ARENA_BITMAP_H

#include "bpf_arena.h"

/* Words of 64 bits that a bitmap needs. */
#define ARENA_BITMAP_WORDS(bits) (((bits) + 63) / 64)

#define __arena_bit(bit) (1ull << ((bit) % 64))

static inline bool arena_bitmap_test(__u64 __arena *map, __u64 bit)
{
	return READ_ONCE(*arena_kern(map + bit / 64)) & __arena_bit(bit);
}

/* Without others: the fastest form. */
static inline void __arena_bitmap_set(__u64 __arena *map, __u64 bit)
{
	*arena_kern(map + bit / 64) |= __arena_bit(bit);
}

static inline void __arena_bitmap_clear(__u64 __arena *map, __u64 bit)
{
	*arena_kern(map + bit / 64) &= ~__arena_bit(bit);
}

/* With others; no order towards other accesses. */
static inline void arena_bitmap_set(__u64 __arena *map, __u64 bit)
{
	(void)__atomic_fetch_or(arena_kern(map + bit / 64), __arena_bit(bit), __ATOMIC_RELAXED);
}

static inline void arena_bitmap_clear(__u64 __arena *map, __u64 bit)
{
	(void)__atomic_fetch_and(arena_kern(map + bit / 64), ~__arena_bit(bit), __ATOMIC_RELAXED);
}

/* Turns the bit into what it was not. */
static inline void arena_bitmap_change(__u64 __arena *map, __u64 bit)
{
	(void)__atomic_fetch_xor(arena_kern(map + bit / 64), __arena_bit(bit), __ATOMIC_RELAXED);
}

/*
 * Make the bit 1, or 0. What it was before, 1 or 0, or -ETIMEDOUT: then it is as it was. A full barrier when they changed it.
 * (Programs cannot have the value before from an or or an and in the arena, only from a cmpxchg.)
 */
static inline int arena_bitmap_test_and_set(__u64 __arena *map, __u64 bit)
{
	__u64 __arena *word = map + bit / 64;
	__u64 old = READ_ONCE(*arena_kern(word)), seen;

	do {
		if (old & __arena_bit(bit))
			return 1;
		seen = cmpxchg(arena_kern(word), old, old | __arena_bit(bit));
		if (seen == old)
			return 0;
		old = seen;
	} while (can_loop);
	return -ETIMEDOUT;
}

static inline int arena_bitmap_test_and_clear(__u64 __arena *map, __u64 bit)
{
	__u64 __arena *word = map + bit / 64;
	__u64 old = READ_ONCE(*arena_kern(word)), seen;

	do {
		if (!(old & __arena_bit(bit)))
			return 0;
		seen = cmpxchg(arena_kern(word), old, old & ~__arena_bit(bit));
		if (seen == old)
			return 1;
		old = seen;
	} while (can_loop);
	return -ETIMEDOUT;
}

/* How many bits of a word are 1. */
static inline __u32 arena_word_weight(__u64 word)
{
	word -= word >> 1 & 0x5555555555555555ull;
	word = (word & 0x3333333333333333ull) + (word >> 2 & 0x3333333333333333ull);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return word * 0x0101010101010101ull >> 56;
}

/*
 * The number of the lowest bit that is 1 in a word that is not 0: as many as there are below it. BPF has no instruction for
 * it; and a search by halves, the usual way, has the verifier follow each of its 64 ends.
 */
static inline __u32 arena_lowest_bit(__u64 word)
{
	return arena_word_weight(~word & (word - 1));
}

/* A word with the bits that are wanted as 1, without those before `from` in its word. */
#define __arena_bitmap_word(map, index, from, zeroes)                                                                  \
	((READ_ONCE(*arena_kern((map) + (index))) ^ -(__u64)(zeroes)) & ((index) == (from) / 64 ? -__arena_bit(from) : ~0ull))

static inline __s64 __arena_bitmap_find(__u64 __arena *map, __u64 bits, __u64 from, bool zeroes)
{
	__u32 index = from / 64 + unknown_zero;
	__u64 word, bit;

	for (; index * 64ull < bits; index++) {
		word = __arena_bitmap_word(map, index, from, zeroes);
		if (word) {
			bit = index * 64ull + arena_lowest_bit(word);
			return bit < bits ? (__s64)bit : -ENOENT;
		}
		if (!can_loop)
			return -ETIMEDOUT;
	}
	return -ENOENT;
}

/* The first bit from `from` on that is 1, or 0; -ENOENT when there is none below `bits`, or -ETIMEDOUT. */
static inline __s64 arena_bitmap_find(__u64 __arena *map, __u64 bits, __u64 from)
{
	return __arena_bitmap_find(map, bits, from, false);
}

static inline __s64 arena_bitmap_find_zero(__u64 __arena *map, __u64 bits, __u64 from)
{
	return __arena_bitmap_find(map, bits, from, true);
}

/* Walks over the bits that are 1. Afterwards bit is -ENOENT, or -ETIMEDOUT. */
#define arena_bitmap_for_each(bit, map, bits)                                                                          \
	for (bit = arena_bitmap_find(map, bits, unknown_zero); bit >= 0; bit = arena_bitmap_find(map, bits, bit + 1))

/*
 * Makes the first bit from `from` on that is 0 the caller's: 1 from now on. Its number, -ENOSPC when all are taken below
 * `bits`, or -ETIMEDOUT. Give it back with arena_bitmap_release().
 */
static inline __s64 arena_bitmap_claim(__u64 __arena *map, __u64 bits, __u64 from)
{
	__u32 index = from / 64 + unknown_zero;
	__u64 word, old, bit;

	while (index * 64ull < bits) {
		word = __arena_bitmap_word(map, index, from, true);
		if (!word) {
			index++;
		} else {
			bit = index * 64ull + arena_lowest_bit(word);
			if (bit >= bits)
				return -ENOSPC;
			old = READ_ONCE(*arena_kern(map + index));
			if (!(old & __arena_bit(bit)) &&
			    cmpxchg(arena_kern(map + index), old, old | __arena_bit(bit)) == old)
				return bit;
		}
		if (!can_loop)
			return -ETIMEDOUT;
	}
	return -ENOSPC;
}

/* Gives a claimed bit back. What was done before is seen by who claims it next. Cannot fail, since nobody else changes the bit. */
static inline void arena_bitmap_release(__u64 __arena *map, __u64 bit)
{
	/* The bit is 1, so subtracting it clears it and touches no other; unlike `and`, this is a full barrier. */
	__u64 old = fetch_add(arena_kern(map + bit / 64), -__arena_bit(bit));

	asm volatile("" : : "r"(old) : "memory");
}

/* How many of the first `bits` bits are 1, up to 2^32 - 1, or -ETIMEDOUT. */
static inline __s64 arena_bitmap_weight(__u64 __arena *map, __u64 bits)
{
	__u32 weight = unknown_zero, index;
	__u64 word;

	for (index = unknown_zero; index * 64ull < bits; index++) {
		word = READ_ONCE(*arena_kern(map + index));
		if (bits - index * 64ull < 64)
			word &= __arena_bit(bits) - 1;
		weight += arena_word_weight(word);
		if (!can_loop)
			return -ETIMEDOUT;
	}
	return weight;
}

#endif /* ARENA_BITMAP_H */
