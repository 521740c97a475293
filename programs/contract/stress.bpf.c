// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What many CPUs do at once: insert, look up and delete in a hash table of the arena, whose nodes come from the slab
 * allocator, and in a hash map; allocate and free pages; write events into a ring buffer. A value always follows from its key, and each CPU counts what it
 * did, so that user space can say at the end what has to be there. Further down, programs for measuring what CPUs are worth
 * to each other. tools/stress.ts and bench/scaling.ts run them.
 */
#include <bpf_arena.h>
#include <bpf_helpers.h>

#include "arena_slab.h"

#define BUCKETS 1024
#define KEYS 4096
#define MAX_CPUS 64
/* The value of a key. */
#define VALUE(key) ((key)*0x9e3779b97f4a7c15ull)

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
} arena SEC(".maps");

/* Keys below KEYS are the programs', others user space's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * KEYS);
	__type(key, __u64);
	__type(value, __u64);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

static long (*const ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) = (void *)130;

/* The n-th of a CPU. */
struct event {
	__u64 cpu, number, check;
};

struct node {
	struct node __arena *next;
	__u64 key;
	__u64 value;
};
bpf_type_emit(struct node);

struct bucket {
	struct arena_spin_lock lock;
	__u32 nodes;
	struct node __arena *first;
};

struct counts {
	__u64 inserted, deleted; /* nodes */
	__u64 map_inserted, map_deleted;
	__u64 looked_up, pages;
	__u64 wrong; /* what must never be */
	__u64 full;
	__u64 events, dropped;
	__u64 pad[6];
};

struct arena_slab __arena_global heap;
struct bucket __arena_global table[BUCKETS];
struct counts __arena_global counts[MAX_CPUS];

ARENA_SLAB_REFILL(&arena, heap)

/* What a CPU shall do. */
struct work {
	__u64 seed;
	__u64 rounds;
};

static __always_inline struct bucket __arena *bucket_of(__u64 key)
{
	return &table[(VALUE(key) >> 32) & (BUCKETS - 1)];
}

static __always_inline struct node __arena *find(struct bucket __arena *bucket, __u64 key)
{
	struct node __arena *node = bucket->first;

	while (node && can_loop) {
		if (arena_kern(node)->key == key)
			return node;
		node = arena_kern(node)->next;
	}
	return NULL;
}

static __noinline int table_insert(struct counts __arena *mine, __u64 key)
{
	struct bucket __arena *bucket = bucket_of(key);
	struct node __arena *node;

	node = arena_slab_alloc(&arena, &heap, sizeof(*node));
	if (!node) {
		mine->full++;
		return 0;
	}
	arena_kern(node)->key = key;
	arena_kern(node)->value = VALUE(key);
	if (arena_spin_lock(&bucket->lock))
		goto spare;
	if (find(bucket, key)) {
		arena_spin_unlock(&bucket->lock);
		goto spare;
	}
	arena_kern(node)->next = bucket->first;
	bucket->first = node;
	bucket->nodes++;
	arena_spin_unlock(&bucket->lock);
	mine->inserted++;
	return 0;
spare:
	if (arena_slab_free(&arena, &heap, node))
		mine->wrong++;
	return 0;
}

static __noinline int table_delete(struct counts __arena *mine, __u64 key)
{
	struct bucket __arena *bucket = bucket_of(key);
	struct node __arena *node, *before = NULL;

	if (arena_spin_lock(&bucket->lock))
		return 0;
	node = bucket->first;
	while (node && arena_kern(node)->key != key && can_loop) {
		before = node;
		node = arena_kern(node)->next;
	}
	if (node && arena_kern(node)->key == key) {
		if (before)
			arena_kern(before)->next = arena_kern(node)->next;
		else
			bucket->first = arena_kern(node)->next;
		bucket->nodes--;
	} else {
		node = NULL;
	}
	arena_spin_unlock(&bucket->lock);
	if (!node)
		return 0;
	if (arena_kern(node)->value != VALUE(key) || arena_slab_free(&arena, &heap, node))
		mine->wrong++;
	mine->deleted++;
	return 0;
}

static __noinline int table_lookup(struct counts __arena *mine, __u64 key)
{
	struct bucket __arena *bucket = bucket_of(key);
	struct node __arena *node;

	if (arena_spin_lock(&bucket->lock))
		return 0;
	node = find(bucket, key);
	if (node && arena_kern(node)->value != VALUE(key))
		mine->wrong++;
	arena_spin_unlock(&bucket->lock);
	mine->looked_up++;
	return 0;
}

