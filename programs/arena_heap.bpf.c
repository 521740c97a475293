// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The arena as a heap, up to its largest size of 4 GiB. heap_fill, heap_check and heap_free take memory in chunks, write
 * words that name their place stride bytes apart, verify them, and give them back; they do what fits
 * into one run's loop budget, return -EAGAIN, and go on where they were when run again. heap_churn and heap_frag_churn mix
 * allocating and freeing at random; several CPUs may run them at once. BPF_F_NO_USER_CONV: user space is not meant to
 * follow the pointers.
 */
#include "arena_page_frag.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_NO_USER_CONV);
	__uint(max_entries, 1 << 20);
	__ulong(map_extra, 5ull << 44);
} arena SEC(".maps");

struct arena_frag_cache __arena_global frags;

/* The start of a chunk; the words follow. */
struct heap_chunk {
	struct heap_chunk __arena *next;
	__u32 pages;
	__u32 filled; /* 1 when all its words are written */
};

/* Input. */
__u64 fill_pages = 256; /* how many pages heap_fill takes in all */
__u32 chunk_pages = 64; /* pages of one chunk; it must be possible to fill one in one run */
__u32 stride = 8; /* bytes from one written word to the next, a multiple of 8 */
__u64 pattern = 0x5a5a5a5a5a5a5a5a;

/* Output. */
struct heap_chunk __arena *heap; /* the chunk taken last; next leads to the ones before */
struct heap_chunk __arena *check_at; /* where heap_check goes on */
__u64 pages_filled; /* now held and written */
__u64 words_filled;
__u64 pages_checked; /* by the current pass of heap_check */
__u64 words_checked;
__u64 words_bad;
__u64 pages_freed;

static __always_inline __u64 word_at(__u64 address)
{
	return pattern ^ (address & 0xffffffff);
}

/* Writes the words of a chunk. False when the loop budget ran out. */
static __always_inline bool fill_chunk(struct heap_chunk __arena *chunk)
{
	__u64 end = (__u64)chunk + (__u64)arena_kern(chunk)->pages * PAGE_SIZE;
	__u64 step = stride, words = 0, at;

	for (at = (__u64)(chunk + 1); at < end && can_loop; at += step) {
		*arena_kern((__u64 __arena *)at) = word_at(at);
		words++;
	}
	if (at < end)
		return false;
	arena_kern(chunk)->filled = 1;
	pages_filled += arena_kern(chunk)->pages;
	words_filled += words;
	return true;
}

/* Takes and fills chunks until fill_pages are held. 0, -EAGAIN, -ENOMEM, -EINVAL. */
SEC("syscall")
int heap_fill(void *ctx)
{
	struct heap_chunk __arena *chunk;
	__u64 left;

	if (!stride || stride % 8 || !chunk_pages)
		return -EINVAL;
	while (can_loop) {
		chunk = heap;
		if (!chunk || arena_kern(chunk)->filled) {
			if (pages_filled >= fill_pages)
				return 0;
			left = fill_pages - pages_filled;
			if (left > chunk_pages)
				left = chunk_pages;
			chunk = bpf_arena_alloc_pages(&arena, NULL, left, NUMA_NO_NODE, 0);
			if (!chunk)
				return -ENOMEM;
			arena_kern(chunk)->next = heap;
			arena_kern(chunk)->pages = left;
			heap = chunk;
		}
		if (!fill_chunk(chunk))
			break;
	}
	return -EAGAIN;
}

/* Compares the words of a chunk. False when the loop budget ran out. */
static __always_inline bool check_chunk(struct heap_chunk __arena *chunk)
{
	__u64 end = (__u64)chunk + (__u64)arena_kern(chunk)->pages * PAGE_SIZE;
	__u64 step = stride, words = 0, bad = 0, at;

	for (at = (__u64)(chunk + 1); at < end && can_loop; at += step) {
		bad += *arena_kern((__u64 __arena *)at) != word_at(at);
		words++;
	}
	if (at < end)
		return false;
	pages_checked += arena_kern(chunk)->pages;
	words_checked += words;
	words_bad += bad;
	return true;
}

/* Compares all chunks. 0 when a pass is complete; -EAGAIN when another run has to go on. */
SEC("syscall")
int heap_check(void *ctx)
{
	arena_associate(&arena);
	if (!check_at) {
		pages_checked = 0;
		words_checked = 0;
		words_bad = 0;
		check_at = heap;
		/* heap_fill may have stopped within the newest chunk. */
		if (heap && !arena_kern(heap)->filled)
			check_at = arena_kern(heap)->next;
	}
	while (check_at && can_loop) {
		if (!check_chunk(check_at))
			break;
		check_at = arena_kern(check_at)->next;
	}
	return check_at ? -EAGAIN : 0;
}

