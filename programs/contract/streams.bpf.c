// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What programs write to streams of their own; test/contract/streams.test.ts reads it. */
#include "check.h"

#define STDOUT 1
#define STDERR 2
#define ENOENT 2
#define ENOSPC 28

/* Linux takes memory for what is written only where it needs no lock for that; else nothing is written. */
#define ENOMEM 12
int no_memory;

static int written(int result)
{
	if (result == -ENOMEM)
		no_memory = 1;
	return result == -ENOMEM ? 0 : result;
}

SEC("syscall")
int writes_to_both(void *ctx)
{
	__u64 args[] = { 42, 0x2a };
	__u64 more[] = { (__u64)(long)-7 };

	check(bpf_stream_vprintk_impl(STDOUT, "answer %d %d", args, 8, NULL) == -EINVAL);
	check(written(bpf_stream_vprintk_impl(STDOUT, "answer %d, 0x%x\n", args, sizeof(args), NULL)) == 0);
	check(written(bpf_stream_vprintk_impl(STDERR, "no %lld", more, sizeof(more), NULL)) == 0);
	check(written(bpf_stream_vprintk_impl(STDOUT, "more\n", args, 0, NULL)) == 0);
	return 0;
}

SEC("syscall")
int there_are_two(void *ctx)
{
	__u64 args[1] = { 1 };

	check(bpf_stream_vprintk_impl(0, "x", args, 0, NULL) == -ENOENT);
	check(bpf_stream_vprintk_impl(3, "x", args, 0, NULL) == -ENOENT);
	check(bpf_stream_vprintk_impl(STDOUT, "%d", args, 4, NULL) == -EINVAL);
	return 0;
}

/* 210 bytes at a time: a stream that nobody reads takes 100,000. */
SEC("syscall")
int is_full_at_some_time(void *ctx)
{
	__u64 args[1] = { 1 };
	int result = 0, i;

	for (i = 0; i < 600; i++) {
		result = bpf_stream_vprintk_impl(STDERR, "0123456789012345678901234567890123456789012345678901234567890123456789"
							 "0123456789012345678901234567890123456789012345678901234567890123456789"
							 "0123456789012345678901234567890123456789012345678901234567890123456789",
						 args, 0, NULL);
		if (result)
			break;
	}
	if (written(result) == 0)
		return 0;
	check(result == -ENOSPC);
	check(i == 476);
	return 0;
}
