// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* bpf_loop: a function as often as it is told, until the function says stop. */
#include <bpf_arena.h>

#include "check.h"

#define ROUNDS 100
#define MAX_LOOPS (8 * 1024 * 1024)

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
} arena SEC(".maps");

/* What the functions saw, and which round shall be their last. (On the stack, the verifier would follow each value.) */
struct {
	__u64 rounds;
	__u64 sum;
	__u64 last;
} sum;

/* What the verifier does not know. */
volatile __u32 choice;
__u64 __arena squares[ROUNDS];

static void begin(__u64 last)
{
	sum.rounds = sum.sum = 0;
	sum.last = last;
}

static long add(__u64 round, void *ctx)
{
	sum.rounds++;
	sum.sum += round;
	return round == sum.last;
}

static long subtract(__u64 round, void *ctx)
{
	sum.rounds++;
	sum.sum -= round;
	return 0;
}

static long square(__u64 round, void *ctx)
{
	if (round < ROUNDS)
		squares[round] = round * round;
	return 0;
}

static long outer(__u64 round, void *ctx)
{
	bpf_loop(round & 7, add, NULL, 0);
	return 0;
}

SEC("syscall")
int rounds_are_counted_from_0(void *ctx)
{
	begin(-1);
	check(bpf_loop(ROUNDS, add, NULL, 0) == ROUNDS);
	check(sum.rounds == ROUNDS && sum.sum == ROUNDS * (ROUNDS - 1) / 2);
	return 0;
}

SEC("syscall")
int a_loop_ends_when_the_function_gives_1(void *ctx)
{
	begin(9);
	check(bpf_loop(ROUNDS, add, NULL, 0) == 10);
	check(sum.rounds == 10 && sum.sum == 45);
	return 0;
}

SEC("syscall")
int no_rounds_call_nothing(void *ctx)
{
	begin(-1);
	check(bpf_loop(choice, add, NULL, 0) == 0 && sum.rounds == 0);
	return 0;
}

SEC("syscall")
int too_many_rounds_and_flags_are_refused(void *ctx)
{
	begin(0);
	check(bpf_loop(hidden(MAX_LOOPS), add, NULL, 0) == 1);
	check(bpf_loop(1, add, NULL, 1) == -EINVAL);
	check(bpf_loop(hidden(-1), add, NULL, 1) == -EINVAL);
	check(bpf_loop(hidden(MAX_LOOPS + 1), add, NULL, choice) == -E2BIG);
	check(bpf_loop(hidden(-1), add, NULL, choice) == -E2BIG);
	return 0;
}

/* A call becomes a loop where it has no flags and one function; that sets the low half of the result. */
SEC("syscall")
int too_many_rounds_of_a_loop_in_place_are_refused_with_32_bits(void *ctx)
{
	long (*function)(__u64, void *) = subtract;

	check(bpf_loop(hidden(MAX_LOOPS + 1), add, NULL, 0) == (__u32)-E2BIG);
	check(bpf_loop(hidden(-1), add, NULL, 0) == (__u32)-E2BIG);
	if (choice == 0)
		function = add;
	check(bpf_loop(hidden(-1), function, NULL, 0) == -E2BIG);
	return 0;
}

SEC("syscall")
int each_path_calls_the_function_that_it_names(void *ctx)
{
	long (*function)(__u64, void *) = subtract;

	begin(-1);
	if (choice == 0)
		function = add;
	check(bpf_loop(4, function, NULL, 0) == 4 && sum.sum == 6);
	function = add;
	if (choice == 0)
		function = subtract;
	check(bpf_loop(3, function, NULL, 0) == 3 && sum.sum == 3 && sum.rounds == 7);
	return 0;
}

SEC("syscall")
int loops_may_stand_in_loops(void *ctx)
{
	begin(-1);
	check(bpf_loop(16, outer, NULL, 0) == 16);
	check(sum.rounds == 2 * 28 && sum.sum == 2 * (0 + 1 + 3 + 6 + 10 + 15 + 21));
	return 0;
}

SEC("syscall")
int functions_reach_the_arena(void *ctx)
{
	__u64 sum = 0;
	int i;

	check(bpf_loop(ROUNDS, square, NULL, 0) == ROUNDS);
	for (i = 0; i < ROUNDS; i++)
		sum += squares[i];
	check(sum == 328350);
	return 0;
}
