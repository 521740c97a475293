// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: ways for a program to hand events of 64 bytes to user space, for bench/channels.ts. Each program sends `count`
 * events; the first word of one is its number, counted from 1, which in memory that is mapped is written last: it says that the
 * event is whole.
 */
#include "bench.h"
#include "bpf_helper_defs.h"

#define EVENTS 4096
#define BYTES (256 * 1024)

struct event {
	__u64 number;
	__u64 words[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, BYTES);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EVENTS);
	__type(key, __u64);
	__type(value, struct event);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EVENTS);
	__type(key, __u32);
	__type(value, struct event);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BYTES / PAGE_SIZE);
} arena SEC(".maps");

__u64 count, sent;
struct event __arena *slots;
/* Where the slots begin, for user space. */
__u64 address;

SEC("syscall")
int arena_setup(void *ctx)
{
	slots = bpf_arena_alloc_pages(&arena, NULL, BYTES / PAGE_SIZE, NUMA_NO_NODE, 0);
	address = (__u64)slots;
	return slots ? 0 : -ENOMEM;
}

static __always_inline void fill(struct event *event, __u64 number)
{
	event->number = number;
	event->words[0] = number * 3;
	event->words[6] = ~number;
}

SEC("raw_tp")
int send_ring(void *ctx)
{
	struct event event = {};
	__u64 i;

	for (i = unknown_zero; i < count && can_loop; i++) {
		fill(&event, ++sent);
		if (bpf_ringbuf_output(&ring, &event, sizeof(event), 0))
			return -1;
	}
	return 0;
}

SEC("raw_tp")
int send_perf(void *ctx)
{
	struct event event = {};
	__u64 i;

	for (i = unknown_zero; i < count && can_loop; i++) {
		fill(&event, ++sent);
		if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &event, sizeof(event)))
			return -1;
	}
	return 0;
}

SEC("raw_tp")
int send_hash(void *ctx)
{
	struct event event = {};
	__u64 i;

	for (i = unknown_zero; i < count && can_loop; i++) {
		fill(&event, ++sent);
		if (bpf_map_update_elem(&hash, &event.number, &event, BPF_ANY))
			return -1;
	}
	return 0;
}

SEC("raw_tp")
int send_array(void *ctx)
{
	struct event *event;
	__u32 at;
	__u64 i;

	for (i = unknown_zero; i < count && can_loop; i++) {
		at = ++sent % EVENTS;
		event = bpf_map_lookup_elem(&array, &at);
		if (!event)
			return -1;
		event->words[0] = sent * 3;
		event->words[6] = ~sent;
		__atomic_store_n(&event->number, sent, __ATOMIC_RELEASE);
	}
	return 0;
}

SEC("raw_tp")
int send_arena(void *ctx)
{
	struct event __arena *event;
	__u64 i;

	/* Says which arena. */
	asm volatile("" ::"r"(&arena));

	for (i = unknown_zero; i < count && can_loop; i++) {
		event = arena_kern(&slots[++sent % EVENTS]);
		event->words[0] = sent * 3;
		event->words[6] = ~sent;
		__atomic_store_n(&event->number, sent, __ATOMIC_RELEASE);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
