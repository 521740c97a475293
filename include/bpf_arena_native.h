/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An arena for native builds: the page functions of bpf_arena.h over one private mapping, with the kernel's placement
 * rule (exactly at addr, else the smallest free range that is large enough), and the helpers that need no kernel.
 * A program's main() calls bpf_arena_native_open() first.
 *
 * It is there to test programs, so it is simple where Linux is careful: finding a range reads the page table
 * (linear in the pages ever taken), one lock serialises all threads, of equally small ranges the lowest wins, and a touch of
 * a page that is not allocated is not noticed. Arena globals are ordinary variables outside the region. Include it in
 * one translation unit.
 */
#ifndef BPF_ARENA_NATIVE_H
#define BPF_ARENA_NATIVE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static struct {
	unsigned char *base; /* 4 GiB-aligned, so that page numbers are (u32)address >> 12 as in an arena */
	unsigned char *taken; /* a byte per page: 0 free, 1 allocated or reserved */
	__u32 pages;
	__u32 top; /* no page from here on was ever taken */
	int locked;
} bpf_arena_native;

static inline void bpf_arena_native_lock(void)
{
	while (__atomic_exchange_n(&bpf_arena_native.locked, 1, __ATOMIC_ACQUIRE))
		;
}

static inline void bpf_arena_native_unlock(void)
{
	__atomic_store_n(&bpf_arena_native.locked, 0, __ATOMIC_RELEASE);
}

/* Sets up the arena of pages pages. 0 or -ENOMEM. */
static inline int bpf_arena_native_init(__u32 pages)
{
	const uint64_t window = 1ull << 32;
	uint64_t region;
	void *mem = mmap(NULL, 2 * window, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return -ENOMEM;
	region = ((uint64_t)mem + window - 1) & -window;
	if (mprotect((void *)region, (uint64_t)pages * PAGE_SIZE, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	bpf_arena_native.taken = calloc(pages, 1);
	if (!bpf_arena_native.taken)
		return -ENOMEM;
	bpf_arena_native.base = (unsigned char *)region;
	bpf_arena_native.pages = pages;
	return 0;
}

/* The same, with the size read from a map definition: __uint(max_entries, N) is a pointer to N integers. */
#define bpf_arena_native_open(map) bpf_arena_native_init(sizeof(*(map)->max_entries) / sizeof(int))

/* Pages now allocated or reserved. */
static inline __u32 bpf_arena_native_used(void)
{
	__u32 page, used = 0;

	bpf_arena_native_lock();
	for (page = 0; page < bpf_arena_native.top; page++)
		used += bpf_arena_native.taken[page];
	bpf_arena_native_unlock();
	return used;
}

/* Length of the run of free pages that starts at page. */
static inline __u32 bpf_arena_native_run(__u32 page)
{
	__u32 end = page;

	while (end < bpf_arena_native.top && !bpf_arena_native.taken[end])
		end++;
	return (end < bpf_arena_native.top ? end : bpf_arena_native.pages) - page;
}

/* First page of the smallest free run of at least cnt pages, or the number of pages when there is none. */
static inline __u32 bpf_arena_native_best_fit(__u32 cnt)
{
	__u32 page, run, best = bpf_arena_native.pages, best_run = ~0u;

	for (page = 0; page < bpf_arena_native.pages; page += run ? run : 1) {
		run = bpf_arena_native_run(page);
		if (run >= cnt && run < best_run) {
			best = page;
			best_run = run;
		}
	}
	return best;
}

static inline void bpf_arena_native_take(__u32 page, __u32 cnt)
{
	memset(bpf_arena_native.taken + page, 1, cnt);
	if (page + cnt > bpf_arena_native.top)
		bpf_arena_native.top = page + cnt;
}

static inline __u32 bpf_arena_native_page(void *addr)
{
	return ((uint32_t)(uintptr_t)addr - (uint32_t)(uintptr_t)bpf_arena_native.base) / PAGE_SIZE;
}

static inline void *bpf_arena_alloc_pages(void *map, void *addr, __u32 cnt, int node_id, __u64 flags)
{
	__u32 page;
	void *mem = NULL;

	(void)map;
	(void)node_id;
	if (flags || !cnt || cnt > bpf_arena_native.pages || (uintptr_t)addr % PAGE_SIZE)
		return NULL;
	bpf_arena_native_lock();
	page = addr ? bpf_arena_native_page(addr) : bpf_arena_native_best_fit(cnt);
	if (page < bpf_arena_native.pages && bpf_arena_native_run(page) >= cnt) {
		bpf_arena_native_take(page, cnt);
		mem = bpf_arena_native.base + (uint64_t)page * PAGE_SIZE;
	}
	bpf_arena_native_unlock();
	return mem;
}

static inline void bpf_arena_free_pages(void *map, void *ptr, __u32 cnt)
{
	__u32 page = bpf_arena_native_page(ptr);

	(void)map;
	if (!ptr || page >= bpf_arena_native.pages)
		return;
	if (cnt > bpf_arena_native.pages - page)
		cnt = bpf_arena_native.pages - page;
	bpf_arena_native_lock();
	/* Zeroes them: a private page that is dropped comes back empty. */
	madvise(bpf_arena_native.base + (uint64_t)page * PAGE_SIZE, (uint64_t)cnt * PAGE_SIZE, MADV_DONTNEED);
	memset(bpf_arena_native.taken + page, 0, cnt);
	bpf_arena_native_unlock();
}

static inline int bpf_arena_reserve_pages(void *map, void *ptr, __u32 cnt)
{
	__u32 page = bpf_arena_native_page(ptr);
	int ret = 0;

	(void)map;
	if (!cnt)
		return 0;
	if (page >= bpf_arena_native.pages || cnt > bpf_arena_native.pages - page)
		return -EINVAL;
	bpf_arena_native_lock();
	if (bpf_arena_native_run(page) < cnt)
		ret = -EBUSY;
	else
		bpf_arena_native_take(page, cnt);
	bpf_arena_native_unlock();
	return ret;
}

/* Each thread is a CPU; numbers are handed out in the order of the first call. */
static inline __u32 bpf_get_smp_processor_id(void)
{
	static __u32 next;
	static _Thread_local __u32 mine;

	if (!mine)
		mine = __atomic_add_fetch(&next, 1, __ATOMIC_RELAXED);
	return mine - 1;
}

static inline __u64 bpf_ktime_get_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

#endif /* BPF_ARENA_NATIVE_H */
