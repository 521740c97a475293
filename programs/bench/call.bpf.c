// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmark: a program so small that what is measured is the way to it and back. It reads its context of 64 bytes, as a
 * plug-in that decides about a request would, and writes its decision there.
 */
#include "bpf_helpers.h"

struct request {
	__u64 id;
	__u32 kind;
	__u32 size;
	__u64 from;
	__u64 to;
	__u32 priority;
	__u32 flags;
	__u64 deadline;
	__u64 now;
	__u64 decision; /* written: how long it may wait */
};

/* 1 when the request may wait. */
SEC("syscall")
int decide(struct request *request)
{
	__u64 left = request->deadline > request->now ? request->deadline - request->now : 0;

	if (request->flags & 1 || request->kind == 0)
		left = 0;
	request->decision = left >> (request->priority & 7);
	return request->decision > request->size;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
