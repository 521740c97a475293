/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the benchmarks share. A benchmark is a program that does a fixed amount of work and leaves a checksum of what it
 * computed, the same wherever it runs; programs that set it up, or put it back, are apart and not timed. A native build
 * is a server: it reads a program's name from a line of standard input, runs it, and answers with a line: the return value,
 * the checksum, and the nanoseconds that it took.
 */
#ifndef BENCH_H
#define BENCH_H

#include "bpf_arena.h"

/* What the last benchmark computed. */
__u64 checksum;

/* Spreads consecutive numbers over 64 bits, one to one: the last step of splitmix64. */
static __always_inline __u64 bench_mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

#ifdef __bpf__

/* The native server for these programs. */
#define BENCH_MAIN(...) _Static_assert(1, "")

#else

#include <stdio.h>

struct bench_program {
	const char *name;
	int (*run)(void *ctx);
};

static __u64 bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int bench_serve(const struct bench_program *programs)
{
	const struct bench_program *program;
	char line[64];
	__u64 start;
	int ret;

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		for (program = programs; program->name && strcmp(program->name, line); program++)
			;
		if (!program->name)
			return 1;
		start = bench_now();
		ret = program->run(NULL);
		printf("%d %llu %llu\n", ret, checksum, bench_now() - start);
		fflush(stdout);
	}
	return 0;
}

#define BENCH_PROGRAM(name) { #name, name }
#define BENCH_MAIN(...)                                                                                                \
	int main(void)                                                                                                 \
	{                                                                                                              \
		static const struct bench_program programs[] = { __VA_ARGS__, { NULL, NULL } };                        \
                                                                                                                       \
		return bpf_arena_native_open(&arena) ? 1 : bench_serve(programs);                                      \
	}

#endif

#endif /* BENCH_H */
