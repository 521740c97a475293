/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a program talks to the loader and the kernel: section and map-definition macros, BTF tags, helper functions, and
 * loops the verifier need not unroll. In a native build the macros vanish and bpf_arena_native.h stands in for the
 * helpers.
 */
#ifndef BPF_HELPERS_H
#define BPF_HELPERS_H

#include "bpf_types.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#ifndef __hidden
#define __hidden __attribute__((visibility("hidden")))
#endif

/*
 * Fields of a map definition in section `.maps`. The loader reads the numbers from BTF: __uint as an array length,
 * __ulong (for 64-bit values such as map_extra) as an enumerator.
 */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __bpf_concat_(a, b) a##b
#define __bpf_concat(a, b) __bpf_concat_(a, b)
#define __ulong(name, val)                                                                                             \
	enum { __bpf_concat(__ulong_value_, __COUNTER__) = (val) } name

#ifdef __bpf__

/* Puts a function or variable into an ELF section; for programs the section name says the type. */
#define SEC(name) __attribute__((section(name), used))

/* Externs the loader resolves: kernel symbols and kfuncs, kconfig values. Weak ones are 0 where absent. */
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))
#define bpf_ksym_exists(symbol) (!!(void *)(symbol))

/*
 * Has the compiler describe a type in BTF. It leaves a struct that is only reached through pointers inside other structs
 * as a mere declaration, so that user space could not look into a list's nodes. The pointer this takes is in no data
 * section that a loader keeps.
 */
#define bpf_type_emit(type)                                                                                            \
	static typeof(type) *const __bpf_concat(__type_emit_, __COUNTER__)                                             \
		__attribute__((section(".type_emit"), used))

/* Tags for parameters of global functions, which the verifier checks on their own. */
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))

/* Helpers are called by number: the ids of enum bpf_func_id. */
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
/* Nanoseconds since boot, without the time spent suspended. */
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_trace_printk)(const char *fmt, __u32 fmt_size, ...) = (void *)6;
static __u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
/* tgid << 32 | pid */
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
/* Calls callback(round, ctx) up to rounds times, until it returns something else than 0; the number of calls. */
static long (*const bpf_loop)(__u32 rounds, void *callback, void *ctx, __u64 flags) = (void *)181;

/* Writes a line to the trace pipe; fmt is a string literal, at most three arguments. */
#define bpf_printk(fmt, ...)                                                                                           \
	({                                                                                                             \
		static const char __fmt[] = fmt;                                                                       \
		bpf_trace_printk(__fmt, sizeof(__fmt), ##__VA_ARGS__);                                                 \
	})

/*
 * Jumps to label when the program's loop budget is used up: 8,388,608 passes, or about 250 ms where the JIT times it.
 * All may_goto of one stack frame share the budget. The bytes serve assemblers that lack the mnemonic: opcode 0xe5, no
 * registers, the jump offset in instructions, no immediate. (Offset and half the immediate are one .long because LLVM
 * resolves a label difference in a .short two bytes too far.)
 */
#if defined(__BPF_FEATURE_MAY_GOTO) && !defined(BPF_ARENA_FORCE_ASM)
#define __may_goto(label) asm volatile goto("may_goto %l[" #label "]" : : : : label)
#else
#define __may_goto(label)                                                                                              \
	asm volatile goto(".Lmay_goto_%=:\n"                                                                           \
			  ".byte 0xe5, 0\n"                                                                            \
			  ".long ((%l[" #label "] - .Lmay_goto_%=) / 8 - 1) & 0xffff\n"                                \
			  ".short 0"                                                                                   \
			  : : : : label)
#endif

/*
 * True while the loop may go on: `while (node && can_loop)`. With it a loop verifies whatever its length. A loop can
 * therefore end early; test its own condition afterwards when that matters.
 */
#define can_loop                                                                                                       \
	({                                                                                                             \
		__label__ spent, done;                                                                                 \
		bool __go = true;                                                                                      \
		__may_goto(spent);                                                                                     \
		goto done;                                                                                             \
	spent:                                                                                                         \
		__go = false;                                                                                          \
	done:;                                                                                                         \
		__go;                                                                                                  \
	})

/*
 * Zero, but not to the verifier. It follows a variable that starts at a constant value by value, and gives up after some
 * thousand passes; one that starts at an unknown value it sees come back, and is done after two. So whatever a loop
 * counts and anything compares starts from here:
 *
 *	for (i = unknown_zero; i < n && can_loop; i++)
 *
 * Whether a constant does harm depends on how the compiler arranged the loop, so it is best never used.
 */
static volatile __u32 unknown_zero __attribute__((unused));

/* Leaves the innermost loop when the budget is used up. */
#define cond_break                                                                                                     \
	if (!can_loop)                                                                                                 \
	break

#else /* native */

#define SEC(name) __attribute__((used))
#define __ksym
#define __kconfig
#define bpf_type_emit(type) struct __bpf_concat(__type_emit_, __COUNTER__)
#define __arg_arena
#define __arg_ctx
#define __arg_nonnull
#define __arg_nullable
#define __arg_trusted
#define bpf_ksym_exists(symbol) 1
/* A test may bring its own, to see what happens when the budget ends. */
#ifndef can_loop
#define can_loop 1
#endif
#define unknown_zero 0
#define cond_break                                                                                                     \
	if (!can_loop)                                                                                                 \
	break

#endif

#endif /* BPF_HELPERS_H */