static __noinline int map_step(struct counts __arena *mine, __u64 key, __u32 what)
{
	__u64 value = VALUE(key), *found;

	if (what == 0) {
		if (bpf_map_update_elem(&shared, &key, &value, BPF_NOEXIST) == 0)
			mine->map_inserted++;
	} else if (what == 1) {
		if (bpf_map_delete_elem(&shared, &key) == 0)
			mine->map_deleted++;
	} else {
		found = bpf_map_lookup_elem(&shared, &key);
		/* The element may be another key's by now, as in Linux: whole it has to be. */
		if (found && (READ_ONCE(*found) * 0xf1de83e19937733dull) >= 1ull << 33)
			mine->wrong++;
		mine->looked_up++;
	}
	return 0;
}

static __noinline int page_step(struct counts __arena *mine, __u64 mark)
{
	__u32 pages = 1 + (mark & 3);
	__u64 __arena *page = bpf_arena_alloc_pages(&arena, NULL, pages, NUMA_NO_NODE, 0);

	if (!page)
		return 0;
	page = arena_kern(page);
	if (page[0] || page[512 * pages - 1])
		mine->wrong++;
	page[0] = mark;
	page[512 * pages - 1] = mark;
	if (READ_ONCE(page[0]) != mark)
		mine->wrong++;
	bpf_arena_free_pages(&arena, page, pages);
	mine->pages += pages;
	return 0;
}

static __noinline int event_step(struct counts __arena *mine, __u64 cpu)
{
	struct event event = { cpu, mine->events, VALUE(cpu << 32 | mine->events) };

	if (ringbuf_output(&events, &event, sizeof(event), 0))
		mine->dropped++;
	else
		mine->events++;
	return 0;
}

static __always_inline __u64 xorshift(__u64 x)
{
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Does so many rounds of all that. */
SEC("syscall")
int stress(struct work *work)
{
	__u32 cpu = bpf_get_smp_processor_id() & (MAX_CPUS - 1);
	struct counts __arena *mine = &counts[cpu];
	__u64 random = (work->seed + VALUE(cpu)) | 1, rounds = work->rounds, i, key;

	for (i = unknown_zero; i < rounds && can_loop; i++) {
		random = xorshift(random);
		key = (random >> 8) & (KEYS - 1);
		switch (random >> 40 & 7) {
		case 0:
		case 1:
			table_insert(mine, key);
			break;
		case 2:
			table_delete(mine, key);
			break;
		case 3:
			table_lookup(mine, key);
			break;
		case 4:
			page_step(mine, random);
			break;
		case 5:
			event_step(mine, cpu);
			break;
		default:
			map_step(mine, key, random >> 50 & 3);
		}
	}
	return 0;
}

/* Deletes all nodes. */
SEC("syscall")
int drain(void *ctx)
{
	struct counts __arena *mine = &counts[0];
	__u64 key;

	for (key = unknown_zero; key < KEYS && can_loop; key++)
		table_delete(mine, key);
	return 0;
}

/* Gives what the allocator keeps back to the arena. */
SEC("syscall")
int trim(void *ctx)
{
	arena_slab_trim(&arena, &heap);
	return 0;
}

/* For measuring: every key is in the table. */
SEC("syscall")
int fill(void *ctx)
{
	struct counts __arena *mine = &counts[0];
	__u64 key;

	for (key = unknown_zero; key < KEYS && can_loop; key++)
		table_insert(mine, key);
	return 0;
}

/* For measuring: looks keys up without locks, in a table that nobody changes. */
SEC("syscall")
int lookups(struct work *work)
{
	struct counts __arena *mine = &counts[bpf_get_smp_processor_id() & (MAX_CPUS - 1)];
	__u64 random = work->seed | 1, rounds = work->rounds, i, key;
	struct node __arena *node;

	arena_associate(&arena);
	for (i = unknown_zero; i < rounds && can_loop; i++) {
		random = xorshift(random);
		key = (random >> 8) & (KEYS - 1);
		node = find(bucket_of(key), key);
		if (!node || arena_kern(node)->value != VALUE(key))
			mine->wrong++;
	}
	return 0;
}

/* For measuring: work that no other CPU has to do with. */
SEC("syscall")
int independent(struct work *work)
{
	__u64 random = work->seed | 1, rounds = work->rounds, sum = 0, i;

	for (i = unknown_zero; i < rounds && can_loop; i++) {
		random = xorshift(random);
		sum += random;
	}
	return sum ? 0 : -1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
