// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads of memory that may not be there. */
#include <bpf_arena.h>

#include "check.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

char hello[] = "hello world";
char buf[32];
char text[8];

#define NOWHERE ((void *)hidden(-64UL))
#define USER ((void *)hidden(0x1000UL))

SEC("syscall")
int the_kernels_memory_is_read(void *ctx)
{
	__u64 word = 0x1122334455667788, copy = 0;

	check(bpf_probe_read_kernel(&copy, 8, &word) == 0);
	check(copy == word);
	check(bpf_probe_read_kernel(buf, 5, hello) == 0);
	check(buf[4] == 'o' && !buf[5]);
	check(bpf_probe_read_kernel(buf, 0, hello) == 0);
	/* What cannot be read is left as zeros. */
	check(bpf_probe_read_kernel(buf, 4, NOWHERE) == -EFAULT);
	check(!buf[0] && !buf[3] && buf[4] == 'o');
	check(bpf_probe_read_kernel(buf, 5, USER) == -ERANGE);
	check(!buf[4]);
	return 0;
}

SEC("syscall")
int text_is_read_up_to_its_end(void *ctx)
{
	check(bpf_probe_read_kernel_str(buf, sizeof(buf), hello) == 12);
	check(buf[10] == 'd' && !buf[11]);
	buf[5] = 'x';
	check(bpf_probe_read_kernel_str(buf, 5, hello) == 5);
	check(buf[3] == 'l' && !buf[4] && buf[5] == 'x');
	check(bpf_probe_read_kernel_str(buf, 0, hello) == 0);
	check(buf[0] == 'h');
	check(bpf_probe_read_kernel_str(buf, 4, NOWHERE) == -EFAULT);
	check(!buf[0]);
	check(bpf_probe_read_kernel_str(buf, 4, USER) == -ERANGE);
	return 0;
}

SEC("syscall")
int user_space_is_read(void *ctx)
{
	char __arena *page = bpf_arena_alloc_pages(&arena, 0, 1, NUMA_NO_NODE, 0);
	void *address;
	int failed = 0;

	check(page);
	page[0] = 'h';
	page[1] = 'i';
	page[4095] = '!';
	address = (void *)hidden((__u64)page);
	expect(bpf_copy_from_user(buf, 4, address) == 0);
	expect(buf[0] == 'h' && buf[1] == 'i' && !buf[2]);
	expect(bpf_copy_from_user_str(text, sizeof(text), address, 0) == 3);
	expect(text[1] == 'i' && !text[2]);
	text[7] = 'x';
	expect(bpf_copy_from_user_str(text, sizeof(text), address, 1) == 3);
	expect(!text[7]);
	expect(bpf_copy_from_user_str(text, 2, address, 0) == 2);
	expect(text[0] == 'h' && !text[1]);
	expect(bpf_copy_from_user_str(text, sizeof(text), address, 2) == -EINVAL);
	/* Now that it was touched. */
	expect(bpf_probe_read_user(buf, 4, address) == 0);
	expect(buf[1] == 'i');
	expect(bpf_probe_read_user_str(buf, sizeof(buf), address) == 3);
	/* The kernel's functions do not. */
	expect(bpf_probe_read_kernel(buf, 4, address) == -ERANGE);
	bpf_arena_free_pages(&arena, page, 1);
	return failed;
}

SEC("syscall")
int a_copy_makes_pages_of_the_arena_present(void *ctx)
{
	char __arena *page = bpf_arena_alloc_pages(&arena, 0, 1, NUMA_NO_NODE, 0);
	void *address;
	int failed = 0;

	check(page);
	address = (void *)hidden((__u64)page);
	bpf_arena_free_pages(&arena, page, 1);
	buf[0] = 'x';
	expect(bpf_probe_read_user(buf, 4, address) == -EFAULT);
	expect(!buf[0]);
	buf[0] = 'x';
	expect(bpf_copy_from_user(buf, 4, address) == 0);
	expect(!buf[0]);
	expect(bpf_probe_read_user(buf, 4, address) == 0);
	bpf_arena_free_pages(&arena, page, 1);
	return failed;
}

SEC("syscall")
int what_is_not_of_user_space_is_not_read(void *ctx)
{
	buf[0] = 'x';
	check(bpf_copy_from_user(buf, 4, hello) == -EFAULT);
	check(!buf[0]);
	check(bpf_copy_from_user(buf, 4, USER) == -EFAULT);
	check(bpf_copy_from_user_str(buf, 4, USER, 0) == -EFAULT);
	check(bpf_copy_from_user_str(buf, 4, hello, 0) == -EFAULT);
	check(bpf_copy_from_user_str(buf, 0, hello, 0) == 0);
	check(bpf_probe_read_user(buf, 4, hello) == -EFAULT);
	check(bpf_probe_read_user_str(buf, 4, hello) == -EFAULT);
	return 0;
}

SEC("syscall")
int reads_into_dynptrs(void *ctx)
{
	struct bpf_dynptr ptr;

	bpf_dynptr_from_mem(buf, sizeof(buf), 0, &ptr);
	check(bpf_probe_read_kernel_dynptr(&ptr, 2, 5, hello) == 0);
	check(buf[2] == 'h' && buf[6] == 'o');
	check(bpf_probe_read_kernel_str_dynptr(&ptr, 1, 20, hello) == 12);
	check(buf[1] == 'h' && buf[11] == 'd' && !buf[12]);
	check(bpf_probe_read_kernel_str_dynptr(&ptr, 1, 3, hello) == 3);
	check(buf[2] == 'e' && !buf[3]);
	check(bpf_probe_read_kernel_dynptr(&ptr, 30, 5, hello) == -E2BIG);
	check(bpf_probe_read_kernel_dynptr(&ptr, 0, 4, NOWHERE) == -EFAULT);
	check(bpf_probe_read_user_dynptr(&ptr, 0, 4, USER) == -EFAULT);
	check(bpf_copy_from_user_dynptr(&ptr, 0, 4, USER) == -EFAULT);
	check(bpf_copy_from_user_str_dynptr(&ptr, 0, 4, USER) == -EFAULT);
	return 0;
}
