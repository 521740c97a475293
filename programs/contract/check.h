/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs of the contract suite share. Each is a rule of its own, and returns 0, or the line of the first check that
 * does not hold; `expect` is for where the program has something to give back first.
 */
#ifndef CHECK_H
#define CHECK_H

#include <bpf_helpers.h>
#include <bpf_kfuncs.h>

#define check(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			return __LINE__;                                                                               \
	} while (0)

/* Notes the line of the first condition that does not hold in `failed`. */
#define expect(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition) && !failed)                                                                           \
			failed = __LINE__;                                                                             \
	} while (0)

/* Bytes that the compiler does not know. */
#define hidden(value)                                                                                                  \
	({                                                                                                             \
		typeof(value) __value = (value);                                                                       \
		asm volatile("" : "+r"(__value));                                                                      \
		__value;                                                                                               \
	})

char LICENSE[] SEC("license") = "GPL";

#endif