/* Gives all chunks back. 0 or -EAGAIN. */
SEC("syscall")
int heap_free(void *ctx)
{
	struct heap_chunk __arena *chunk;
	__u32 pages;

	check_at = NULL;
	while (heap && can_loop) {
		chunk = heap;
		pages = arena_kern(chunk)->pages;
		heap = arena_kern(chunk)->next;
		bpf_arena_free_pages(&arena, chunk, pages);
		pages_freed += pages;
	}
	if (heap)
		return -EAGAIN;
	pages_filled = 0;
	words_filled = 0;
	return 0;
}

/* Context of the churn programs: what to do, and what came of it. */
struct churn {
	__u64 seed; /* any but 0 */
	__u32 rounds;
	__u32 max_size; /* largest allocation: pages in heap_churn, bytes in heap_frag_churn */
	__u32 allocs;
	__u32 frees;
	__u32 failed; /* allocations that gave NULL */
	__u32 bad; /* allocations that were not zeroed, or not what was written when freed */
	__u64 checksum; /* over what was done; the same for the same seed wherever it runs */
};

/* A live allocation. */
struct live {
	__u64 mem;
	__u32 size; /* bytes */
	__u32 tag;
};

#define LIVE (PAGE_SIZE / sizeof(struct live))

/* xorshift64: 13, 7, 17. */
static __always_inline __u64 next_random(__u64 state)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^ (state << 17);
}

/* First and last 4 bytes carry the tag; both must be zero before. Sizes are at least 8. */
static __always_inline void occupy(struct churn *churn, struct live __arena *live, __u64 mem, __u32 size, __u32 tag)
{
	__u32 __arena *first = (__u32 __arena *)mem;
	__u32 __arena *last = (__u32 __arena *)(mem + size - 4);

	if (*arena_kern(first) | *arena_kern(last))
		churn->bad++;
	*arena_kern(first) = tag;
	*arena_kern(last) = ~tag;
	arena_kern(live)->mem = mem;
	arena_kern(live)->size = size;
	arena_kern(live)->tag = tag;
	churn->allocs++;
}

static __always_inline void vacate(struct churn *churn, struct live __arena *live, bool fragments)
{
	__u64 mem = arena_kern(live)->mem;
	__u32 size = arena_kern(live)->size;
	__u32 tag = arena_kern(live)->tag;
	__u32 __arena *first = (__u32 __arena *)mem;
	__u32 __arena *last = (__u32 __arena *)(mem + size - 4);

	if (*arena_kern(first) != tag || *arena_kern(last) != ~tag)
		churn->bad++;
	arena_kern(live)->mem = 0;
	if (fragments)
		arena_frag_free(&arena, (void __arena *)mem);
	else
		bpf_arena_free_pages(&arena, (void __arena *)mem, size / PAGE_SIZE);
	churn->frees++;
}

/* Every round picks one of LIVE places, and frees what is there or allocates if nothing is; in the end all is freed. */
static __always_inline int run_churn(struct churn *churn, bool fragments)
{
	__u64 random = churn->seed;
	struct live __arena *table, *live;
	void __arena *mem;
	__u32 i, size;

	if (!random || churn->max_size < (fragments ? 8 : 1))
		return -EINVAL;
	table = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	if (!table)
		return -ENOMEM;

	for (i = unknown_zero; i < churn->rounds && can_loop; i++) {
		random = next_random(random);
		live = &table[random % LIVE];
		if (arena_kern(live)->mem) {
			churn->checksum = churn->checksum * 31 + arena_kern(live)->tag;
			vacate(churn, live, fragments);
			continue;
		}
		if (fragments) {
			size = 8 + (random >> 32) % (churn->max_size - 7);
			mem = arena_frag_alloc(&arena, &frags, size);
		} else {
			size = (1 + (random >> 32) % churn->max_size) * PAGE_SIZE;
			mem = bpf_arena_alloc_pages(&arena, NULL, size / PAGE_SIZE, NUMA_NO_NODE, 0);
		}
		if (!mem) {
			churn->failed++;
			continue;
		}
		churn->checksum = churn->checksum * 31 + size;
		occupy(churn, live, (__u64)mem, size, random >> 16);
	}
	size = i < churn->rounds;

	/* Without can_loop: this has to happen even when the budget is used up. */
	for (i = 0; i < LIVE; i++)
		if (arena_kern(&table[i])->mem)
			vacate(churn, &table[i], fragments);
	bpf_arena_free_pages(&arena, table, 1);
	return size ? -ETIMEDOUT : 0;
}

