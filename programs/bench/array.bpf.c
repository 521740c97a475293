// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: arrays in the arena. array_fill writes one, prefix_sum writes the sums up to each element of one to another,
 * heap_sort sorts one, which array_shuffle fills again.
 */
#include "bench.h"

#define ELEMENTS 65536
#define FILLS 32
#define SUMS 32
#define SORTED 32768

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
} arena SEC(".maps");

__u32 __arena *filled; /* ELEMENTS */
__u32 __arena *values; /* ELEMENTS */
__u64 __arena *sums; /* ELEMENTS */
__u32 __arena *sorted; /* SORTED */

/* 0, -ENOMEM, or -ETIMEDOUT. */
SEC("syscall")
int array_setup(void *ctx)
{
	__u32 i;

	filled = bpf_arena_alloc_pages(&arena, NULL, ELEMENTS * 4 / PAGE_SIZE, NUMA_NO_NODE, 0);
	values = bpf_arena_alloc_pages(&arena, NULL, ELEMENTS * 4 / PAGE_SIZE, NUMA_NO_NODE, 0);
	sums = bpf_arena_alloc_pages(&arena, NULL, ELEMENTS * 8 / PAGE_SIZE, NUMA_NO_NODE, 0);
	sorted = bpf_arena_alloc_pages(&arena, NULL, SORTED * 4 / PAGE_SIZE, NUMA_NO_NODE, 0);
	if (!filled || !values || !sums || !sorted)
		return -ENOMEM;
	for (i = unknown_zero; i < ELEMENTS && can_loop; i++)
		*arena_kern(&values[i]) = bench_mix(i);
	return i < ELEMENTS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int array_fill(void *ctx)
{
	__u32 __arena *array = filled;
	__u32 pass, i;

	arena_associate(&arena);
	for (pass = unknown_zero; pass < FILLS && can_loop; pass++) {
		for (i = unknown_zero; i < ELEMENTS && can_loop; i++)
			*arena_kern(&array[i]) = i * 2654435761u + pass;
		if (i < ELEMENTS)
			return -ETIMEDOUT;
	}
	checksum = (__u64)*arena_kern(&array[1]) << 32 | *arena_kern(&array[ELEMENTS - 1]);
	return pass < FILLS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int prefix_sum(void *ctx)
{
	__u32 __arena *from = values;
	__u64 __arena *to = sums;
	__u64 sum = 0;
	__u32 pass, i;

	arena_associate(&arena);
	for (pass = unknown_zero; pass < SUMS && can_loop; pass++) {
		for (i = unknown_zero; i < ELEMENTS && can_loop; i++) {
			sum += *arena_kern(&from[i]);
			*arena_kern(&to[i]) = sum;
		}
		if (i < ELEMENTS)
			return -ETIMEDOUT;
	}
	checksum = *arena_kern(&to[1]) * 31 + sum;
	return pass < SUMS ? -ETIMEDOUT : 0;
}

/* Every run starts from the same elements. */
SEC("syscall")
int array_shuffle(void *ctx)
{
	__u32 i;

	arena_associate(&arena);
	for (i = unknown_zero; i < SORTED && can_loop; i++)
		*arena_kern(&sorted[i]) = bench_mix(i);
	return i < SORTED ? -ETIMEDOUT : 0;
}

/* Lets value sink from hole, among the first end elements, until nothing below is larger. */
static __always_inline void sift_down(__u32 __arena *array, __u32 hole, __u32 end, __u32 value)
{
	__u32 child, larger;

	while (can_loop) {
		child = 2 * hole + 1;
		if (child >= end)
			break;
		larger = *arena_kern(&array[child]);
		if (child + 1 < end && *arena_kern(&array[child + 1]) > larger) {
			child++;
			larger = *arena_kern(&array[child]);
		}
		if (larger <= value)
			break;
		*arena_kern(&array[hole]) = larger;
		hole = child;
	}
	*arena_kern(&array[hole]) = value;
}

SEC("syscall")
int heap_sort(void *ctx)
{
	__u32 __arena *array = sorted;
	__u64 sum = 0;
	__u32 i, last;

	arena_associate(&arena);
	for (i = SORTED / 2 + unknown_zero; i > 0 && can_loop; i--)
		sift_down(array, i - 1, SORTED, *arena_kern(&array[i - 1]));
	for (i = SORTED - 1 + unknown_zero; i > 0 && can_loop; i--) {
		last = *arena_kern(&array[i]);
		*arena_kern(&array[i]) = *arena_kern(&array[0]);
		sift_down(array, 0, i, last);
	}
	if (i > 0)
		return -ETIMEDOUT;
	for (i = unknown_zero; i < SORTED && can_loop; i++)
		sum = sum * 31 + *arena_kern(&array[i]);
	checksum = sum;
	return i < SORTED ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(array_setup), BENCH_PROGRAM(array_fill), BENCH_PROGRAM(prefix_sum),
	   BENCH_PROGRAM(array_shuffle), BENCH_PROGRAM(heap_sort));
