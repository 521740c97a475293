/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Atomic operations on 32- and 64-bit words of any memory, arena included, under their Linux names. The ones that
 * return a value are full barriers. On an arena page that is absent nothing happens and the "old" value that comes back
 * is the operand: a cmpxchg there looks like a success.
 */
#ifndef BPF_ATOMIC_H
#define BPF_ATOMIC_H

#include "bpf_types.h"

#ifndef barrier
#define barrier() asm volatile("" : : : "memory")
#endif

/* One access, neither split, repeated nor left out by the compiler. No order towards other accesses. */
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val) (*(volatile typeof(x) *)&(x) = (val))

/* *p += v; the value before. */
#define fetch_add(p, v) __sync_fetch_and_add((p), (v))

/* *p = v; the value before. */
#define xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

/* *p = new if *p == old; the value before, which is old on success. */
#define cmpxchg(p, old, new) __sync_val_compare_and_swap((p), (old), (new))

/*
 * What was written before a store-release is seen after the load-acquire that reads it. Compilers for older instruction
 * sets emit a plain access and a full barrier: an atomic on the stack.
 */
#if !defined(__bpf__) || defined(__BPF_FEATURE_LOAD_ACQ_STORE_REL)
#define smp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#else
#define __smp_mb()                                                                                                     \
	({                                                                                                             \
		__u64 __word = 0;                                                                                      \
		__u64 __seen = __sync_fetch_and_add(&__word, 1);                                                       \
		asm volatile("" : : "r"(__seen) : "memory");                                                           \
	})
#define smp_load_acquire(p)                                                                                            \
	({                                                                                                             \
		__auto_type __value = READ_ONCE(*(p));                                                                 \
		__smp_mb();                                                                                            \
		__value;                                                                                               \
	})
#define smp_store_release(p, v)                                                                                        \
	({                                                                                                             \
		__smp_mb();                                                                                            \
		WRITE_ONCE(*(p), (v));                                                                                 \
	})
#endif

#endif /* BPF_ATOMIC_H */
