// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Dynptrs over memory of the program's own. */
#include "check.h"

char memory[64];
char other[64];
__u32 eight = 8;

SEC("syscall")
int reads_and_writes_stay_inside(void *ctx)
{
	char buf[16] = "hello";
	struct bpf_dynptr ptr;

	check(bpf_dynptr_from_mem(memory, sizeof(memory), 0, &ptr) == 0);
	check(bpf_dynptr_size(&ptr) == 64);
	check(bpf_dynptr_write(&ptr, 60, buf, 4, 0) == 0);
	check(memory[60] == 'h' && memory[63] == 'l');
	check(bpf_dynptr_write(&ptr, 61, buf, 4, 0) == -E2BIG);
	check(bpf_dynptr_write(&ptr, 64, buf, 0, 0) == 0);
	check(bpf_dynptr_write(&ptr, 65, buf, 0, 0) == -E2BIG);
	check(bpf_dynptr_write(&ptr, -1, buf, 4, 0) == -E2BIG);
	check(bpf_dynptr_write(&ptr, 0, buf, 4, 1) == -EINVAL);
	check(bpf_dynptr_read(buf, 2, &ptr, 62, 0) == 0);
	check(buf[0] == 'l' && buf[1] == 'l' && buf[2] == 'l');
	check(bpf_dynptr_read(buf, 2, &ptr, 63, 0) == -E2BIG);
	check(bpf_dynptr_read(buf, 2, &ptr, 0, 1) == -EINVAL);
	return 0;
}

SEC("syscall")
int what_cannot_be_made_is_null(void *ctx)
{
	struct bpf_dynptr ptr, copy;
	char buf[8] = "";

	check(bpf_dynptr_from_mem(memory, sizeof(memory), 1, &ptr) == -EINVAL);
	check(bpf_dynptr_is_null(&ptr));
	check(!bpf_dynptr_is_rdonly(&ptr));
	check(bpf_dynptr_size(&ptr) == (__u32)-EINVAL);
	check(bpf_dynptr_read(buf, 0, &ptr, 0, 0) == -EINVAL);
	check(bpf_dynptr_write(&ptr, 0, buf, 1, 0) == -EINVAL);
	check(bpf_dynptr_data(&ptr, 0, 1) == 0);
	check(bpf_dynptr_slice(&ptr, 0, 0, 1) == 0);
	check(bpf_dynptr_adjust(&ptr, 0, 0) == -EINVAL);
	check(bpf_dynptr_clone(&ptr, &copy) == -EINVAL);
	check(bpf_dynptr_is_null(&copy));
	check(bpf_dynptr_memset(&ptr, 0, 1, 1) == -E2BIG);
	check(bpf_dynptr_memset(&ptr, 0, 0, 1) == 0);
	check(bpf_dynptr_copy(&ptr, 0, &copy, 0, 1) == -E2BIG);
	check(bpf_dynptr_copy(&ptr, 0, &copy, 0, 0) == 0);
	return 0;
}

SEC("syscall")
int a_window_is_moved_and_copied(void *ctx)
{
	struct bpf_dynptr ptr, copy;
	char byte = 7;

	bpf_dynptr_from_mem(memory, sizeof(memory), 0, &ptr);
	check(bpf_dynptr_adjust(&ptr, 10, 30) == 0);
	check(bpf_dynptr_size(&ptr) == 20);
	check(bpf_dynptr_clone(&ptr, &copy) == 0);
	check(bpf_dynptr_adjust(&ptr, 5, 4) == -EINVAL);
	check(bpf_dynptr_adjust(&ptr, 5, 21) == -ERANGE);
	check(bpf_dynptr_adjust(&ptr, 21, 21) == -ERANGE);
	check(bpf_dynptr_adjust(&ptr, 5, 20) == 0);
	check(bpf_dynptr_size(&ptr) == 15 && bpf_dynptr_size(&copy) == 20);
	check(bpf_dynptr_write(&ptr, 0, &byte, 1, 0) == 0);
	check(memory[15] == 7);
	check(bpf_dynptr_write(&copy, 1, &byte, 1, 0) == 0);
	check(memory[11] == 7);
	check(bpf_dynptr_adjust(&ptr, 15, 15) == 0);
	check(bpf_dynptr_size(&ptr) == 0 && !bpf_dynptr_is_null(&ptr));
	check(bpf_dynptr_write(&ptr, 0, &byte, 1, 0) == -E2BIG);
	return 0;
}

SEC("syscall")
int slices_are_the_memory_itself(void *ctx)
{
	struct bpf_dynptr ptr;
	__u64 buf;
	__u64 *data;

	bpf_dynptr_from_mem(memory, sizeof(memory), 0, &ptr);
	bpf_dynptr_adjust(&ptr, 8, 40);
	data = bpf_dynptr_data(&ptr, 8, sizeof(*data));
	check(data);
	*data = 0x1122334455667788;
	check(memory[16] == (char)0x88);
	data = bpf_dynptr_slice(&ptr, 8, &buf, sizeof(buf));
	check(data && *data == 0x1122334455667788);
	check(!bpf_dynptr_data(&ptr, 25, 8));
	check(!bpf_dynptr_slice(&ptr, 25, 0, 8));
	return 0;
}

SEC("syscall")
int copies_and_fills_stay_inside(void *ctx)
{
	struct bpf_dynptr from, to;

	bpf_dynptr_from_mem(memory, sizeof(memory), 0, &from);
	bpf_dynptr_from_mem(other, sizeof(other), 0, &to);
	check(bpf_dynptr_memset(&from, 4, 8, 0xff) == 0);
	check(memory[3] == 0 && memory[4] == (char)0xff && memory[11] == (char)0xff && memory[12] == 0);
	check(bpf_dynptr_copy(&to, 10, &from, 4, 9) == 0);
	check(other[9] == 0 && other[10] == (char)0xff && other[17] == (char)0xff && other[18] == 0);
	/* Onto itself, as memmove does it. */
	check(bpf_dynptr_copy(&from, 5, &from, 4, 9) == 0);
	check(memory[5] == (char)0xff && memory[12] == (char)0xff && memory[13] == 0);
	check(bpf_dynptr_copy(&to, 60, &from, 0, 5) == -E2BIG);
	check(bpf_dynptr_copy(&to, 0, &from, 60, 5) == -E2BIG);
	check(bpf_dynptr_memset(&to, 60, 5, 0) == -E2BIG);
	check(bpf_dynptr_memset(&to, 64, 0, 0) == 0);
	return 0;
}
