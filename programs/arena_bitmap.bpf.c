// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bitmaps of arena_bitmap.h. bitmap_on_one_cpu returns 0, or the number of the step that went wrong; bitmap_primes counts
 * the primes below 65,536 with a sieve. bitmap_contend claims numbers from one bitmap on all CPUs at once, as one would
 * inodes or slots: each is written into an array by whoever has it, and must still be there when it is given back.
 */
#include "contend.h"

#include "arena_bitmap.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__ulong(map_extra, 0x71ull << 40);
} arena SEC(".maps");

#define SIEVE 65536
#define SLOTS 200 /* no multiple of 64 */

__u64 __arena_global sieve[ARENA_BITMAP_WORDS(SIEVE)];
__u64 __arena_global taken[ARENA_BITMAP_WORDS(SLOTS)];
__u64 __arena_global flags[ARENA_BITMAP_WORDS(SLOTS)];
__u64 __arena_global owner[SLOTS];

/* Input. */
__u64 rounds = 20000;

/* Output. */
__u64 primes, largest;
__u64 claims, releases;
__u64 bad; /* slots that somebody else had, too */
__u64 full; /* attempts that found no free slot: on one CPU none */
__u64 left; /* bits that are 1 in the end */

SEC("syscall")
int bitmap_on_one_cpu(void *ctx)
{
	__s64 bit;
	int i;

	if (arena_bitmap_find(taken, SLOTS, 0) != -ENOENT || arena_bitmap_find_zero(taken, SLOTS, 0) != 0)
		return 1;
	arena_bitmap_set(taken, 63);
	arena_bitmap_set(taken, 64);
	__arena_bitmap_set(taken, 199);
	if (!arena_bitmap_test(taken, 63) || arena_bitmap_test(taken, 65) || arena_bitmap_weight(taken, SLOTS) != 3)
		return 2;
	if (arena_bitmap_find(taken, SLOTS, 0) != 63 || arena_bitmap_find(taken, SLOTS, 65) != 199)
		return 3;
	if (arena_bitmap_find(taken, 199, 65) != -ENOENT || arena_bitmap_find_zero(taken, SLOTS, 63) != 65)
		return 4;
	if (arena_bitmap_find_zero(taken, SLOTS, 199) != -ENOENT || arena_bitmap_weight(taken, 199) != 2)
		return 5;
	if (arena_bitmap_test_and_set(taken, 64) != 1 || arena_bitmap_test_and_set(taken, 65) != 0)
		return 6;
	if (arena_bitmap_test_and_clear(taken, 64) != 1 || arena_bitmap_test_and_clear(taken, 64) != 0)
		return 7;
	arena_bitmap_change(taken, 65);
	arena_bitmap_change(taken, 66);
	arena_bitmap_clear(taken, 199);
	__arena_bitmap_clear(taken, 63);
	if (arena_bitmap_weight(taken, SLOTS) != 1 || arena_bitmap_claim(taken, SLOTS, 66) != 67)
		return 8;
	bit = arena_bitmap_claim(taken, 68, 66);
	if (bit != -ENOSPC)
		return 9;
	arena_bitmap_release(taken, 67);
	arena_bitmap_release(taken, 66);
	for (i = 0; i < 64; i++)
		if (arena_lowest_bit(~0ull << i) != (__u32)i || arena_word_weight(~0ull << i) != (__u32)(64 - i))
			return 10;
	return arena_bitmap_weight(taken, SLOTS) ? 11 : 0;
}

/* A bit that is 1 is no prime. 0, or -ETIMEDOUT. */
SEC("syscall")
int bitmap_primes(void *ctx)
{
	__u64 n, multiple;
	__s64 prime;

	__arena_bitmap_set(sieve, 0);
	__arena_bitmap_set(sieve, 1);
	for (n = 2 + unknown_zero; n * n < SIEVE && can_loop; n++) {
		if (arena_bitmap_test(sieve, n))
			continue;
		for (multiple = n * n; multiple < SIEVE && can_loop; multiple += n)
			__arena_bitmap_set(sieve, multiple);
	}
	primes = 0;
	for (prime = arena_bitmap_find_zero(sieve, SIEVE, unknown_zero); prime >= 0 && can_loop;
	     prime = arena_bitmap_find_zero(sieve, SIEVE, prime + 1)) {
		primes++;
		largest = prime;
	}
	return prime == -ENOENT && SIEVE - arena_bitmap_weight(sieve, SIEVE) == (__s64)primes ? 0 : -ETIMEDOUT;
}

/* Each round claims a slot, and gives back the one that it claimed before. */
SEC("syscall")
int bitmap_contend(void *ctx)
{
	__s64 slot, before = -1;
	__u64 round;
	bool done = false;

	arena_associate(&arena);
	while (!done && can_loop) {
		round = fetch_add(&claims, 1) + 1;
		slot = round > rounds ? -ENOENT : arena_bitmap_claim(taken, SLOTS, round * 7 % SLOTS);
		if (slot == -ENOSPC)
			slot = arena_bitmap_claim(taken, SLOTS, 0);
		if (slot < 0) {
			fetch_add(&claims, -1);
			done = slot == -ENOENT;
			if (!done)
				fetch_add(&full, 1);
		} else {
			if (xchg(arena_kern(&owner[slot]), round))
				fetch_add(&bad, 1);
			arena_bitmap_change(flags, slot);
		}
		if (before >= 0) {
			if (!xchg(arena_kern(&owner[before]), 0) || !arena_bitmap_test(flags, before))
				fetch_add(&bad, 1);
			arena_bitmap_change(flags, before);
			arena_bitmap_release(taken, before);
			fetch_add(&releases, 1);
		}
		before = slot;
	}
	if (before >= 0) {
		if (!xchg(arena_kern(&owner[before]), 0))
			fetch_add(&bad, 1);
		arena_bitmap_change(flags, before);
		arena_bitmap_release(taken, before);
		fetch_add(&releases, 1);
	}
	return done ? 0 : -EAGAIN;
}

SEC("syscall")
int bitmap_left(void *ctx)
{
	left = arena_bitmap_weight(taken, SLOTS) + arena_bitmap_weight(flags, SLOTS);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__

/* Runs the programs in their order, bitmap_contend on four threads; `arena_bitmap ROUNDS`. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		rounds = atoi(argv[1]);
	print_run(bitmap_on_one_cpu);
	loop_budget = 1 << 24;
	printf("bitmap_primes=%d\n", bitmap_primes(NULL));
	print_global(primes);
	print_global(largest);
	print_run_on_all(bitmap_contend);
	print_run(bitmap_left);
	print_global(claims);
	print_global(releases);
	print_global(bad);
	print_global(left);
	return 0;
}
#endif
