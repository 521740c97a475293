// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* bpf_for_each_map_elem: every element once, until the callback says stop. */
#include "check.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u32);
} percpu SEC(".maps");

/* What the callbacks saw, and which shall be their last. (On the stack, the verifier would follow each value that it may have.) */
struct {
	__u64 keys;
	__u64 values;
	__u32 calls;
	__u32 last;
} sums;

static void begin(__u32 last)
{
	sums.keys = sums.values = sums.calls = 0;
	sums.last = last;
}

static long add_indexed(void *map, __u32 *key, __u64 *value, void *ctx)
{
	sums.keys += *key;
	sums.values += *value;
	sums.calls++;
	*value += 1;
	return *key == sums.last;
}

static long add_hashed(void *map, __u64 *key, __u64 *value, void *ctx)
{
	sums.keys += *key;
	sums.values += *value;
	sums.calls++;
	return sums.calls == sums.last;
}

static long add_percpu(void *map, __u32 *key, __u32 *value, void *ctx)
{
	sums.keys += *key;
	sums.values += *value;
	sums.calls++;
	return 0;
}

static long delete_each(void *map, __u64 *key, __u64 *value, void *ctx)
{
	__u64 copy = *key;

	sums.calls++;
	bpf_map_delete_elem(&hash, &copy);
	return 0;
}

SEC("syscall")
int elements_of_an_array_come_in_order(void *ctx)
{
	begin(99);
	for (__u32 i = 0; i < 5; i++) {
		__u32 key = i;
		__u64 value = 100 * i;

		check(bpf_map_update_elem(&array, &key, &value, BPF_ANY) == 0);
	}
	check(bpf_for_each_map_elem(&array, add_indexed, NULL, 0) == 5);
	check(sums.calls == 5 && sums.keys == 10 && sums.values == 1000);
	/* The callback wrote the values themselves. */
	begin(2);
	check(bpf_for_each_map_elem(&array, add_indexed, NULL, 0) == 3);
	check(sums.calls == 3 && sums.keys == 3 && sums.values == 303);
	return 0;
}

SEC("syscall")
int elements_of_a_hash_come_once(void *ctx)
{
	begin(99);
	for (__u64 i = 0; i < 20; i++) {
		__u64 key = i * i, value = i;
		check(bpf_map_update_elem(&hash, &key, &value, BPF_ANY) == 0);
	}
	check(bpf_for_each_map_elem(&hash, add_hashed, NULL, 0) == 20);
	check(sums.calls == 20 && sums.keys == 2470 && sums.values == 190);
	begin(7);
	check(bpf_for_each_map_elem(&hash, add_hashed, NULL, 0) == 7);
	return 0;
}

SEC("syscall")
int the_callback_may_delete_what_it_sees(void *ctx)
{
	__u64 key = 9, value = 1;

	begin(0);
	check(bpf_map_update_elem(&hash, &key, &value, BPF_ANY) == 0);
	check(bpf_for_each_map_elem(&hash, delete_each, NULL, 0) >= 1);
	check(bpf_map_lookup_elem(&hash, &key) == NULL);
	check(bpf_for_each_map_elem(&hash, delete_each, NULL, 0) == 0);
	return 0;
}

SEC("syscall")
int values_of_this_cpu_are_seen(void *ctx)
{
	__u32 key = 1, value = 7;

	begin(0);
	check(bpf_map_update_elem(&percpu, &key, &value, BPF_ANY) == 0);
	check(bpf_for_each_map_elem(&percpu, add_percpu, NULL, 0) == 3);
	check(sums.calls == 3 && sums.keys == 3);
	return 0;
}

SEC("syscall")
int flags_are_refused(void *ctx)
{
	begin(0);
	check(bpf_for_each_map_elem(&array, add_indexed, NULL, 1) == -22);
	check(sums.calls == 0);
	return 0;
}
