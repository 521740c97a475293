/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arena for BPF C: the address-space attribute, the casts between the two forms of an arena pointer, and the page
 * kfuncs. One source gives three programs: BPF with the compiler's own casts, BPF with casts as inline assembly
 * (compilers without address spaces, or -DBPF_ARENA_FORCE_ASM), and native user-space code.
 *
 * An arena pointer has two forms. The user address (64 bits, valid in user space too) is what is stored in memory,
 * compared, and returned by the allocator. The arena address (its low 32 bits, typed as arena by the verifier) is what
 * loads and stores go through. The rule that holds in all three builds: keep user addresses in variables and
 * memory, and dereference through arena_kern():
 *
 *	struct node __arena *n = arena_kern(head)->first;	// a user address
 *	sum += arena_kern(n)->value;				// dereferenced as arena address
 *
 * A compiler with address spaces inserts the casts itself and arena_kern() is then the identity. Casting back with
 * cast_user() is seldom needed, and turns the arena's very first byte into NULL when user_vm_start ends in 32 zero
 * bits: its arena address is 0.
 */
#ifndef BPF_ARENA_H
#define BPF_ARENA_H

#include "bpf_atomic.h"
#include "bpf_helpers.h"
#include "bpf_types.h"

/* Arena pages are 4096 bytes wherever the kernel's are; a loader for other kernels passes -DPAGE_SIZE. */
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096
#endif
#define PAGE_MASK (~(__u64)(PAGE_SIZE - 1))

#define NUMA_NO_NODE (-1)

#ifdef __bpf__

#if defined(__BPF_FEATURE_ADDR_SPACE_CAST) && !defined(BPF_ARENA_FORCE_ASM)

#define BPF_ARENA_COMPILER_CASTS 1

/* `struct node __arena *n`: what n points to lies in the arena. */
#define __arena __attribute__((address_space(1)))
/* `int __arena_global hits = 1;`: a variable that lies in the arena, with its initial value. */
#define __arena_global __attribute__((address_space(1)))

#define cast_kern(ptr) ((void)0)
#define cast_user(ptr) ((void)0)

#else

#define __arena
#define __arena_global SEC(".addr_space.1")

/*
 * addr_space_cast as bytes: a 64-bit register move (0xbf) onto the same register with offset 1; the immediate holds the
 * address spaces, 1 for user to arena and 0x10000 for arena to user. The register's number has to be found by its name.
 * Not volatile: the result depends on the operand alone, so equal casts may be merged and unused ones dropped.
 */
#define __addr_space_cast(ptr, spaces)                                                                                 \
	asm(".irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"                                                              \
	    ".ifc %[reg], r\\number\n"                                                                                 \
	    ".byte 0xbf, \\number * 0x11\n"                                                                            \
	    ".endif\n"                                                                                                 \
	    ".endr\n"                                                                                                  \
	    ".short 1\n"                                                                                               \
	    ".long %[imm]"                                                                                             \
	    : [reg] "+r"(ptr)                                                                                          \
	    : [imm] "i"(spaces))

/* Turn the variable ptr into its arena address, and into its user address. */
#define cast_kern(ptr) __addr_space_cast(ptr, 1)
#define cast_user(ptr) __addr_space_cast(ptr, 0x10000)

#endif

/*
 * page_cnt zeroed pages at addr (page-aligned, wholly free), or, with addr NULL, in the smallest free range that is
 * large enough. The user address of the first page; NULL when there is no room or an argument is bad. flags must be 0.
 * These functions may sleep: only sleepable programs may call the first two.
 */
void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 page_cnt, int node_id,
				    __u64 flags) __ksym __weak;
/* Gives pages back, from the page that holds ptr; also reserved ones. NULL and 0 pages do nothing. */
void bpf_arena_free_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;
/* Keeps free pages from being allocated, without populating them. 0, -EINVAL outside the arena, -EBUSY when one is
 * taken. Linux 6.17 and later: test with bpf_ksym_exists(). */
int bpf_arena_reserve_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;

#else /* native */

#define __arena
#define __arena_global
#define cast_kern(ptr) ((void)0)
#define cast_user(ptr) ((void)0)

#include "bpf_arena_native.h"

#endif

/*
 * Makes map the arena of this program. Casts need one, and a program that reaches the arena only through pointers it
 * finds in memory, naming neither the map nor an arena global, would have none.
 */
#ifdef __bpf__
#define arena_associate(map) asm volatile("" : : "r"(map))
#else
#define arena_associate(map) ((void)(map))
#endif

/* ptr, an arena pointer in either form, as one that may be dereferenced. ptr itself keeps its form. */
#ifdef BPF_ARENA_COMPILER_CASTS
#define arena_kern(ptr) (ptr)
#else
#define arena_kern(ptr)                                                                                                \
	({                                                                                                             \
		typeof(ptr) __kern = (ptr);                                                                            \
		cast_kern(__kern);                                                                                     \
		__kern;                                                                                                \
	})
#endif

#endif /* BPF_ARENA_H */
