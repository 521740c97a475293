// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ring queues of arena_ring.h. ring_on_one_cpu returns 0, or the number of the step that went wrong. ring_contend pushes
 * and pops the numbers from 1 to `rounds` on all CPUs at once; a sum, a sum of squares, and a bitmap with a bit for each
 * number say whether each came out once. spsc_contend does so with a ring that is for two: a lock for each end says who they
 * are at the time, and the numbers must come in order.
 */
#include "contend.h"

#include "arena_bitmap.h"
#include "arena_ring.h"
#include "arena_spin_lock.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__ulong(map_extra, 7ull << 44);
} arena SEC(".maps");

#define ROUNDS 1000000

struct arena_ring __arena_global ring;
struct arena_spsc __arena_global spsc;
struct arena_spin_lock __arena_global pushes, pops;
__u64 __arena_global seen[ARENA_BITMAP_WORDS(ROUNDS + 1)];

/* Input; at most ROUNDS. */
__u64 rounds = 20000;

__u64 claimed; /* numbers that were given out to be pushed */

/* Output. */
__u64 popped;
__u64 popped_sum, popped_squares;
__u64 doubles; /* numbers that came out before */
__u64 spsc_pushed, spsc_popped; /* each changed by who has the lock for that end */
__u64 disorder; /* numbers that were not the next one, where there is an order */

SEC("syscall")
int ring_on_one_cpu(void *ctx)
{
	__u64 word, lap;

	if (arena_ring_init(&arena, &ring, 25) != -EINVAL || arena_ring_init(&arena, &ring, 2))
		return 1;
	if (arena_ring_pop(&ring, &word) != -ENOENT)
		return 2;
	for (lap = unknown_zero; lap < 10 && can_loop; lap++) {
		if (arena_ring_push(&ring, 4 * lap) || arena_ring_push(&ring, 4 * lap + 1) ||
		    arena_ring_push(&ring, 4 * lap + 2) || arena_ring_push(&ring, 4 * lap + 3))
			return 3;
		if (arena_ring_push(&ring, 99) != -E2BIG || arena_ring_length(&ring) != 4)
			return 4;
		if (arena_ring_pop(&ring, &word) || word != 4 * lap || arena_ring_pop(&ring, &word) || word != 4 * lap + 1)
			return 5;
		if (arena_ring_pop(&ring, &word) || word != 4 * lap + 2 || arena_ring_pop(&ring, &word) ||
		    word != 4 * lap + 3)
			return 6;
		if (arena_ring_pop(&ring, &word) != -ENOENT || arena_ring_length(&ring))
			return 7;
	}
	arena_ring_destroy(&arena, &ring);
	return arena_ring_init(&arena, &ring, 8) ? 8 : 0;
}

SEC("syscall")
int spsc_on_one_cpu(void *ctx)
{
	__u64 word, lap;

	if (arena_spsc_init(&arena, &spsc, 25) != -EINVAL || arena_spsc_init(&arena, &spsc, 1))
		return 1;
	for (lap = unknown_zero; lap < 10 && can_loop; lap++) {
		if (arena_spsc_pop(&spsc, &word) != -ENOENT)
			return 2;
		if (arena_spsc_push(&spsc, lap) || arena_spsc_push(&spsc, ~lap) || arena_spsc_push(&spsc, 99) != -E2BIG)
			return 3;
		if (arena_spsc_pop(&spsc, &word) || word != lap || arena_spsc_pop(&spsc, &word) || word != ~lap)
			return 4;
	}
	arena_spsc_destroy(&arena, &spsc);
	return arena_spsc_init(&arena, &spsc, 8) ? 5 : 0;
}

/* Notes that a number has come out. */
static __always_inline void account(__u64 number)
{
	int before;

	fetch_add(&popped_sum, number);
	fetch_add(&popped_squares, number * number);
	if (number > ROUNDS) {
		fetch_add(&doubles, 1);
	} else {
		before = arena_bitmap_test_and_set(seen, number);
		if (before == 1)
			fetch_add(&doubles, 1);
		else if (before < 0)
			/* The loop budget has ended: the sums alone say whether it came before. */
			arena_bitmap_set(seen, number);
	}
	fetch_add(&popped, 1);
}

SEC("syscall")
int ring_contend(void *ctx)
{
	__u64 number = unknown_zero, word;
	bool fills = true;
	int err;

	arena_associate(&arena);
	while (can_loop) {
		if (!number) {
			number = fetch_add(&claimed, 1) + 1;
			if (number > rounds) {
				fetch_add(&claimed, -1);
				number = 0;
			}
		}
		/* Fills the ring, then empties it. */
		if (number && fills) {
			err = arena_ring_push(&ring, number);
			if (!err)
				number = 0;
			else if (err == -E2BIG)
				fills = false;
			continue;
		}
		err = arena_ring_pop(&ring, &word);
		if (!err)
			account(word);
		else if (err == -ENOENT)
			fills = true;
		if (!number && READ_ONCE(popped) >= rounds)
			return 0;
	}
	/* A number in hand must not be lost. */
	if (number)
		account(number);
	return -EAGAIN;
}

SEC("syscall")
int spsc_contend(void *ctx)
{
	__u64 word;

	arena_associate(&arena);
	while (can_loop) {
		if (arena_spin_trylock(&pushes)) {
			while (spsc_pushed < rounds && can_loop) {
				if (arena_spsc_push(&spsc, spsc_pushed + 1))
					break;
				spsc_pushed++;
			}
			arena_spin_unlock(&pushes);
		}
		if (arena_spin_trylock(&pops)) {
			while (can_loop) {
				if (arena_spsc_pop(&spsc, &word))
					break;
				if (word != ++spsc_popped)
					disorder++;
			}
			arena_spin_unlock(&pops);
		}
		if (READ_ONCE(spsc_popped) >= rounds)
			return 0;
	}
	return -EAGAIN;
}

/* Looks whether each number came out of the ring. 0, or the first that did not. */
SEC("syscall")
int ring_lost(void *ctx)
{
	__s64 first = arena_bitmap_find_zero(seen, rounds + 1, 1);

	if (first != -ENOENT)
		return first;
	return arena_bitmap_weight(seen, rounds + 1) == (__s64)rounds ? 0 : -EINVAL;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__

/* Runs the programs in their order, those that contend on four threads; `arena_ring ROUNDS`. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		rounds = atoi(argv[1]);
	print_run(ring_on_one_cpu);
	print_run(spsc_on_one_cpu);
	print_run_on_all(ring_contend);
	print_run_on_all(spsc_contend);
	loop_budget = 1 << 20;
	printf("ring_lost=%d\n", ring_lost(NULL));
	print_global(popped);
	print_global(popped_sum);
	print_global(popped_squares);
	print_global(doubles);
	print_global(spsc_popped);
	print_global(disorder);
	return 0;
}
#endif
