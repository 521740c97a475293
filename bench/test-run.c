// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs a BPF program by BPF_PROG_TEST_RUN, without anything of ours in between: `test-run CALLS BYTES`, with the program's
 * file descriptor as number 3. The context is BYTES zeroes. Prints the nanoseconds of one call.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	union bpf_attr attr = { .test.prog_fd = 3 };
	struct timespec start, end;
	long calls, i;

	if (argc != 3)
		return 2;
	calls = atol(argv[1]);
	attr.test.ctx_size_in = atoi(argv[2]);
	attr.test.ctx_in = (__u64)(unsigned long)calloc(1, attr.test.ctx_size_in);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < calls; i++) {
		if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) < 0) {
			perror("BPF_PROG_TEST_RUN");
			return 1;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%f\n", ((end.tv_sec - start.tv_sec) * 1e9 + end.tv_nsec - start.tv_nsec) / calls);
	return 0;
}