/* Runs of pages come and go. 0, -ETIMEDOUT when fewer rounds were done, -ENOMEM, -EINVAL. */
SEC("syscall")
int heap_churn(struct churn *churn)
{
	return run_churn(churn, false);
}

/* Fragments of pages come and go. Results as above. */
SEC("syscall")
int heap_frag_churn(struct churn *churn)
{
	return run_churn(churn, true);
}

/* Retires the fragment allocator's current pages, so that no page stays taken. 0. */
SEC("syscall")
int heap_frag_drain(void *ctx)
{
	arena_frag_drain(&arena, &frags);
	return 0;
}

/*
 * A reserved page can neither be reserved nor allocated, and can be again once it is freed. 0, or the number of the step
 * that went wrong; -EOPNOTSUPP where the kernel cannot reserve.
 */
SEC("syscall")
int heap_reserve(void *ctx)
{
	void __arena *pages, *again;

	if (!bpf_ksym_exists(bpf_arena_reserve_pages))
		return -EOPNOTSUPP;
	pages = bpf_arena_alloc_pages(&arena, NULL, 2, NUMA_NO_NODE, 0);
	if (!pages)
		return -ENOMEM;
	if (bpf_arena_reserve_pages(&arena, pages, 1) != -EBUSY)
		return 1;
	bpf_arena_free_pages(&arena, pages, 2);
	if (bpf_arena_reserve_pages(&arena, pages, 2))
		return 2;
	if (bpf_arena_reserve_pages(&arena, pages, 2) != -EBUSY)
		return 3;
	if (bpf_arena_alloc_pages(&arena, pages, 1, NUMA_NO_NODE, 0))
		return 4;
	bpf_arena_free_pages(&arena, pages, 2);
	again = bpf_arena_alloc_pages(&arena, pages, 2, NUMA_NO_NODE, 0);
	if ((__u32)(__u64)again != (__u32)(__u64)pages)
		return 5;
	bpf_arena_free_pages(&arena, again, 2);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__
#include <pthread.h>
#include <stdio.h>

static void print_churn(const char *name, int retval, const struct churn *churn)
{
	printf("%s=%d\n%s_allocs=%u\n%s_frees=%u\n", name, retval, name, churn->allocs, name, churn->frees);
	printf("%s_failed=%u\n%s_bad=%u\n", name, churn->failed, name, churn->bad);
	printf("%s_checksum=%llu\n", name, churn->checksum);
}

static void *frag_churn_thread(void *churn)
{
	heap_frag_churn(churn);
	return NULL;
}

/* heap_frag_churn on several threads at once; one line for all. */
static void churn_threads(int threads)
{
	struct churn churns[64] = {};
	pthread_t thread[64];
	__u32 bad = 0;
	int i;

	for (i = 0; i < threads; i++) {
		churns[i] = (struct churn){ .seed = i + 1, .rounds = 200000, .max_size = 500 };
		pthread_create(&thread[i], NULL, frag_churn_thread, &churns[i]);
	}
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		bad += churns[i].bad + churns[i].failed + (churns[i].allocs != churns[i].frees);
	}
	printf("threads_bad=%u\n", bad);
}

/* Runs the programs in their order; `arena_heap PAGES THREADS` sets fill_pages and how many churn in the end. */
int main(int argc, char **argv)
{
	struct churn churn = { .seed = 42, .rounds = 10000, .max_size = 16 };
	struct churn frag_churn = { .seed = 42, .rounds = 50000, .max_size = 500 };
	int threads = argc > 2 ? atoi(argv[2]) : 0;
	int retval;

	if (threads > 64 || bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		fill_pages = strtoull(argv[1], NULL, 0);
	printf("heap_fill=%d\n", heap_fill(NULL));
	printf("pages_filled=%llu\nwords_filled=%llu\n", pages_filled, words_filled);
	printf("heap_check=%d\n", heap_check(NULL));
	printf("pages_checked=%llu\nwords_checked=%llu\n", pages_checked, words_checked);
	printf("words_bad=%llu\n", words_bad);
	printf("heap_free=%d\n", heap_free(NULL));
	printf("pages_freed=%llu\n", pages_freed);
	retval = heap_churn(&churn);
	print_churn("heap_churn", retval, &churn);
	retval = heap_frag_churn(&frag_churn);
	print_churn("heap_frag_churn", retval, &frag_churn);
	if (threads > 0)
		churn_threads(threads);
	printf("heap_frag_drain=%d\n", heap_frag_drain(NULL));
	printf("heap_reserve=%d\n", heap_reserve(NULL));
	printf("pages_left=%u\n", bpf_arena_native_used());
	return 0;
}
#endif
