// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* bpf_throw ends the program, from wherever it is; bpf_rdonly_cast reads what may not be there. */
#include "check.h"

__u64 calls, after;

static __attribute__((noinline)) int deepest(__u64 value)
{
	calls++;
	if (value > 5)
		bpf_throw(0);
	return value + 1;
}

static __attribute__((noinline)) int deeper(__u64 value)
{
	int result = deepest(value);

	after++;
	return result;
}

__attribute__((noinline)) int in_a_global_function(__u64 value)
{
	if (value == 3)
		bpf_throw(0);
	return 3;
}

/* What is thrown is the result: 0 here, and no check behind it is reached. */
SEC("tc")
int what_is_thrown_ends_the_program(void *ctx)
{
	calls = after = 0;
	check(deeper(hidden(5ull)) == 6);
	check(after == 1 && calls == 1);
	deeper(hidden(6ull));
	return __LINE__;
}

SEC("tc")
int what_ran_before_stays(void *ctx)
{
	check(calls == 2 && after == 1);
	return 0;
}

SEC("tc")
int a_global_function_throws(void *ctx)
{
	check(in_a_global_function(hidden(2ull)) == 3);
	in_a_global_function(hidden(3ull));
	return __LINE__;
}

/* Makes the result of what was thrown. */
__attribute__((noinline)) int handler(__u64 cookie)
{
	return cookie == 0x123456789abcdefull ? 0 : __LINE__;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:handler")))
int a_handler_makes_the_result(void *ctx)
{
	bpf_throw(0x123456789abcdefull);
	return __LINE__;
}

SEC("tc")
int a_cast_pointer_reads_or_gives_0(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 *cast = bpf_rdonly_cast(hidden((void *)0), 0);

	check(*cast == 0);
	cast = bpf_rdonly_cast(&calls, 0);
	calls = 77;
	check(*cast == 77);
	check(task);
	return 0;
}
