// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: one operation on one kind of map, again and again. What they share is that the map is all there is: a loop, a
 * key that is made from the round, the call. There are no maps natively, so these are BPF only.
 */
#include "bench.h"
#include "bpf_helper_defs.h"

#define OPERATIONS 65536
#define ELEMENTS 16384
/* A record of 64 bytes takes 72; all of a run find room. */
#define RING_BYTES (8 * 1024 * 1024)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ELEMENTS);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ELEMENTS);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} kinds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

struct locked {
	struct bpf_spin_lock lock;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locked);
} locks SEC(".maps");

struct event {
	__u64 words[8];
};

/* 0, or what updating a map gives. */
SEC("syscall")
int maps_setup(void *ctx)
{
	__u64 key, value;
	__u32 i;
	int err = 0;

	for (i = unknown_zero; i < ELEMENTS && !err && can_loop; i++) {
		key = bench_mix(i);
		value = i;
		err = bpf_map_update_elem(&array, &i, &value, BPF_ANY) ?:
		      bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	}
	for (i = unknown_zero; i < 64 && !err && can_loop; i++) {
		value = 0;
		err = bpf_map_update_elem(&kinds, &i, &value, BPF_ANY);
	}
	return err;
}

/* Counters start from zero. */
SEC("syscall")
int maps_reset(void *ctx)
{
	__u64 zero = 0;
	__u32 i;

	for (i = unknown_zero; i < 64 && can_loop; i++) {
		bpf_map_update_elem(&counters, &i, &zero, BPF_ANY);
		bpf_map_update_elem(&kinds, &i, &zero, BPF_ANY);
	}
	return i < 64 ? -ETIMEDOUT : 0;
}

SEC("syscall")
int array_lookup(void *ctx)
{
	__u64 *value, sum = 0;
	__u32 i, at;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		at = i * 40503u % ELEMENTS;
		value = bpf_map_lookup_elem(&array, &at);
		if (value)
			sum += *value;
	}
	checksum = sum;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

/* Half of the keys are there. */
SEC("syscall")
int hash_map_lookup(void *ctx)
{
	__u64 key, *value, sum = 0;
	__u32 i;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		key = bench_mix(i * 40503u % (2 * ELEMENTS));
		value = bpf_map_lookup_elem(&table, &key);
		if (value)
			sum += *value;
	}
	checksum = sum;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

/* Replaces values, which leaves them as they were. */
SEC("syscall")
int hash_map_update(void *ctx)
{
	__u64 key, value, sum = 0;
	__u32 i;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		value = i * 40503u % ELEMENTS;
		key = bench_mix(value);
		if (!bpf_map_update_elem(&table, &key, &value, BPF_ANY))
			sum += value;
	}
	checksum = sum;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

/* Deletes an element and puts it back. */
SEC("syscall")
int hash_map_delete(void *ctx)
{
	__u64 key, value, sum = 0;
	__u32 i;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		value = i * 40503u % ELEMENTS;
		key = bench_mix(value);
		if (!bpf_map_delete_elem(&table, &key))
			sum += 1 + bpf_map_update_elem(&table, &key, &value, BPF_NOEXIST);
	}
	checksum = sum;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int percpu_counter(void *ctx)
{
	__u64 *value, sum = 0;
	__u32 i, at;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		at = i * 40503u % 64;
		value = bpf_map_lookup_elem(&counters, &at);
		if (value)
			sum += ++*value;
	}
	checksum = sum;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int percpu_hash_counter(void *ctx)
{
	__u64 *value, sum = 0;
	__u32 i, at;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		at = i * 40503u % 64;
		value = bpf_map_lookup_elem(&kinds, &at);
		if (value)
			sum += ++*value;
	}
	checksum = sum;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

/* Copies records of 64 bytes; nobody reads meanwhile. */
SEC("syscall")
int ringbuf_output(void *ctx)
{
	struct event event = {};
	__u64 sent = 0;
	__u32 i;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		event.words[0] = i;
		event.words[7] = i;
		if (!bpf_ringbuf_output(&events, &event, sizeof(event), 0))
			sent += i;
	}
	checksum = sent;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

/* Makes records of 64 bytes in place. */
SEC("syscall")
int ringbuf_reserve(void *ctx)
{
	struct event *event;
	__u64 sent = 0;
	__u32 i;

	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
		if (!event)
			break;
		event->words[0] = i;
		event->words[7] = i;
		bpf_ringbuf_submit(event, 0);
		sent += i;
	}
	checksum = sent;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int spin_lock(void *ctx)
{
	struct locked *value;
	__u32 i, zero = 0;

	value = bpf_map_lookup_elem(&locks, &zero);
	if (!value)
		return -ENOENT;
	for (i = unknown_zero; i < OPERATIONS && can_loop; i++) {
		bpf_spin_lock(&value->lock);
		value->count = i;
		bpf_spin_unlock(&value->lock);
	}
	checksum = value->count;
	return i < OPERATIONS ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
