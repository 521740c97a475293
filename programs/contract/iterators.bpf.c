// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Iterators over numbers and over bits. */
#include "check.h"

#define INT_MAX 0x7fffffff
#define INT_MIN (-INT_MAX - 1)

int count;
long sum;
int first;

static __always_inline int numbers(int start, int end)
{
	struct bpf_iter_num it;
	int *number;
	int failed = bpf_iter_num_new(&it, start, end);

	count = 0;
	sum = 0;
	while ((number = bpf_iter_num_next(&it))) {
		if (!count)
			first = *number;
		sum += *number;
		/* Enough is seen. */
		if (++count == 1000)
			break;
	}
	bpf_iter_num_destroy(&it);
	return failed;
}

SEC("syscall")
int numbers_from_start_up_to_end(void *ctx)
{
	check(numbers(3, 7) == 0);
	check(count == 4 && sum == 3 + 4 + 5 + 6 && first == 3);
	check(numbers(5, 5) == 0 && count == 0);
	check(numbers(-2, 2) == 0 && count == 4 && sum == -2 && first == -2);
	check(numbers(6, 5) == -EINVAL && count == 0);
	check(numbers(0, 8 * 1024 * 1024) == 0 && count == 1000);
	check(numbers(0, 8 * 1024 * 1024 + 1) == -E2BIG && count == 0);
	check(numbers(INT_MIN, INT_MAX) == -E2BIG && count == 0);
	check(numbers(INT_MIN, INT_MIN + 2) == 0 && count == 2 && first == INT_MIN);
	check(numbers(INT_MAX - 1, INT_MAX) == 0 && count == 1 && first == INT_MAX - 1);
	return 0;
}

SEC("syscall")
int an_iterator_that_ended_stays_ended(void *ctx)
{
	struct bpf_iter_num it;
	int failed = 0;

	bpf_iter_num_new(&it, 0, 1);
	expect(bpf_iter_num_next(&it));
	expect(!bpf_iter_num_next(&it));
	bpf_iter_num_destroy(&it);
	return failed;
}

__u64 words[600];

static __always_inline int bits(const __u64 *from, __u32 nr)
{
	struct bpf_iter_bits it;
	int *bit;
	int failed = bpf_iter_bits_new(&it, from, nr);

	count = 0;
	sum = 0;
	while ((bit = bpf_iter_bits_next(&it))) {
		if (!count)
			first = *bit;
		count++;
		sum += *bit;
	}
	bpf_iter_bits_destroy(&it);
	return failed;
}

SEC("syscall")
int the_bits_that_are_set(void *ctx)
{
	words[0] = 0x8000000000000005;
	words[1] = 2;
	words[510] = 1;
	check(bits(words, 1) == 0);
	check(count == 3 && first == 0 && sum == 2 + 63);
	check(bits(words, 2) == 0);
	check(count == 4 && sum == 2 + 63 + 65);
	check(bits(words + 1, 1) == 0);
	check(count == 1 && first == 1);
	check(bits(words + 2, 100) == 0 && count == 0);
	check(bits(words, 0) == -EINVAL && count == 0);
	check(bits(words, 511) == 0 && count == 5);
	check(bits(words, 512) == -E2BIG && count == 0);
	return 0;
}

SEC("syscall")
int bits_of_nothing(void *ctx)
{
	check(bits((__u64 *)hidden(0UL), 1) == -EINVAL && count == 0);
	check(bits((__u64 *)hidden(-8UL), 1) == -EFAULT && count == 0);
	check(bits((__u64 *)hidden(-32UL), 2) == -EFAULT && count == 0);
	check(bits((__u64 *)hidden(0x1000UL), 1) == -EFAULT && count == 0);
	check(bits((__u64 *)hidden(0x1000UL), 2) == -ERANGE && count == 0);
	return 0;
}

SEC("syscall")
int the_bits_are_a_copy_of_what_was_there(void *ctx)
{
	struct bpf_iter_bits one, two;
	int failed = 0;

	words[0] = 1;
	words[1] = 1;
	bpf_iter_bits_new(&one, words, 1);
	bpf_iter_bits_new(&two, words, 2);
	words[0] = 0;
	words[1] = 0;
	expect(bpf_iter_bits_next(&one));
	expect(bpf_iter_bits_next(&two));
	expect(bpf_iter_bits_next(&two));
	expect(!bpf_iter_bits_next(&two));
	bpf_iter_bits_destroy(&two);
	bpf_iter_bits_destroy(&one);
	return failed;
}
