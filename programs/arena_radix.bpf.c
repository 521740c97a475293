// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sparse array of arena_radix.h. radix_on_one_cpu returns 0, or the number of the step that went wrong. radix_contend sets,
 * reads and erases words on all CPUs at once, at indexes from all over the 64 bits; what stands at an index follows from it.
 */
#include "contend.h"

#include "arena_radix.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__ulong(map_extra, 0x73ull << 40);
} arena SEC(".maps");

struct arena_frag_cache __arena_global frags;
struct arena_radix __arena_global array;

#define KEYS 1024

/* Input. */
__u64 rounds = 20000;

/* Output. */
__u64 done; /* rounds */
__u64 bad; /* words that do not belong where they stood */
__u64 balance; /* words put in less words taken out */
__u64 lost; /* 0: as many were there in the end */

/* Every fourth is near 0, others in three more places up to the last index of all. */
static __always_inline __u64 index_of(__u64 key)
{
	__u64 index = key / 4;

	if (key % 4 == 1)
		return index * 4099 + (1ull << 20);
	if (key % 4 == 2)
		return index * 64 + (1ull << 40);
	return key % 4 == 3 ? ~index : index;
}

static __always_inline __u64 word_of(__u64 index)
{
	return index * 0x9e3779b97f4a7c15ull | 1;
}

SEC("syscall")
int radix_on_one_cpu(void *ctx)
{
	__u64 old, word, index = 0;

	if (arena_radix_get(&array, 0, &word) || word || arena_radix_next(&array, &index, &word) != -ENOENT)
		return 1;
	if (arena_radix_exchange(&arena, &frags, &array, 5, 50, &old) || old)
		return 2;
	if (arena_radix_get(&array, 5, &word) || word != 50 || arena_radix_get(&array, 64, &word) || word)
		return 3;
	if (arena_radix_exchange(&arena, &frags, &array, ~0ull, 51, &old) || old)
		return 4;
	if (arena_radix_get(&array, ~0ull, &word) || word != 51 || arena_radix_get(&array, 5, &word) || word != 50)
		return 5;
	index = 0;
	if (arena_radix_next(&array, &index, &word) || index != 5 || word != 50)
		return 6;
	index = 6;
	if (arena_radix_next(&array, &index, &word) || index != ~0ull || word != 51)
		return 7;
	if (arena_radix_exchange(&arena, &frags, &array, 5, 0, &old) || old != 50)
		return 8;
	index = 0;
	if (arena_radix_next(&array, &index, &word) || index != ~0ull)
		return 9;
	if (arena_radix_exchange(&arena, &frags, &array, ~0ull, 0, &old) || old != 51)
		return 10;
	index = 0;
	if (arena_radix_next(&array, &index, &word) != -ENOENT)
		return 11;
	return arena_radix_clear(&arena, &array) || arena_kern(&array)->root ? 12 : 0;
}

SEC("syscall")
int radix_contend(void *ctx)
{
	__u64 random, index, old, round, word;
	int err;

	arena_associate(&arena);
	while (can_loop) {
		round = fetch_add(&done, 1);
		if (round >= rounds) {
			fetch_add(&done, -1);
			return 0;
		}
		random = (round + 1) * 0x9e3779b97f4a7c15ull;
		index = index_of((random >> 20) % KEYS);
		old = 0;
		if (random >> 40 & 1) {
			word = random >> 41 & 1 ? word_of(index) : 0;
			err = arena_radix_exchange(&arena, &frags, &array, index, word, &old);
			if (!err)
				fetch_add(&balance, (__u64)!!word - !!old);
		} else {
			err = arena_radix_get(&array, index, &old);
		}
		if (old && old != word_of(index))
			fetch_add(&bad, 1);
		if (err) {
			fetch_add(&done, -1);
			break;
		}
	}
	return -EAGAIN;
}

/* Counts the words that are left, in order, then frees the nodes. 0, or an error. */
SEC("syscall")
int radix_empty(void *ctx)
{
	__u64 index = unknown_zero, last = unknown_zero, word;
	__u32 count = unknown_zero;
	int err = 0;

	arena_associate(&arena);
	while (can_loop) {
		err = arena_radix_next(&array, &index, &word);
		if (err)
			break;
		bad += word != word_of(index) || (count && index <= last);
		count++;
		last = index;
		if (++index == 0)
			break;
	}
	lost = balance ^ count;
	if (err && err != -ENOENT)
		return err;
	err = arena_radix_clear(&arena, &array);
	arena_frag_drain(&arena, &frags);
	return err;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__

/* Runs the programs in their order, radix_contend on four threads; `arena_radix ROUNDS`. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		rounds = atoi(argv[1]);
	loop_budget = 1 << 20;
	printf("radix_on_one_cpu=%d\n", radix_on_one_cpu(NULL));
	print_run_on_all(radix_contend);
	loop_budget = 1 << 24;
	printf("radix_empty=%d\n", radix_empty(NULL));
	print_global(done);
	print_global(bad);
	print_global(lost);
	printf("pages_left=%u\n", bpf_arena_native_used());
	return 0;
}
#endif
