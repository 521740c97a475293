// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A hash table in the arena: insert cnt keys, overwrite them, look them up, delete them. Key i holds 2 * i after the
 * insertion and 3 * i + 1 once overwritten. The arena lies at a fixed address (map_extra),
 * above 2^46, for below JavaScript's heap lies anywhere.
 */
#include "arena_htab.h"

/* 64 MiB: about 2.7 million keys. */
struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__ulong(map_extra, 4ull << 44);
} arena SEC(".maps");

struct arena_frag_cache __arena_global frags;

/* Input: how many keys, 0 to cnt - 1. */
__u32 cnt = 1000;

/* Output. htab points to the table once something was inserted. */
struct arena_htab __arena *htab;
__u64 inserted; /* keys that were new */
__u64 overwritten; /* keys that were there and got another value */
__u64 found; /* of the last lookup */
__u64 missing;
__u64 value_sum;
__u64 deleted;

/* Inserts the keys that are not there yet. 0, -ENOMEM, or -ETIMEDOUT when the loop budget ran out. */
SEC("syscall")
int arena_htab_insert(void *ctx)
{
	__u32 i;
	int err;

	if (!htab)
		htab = bpf_arena_alloc_pages(&arena, NULL, ARENA_HTAB_PAGES, NUMA_NO_NODE, 0);
	if (!htab)
		return -ENOMEM;
	for (i = unknown_zero; i < cnt && can_loop; i++) {
		err = arena_htab_set(&arena, &frags, htab, i, 2ull * i, BPF_NOEXIST);
		if (err == 0)
			inserted++;
		else if (err != -EEXIST)
			return err;
	}
	return i < cnt ? -ETIMEDOUT : 0;
}

/* Overwrites the keys that are there. 0, -ENOENT without a table, or -ETIMEDOUT. */
SEC("syscall")
int arena_htab_overwrite(void *ctx)
{
	__u32 i;
	int err;

	arena_associate(&arena);
	if (!htab)
		return -ENOENT;
	for (i = unknown_zero; i < cnt && can_loop; i++) {
		err = arena_htab_set(&arena, &frags, htab, i, 3ull * i + 1, BPF_EXIST);
		if (err == 0)
			overwritten++;
		else if (err != -ENOENT)
			return err;
	}
	return i < cnt ? -ETIMEDOUT : 0;
}

/* Looks up the keys 0 to 2 * cnt - 1, half of which should be there. 0, -ENOENT without a table, or -ETIMEDOUT. */
SEC("syscall")
int arena_htab_lookup(void *ctx)
{
	__u64 value, i;
	int err;

	arena_associate(&arena);
	if (!htab)
		return -ENOENT;
	found = 0;
	missing = 0;
	value_sum = 0;
	for (i = unknown_zero; i < 2ull * cnt && can_loop; i++) {
		err = arena_htab_get(htab, i, &value);
		if (err == 0) {
			found++;
			value_sum += value;
		} else if (err == -ENOENT) {
			missing++;
		} else {
			return err;
		}
	}
	return i < 2ull * cnt ? -ETIMEDOUT : 0;
}

/* Deletes the keys and frees their elements; the table stays. 0, -ENOENT without a table, or -ETIMEDOUT. */
SEC("syscall")
int arena_htab_delete(void *ctx)
{
	__u32 i;
	int err;

	arena_associate(&arena);
	if (!htab)
		return -ENOENT;
	for (i = unknown_zero; i < cnt && can_loop; i++) {
		err = arena_htab_remove(&arena, htab, i);
		if (err == 0)
			deleted++;
		else if (err != -ENOENT)
			return err;
	}
	return i < cnt ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__
#include <stdio.h>

/* What user space reads when it walks the buckets. */
static void print_walk(const char *when)
{
	__u64 elements = 0, sum = 0;
	struct arena_htab_elem *elem;
	__u32 i;

	for (i = 0; i < 1 << ARENA_HTAB_BITS; i++) {
		for (elem = htab->buckets[i].first; elem; elem = elem->next) {
			elements++;
			sum += elem->value;
		}
	}
	printf("%s_count=%llu\n%s_elements=%llu\n%s_sum=%llu\n", when, htab->count, when, elements, when, sum);
}

/* Runs the programs in their order; `arena_htab CNT` sets cnt. Prints a line for each result. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		cnt = atoi(argv[1]);
	printf("arena_htab_insert=%d\n", arena_htab_insert(NULL));
	printf("inserted=%llu\n", inserted);
	print_walk("insert");
	printf("arena_htab_overwrite=%d\n", arena_htab_overwrite(NULL));
	printf("overwritten=%llu\n", overwritten);
	print_walk("overwrite");
	printf("arena_htab_lookup=%d\n", arena_htab_lookup(NULL));
	printf("found=%llu\nmissing=%llu\nvalue_sum=%llu\n", found, missing, value_sum);
	printf("arena_htab_delete=%d\n", arena_htab_delete(NULL));
	printf("deleted=%llu\n", deleted);
	print_walk("delete");
	return 0;
}
#endif
