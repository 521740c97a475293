// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: a hash table in the arena. hash_insert puts elements from a pool into an empty one; hash_lookup looks up
 * keys, of which half are there. hash_clear empties the table between insertions.
 */
#define ARENA_HTAB_BITS 16
#include "arena_htab.h"
#include "bench.h"

#define KEYS 65536
#define LOOKUPS 131072

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
} arena SEC(".maps");

struct arena_htab __arena *htab;
struct arena_htab_elem __arena *pool; /* KEYS */

/* 0, or -ENOMEM. */
SEC("syscall")
int hash_setup(void *ctx)
{
	htab = bpf_arena_alloc_pages(&arena, NULL, ARENA_HTAB_PAGES, NUMA_NO_NODE, 0);
	pool = bpf_arena_alloc_pages(&arena, NULL, KEYS * sizeof(*pool) / PAGE_SIZE, NUMA_NO_NODE, 0);
	return htab && pool ? 0 : -ENOMEM;
}

/* 0, or -ETIMEDOUT. */
SEC("syscall")
int hash_insert(void *ctx)
{
	struct arena_htab_elem __arena *elem;
	__u32 i;
	int err;

	arena_associate(&arena);
	for (i = unknown_zero; i < KEYS && can_loop; i++) {
		elem = &pool[i];
		arena_kern(elem)->key = bench_mix(i);
		arena_kern(elem)->value = i;
		err = arena_htab_add(htab, elem);
		if (err)
			return err;
	}
	checksum = arena_kern(htab)->count;
	return i < KEYS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int hash_lookup(void *ctx)
{
	__u64 value, sum = 0;
	__u32 i;

	arena_associate(&arena);
	for (i = unknown_zero; i < LOOKUPS && can_loop; i++) {
		/* In another order than they came in. */
		if (arena_htab_get(htab, bench_mix(i * 40503u % (2 * KEYS)), &value) == 0)
			sum += value;
	}
	checksum = sum;
	return i < LOOKUPS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int hash_clear(void *ctx)
{
	__u32 i;

	arena_associate(&arena);
	for (i = unknown_zero; i < 1 << ARENA_HTAB_BITS && can_loop; i++)
		arena_kern(&htab->buckets[i])->first = NULL;
	arena_kern(htab)->count = 0;
	return i < 1 << ARENA_HTAB_BITS ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(hash_setup), BENCH_PROGRAM(hash_insert), BENCH_PROGRAM(hash_lookup),
	   BENCH_PROGRAM(hash_clear));
