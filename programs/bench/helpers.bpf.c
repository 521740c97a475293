// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: programs that do little but call helpers. helper_calls counts events as tracing programs do: settings,
 * counters and a histogram in array maps, a row of counters for each CPU, the clock now and then. map_lookup looks up keys
 * in a hash map, of which half are there; clock_read reads the time. There are no maps natively, so these are BPF only.
 */
#include "bench.h"

#define EVENTS 65536
#define KINDS 64
#define CPUS 16
#define CLOCK_EVERY 16
#define KEYS 16384
#define LOOKUPS 65536
#define READINGS 65536

struct settings {
	__u64 kinds; /* a bit for each that counts */
	__u64 last; /* when the clock was read */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KINDS * CPUS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} histogram SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KEYS);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

static __always_inline __u32 log2_of(__u64 x)
{
	__u32 log = 0;

	if (x >> 32) {
		x >>= 32;
		log += 32;
	}
	if (x >> 16) {
		x >>= 16;
		log += 16;
	}
	if (x >> 8) {
		x >>= 8;
		log += 8;
	}
	if (x >> 4) {
		x >>= 4;
		log += 4;
	}
	if (x >> 2) {
		x >>= 2;
		log += 2;
	}
	return log + (x >> 1);
}

/* 0, or what updating a map gives. */
SEC("syscall")
int helper_setup(void *ctx)
{
	struct settings chosen = { .kinds = 0x7fffffffffffffffull };
	__u32 zero = 0, i;
	__u64 key, value;
	int err;

	err = bpf_map_update_elem(&settings, &zero, &chosen, BPF_ANY);
	for (i = unknown_zero; i < KEYS && !err && can_loop; i++) {
		key = bench_mix(i);
		value = i;
		err = bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	}
	return err;
}

/* Every run counts from zero. */
SEC("syscall")
int helper_reset(void *ctx)
{
	__u64 zero = 0;
	__u32 i;

	for (i = unknown_zero; i < KINDS * CPUS && can_loop; i++)
		bpf_map_update_elem(&counters, &i, &zero, BPF_ANY);
	for (i = unknown_zero; i < 64 && can_loop; i++)
		bpf_map_update_elem(&histogram, &i, &zero, BPF_ANY);
	return i < 64 ? -ETIMEDOUT : 0;
}

/* Counts one event. 0, or -ENOENT. */
static __always_inline int count(__u64 event)
{
	__u32 zero = 0, kind = event % KINDS, at, bucket;
	__u64 size = event >> (event >> 58);
	struct settings *chosen;
	__u64 *counter;

	chosen = bpf_map_lookup_elem(&settings, &zero);
	if (!chosen)
		return -ENOENT;
	if (!(chosen->kinds >> kind & 1))
		return 0;
	if (event / KINDS % CLOCK_EVERY == 0)
		chosen->last = bpf_ktime_get_ns();
	at = bpf_get_smp_processor_id() % CPUS * KINDS + kind;
	counter = bpf_map_lookup_elem(&counters, &at);
	if (!counter)
		return -ENOENT;
	*counter += size;
	bucket = log2_of(size);
	counter = bpf_map_lookup_elem(&histogram, &bucket);
	if (!counter)
		return -ENOENT;
	*counter += 1;
	return 0;
}

SEC("syscall")
int helper_calls(void *ctx)
{
	__u64 *counter, sum = 0;
	__u32 i;

	for (i = unknown_zero; i < EVENTS && can_loop; i++)
		if (count(bench_mix(i)))
			return -ENOENT;
	for (i = unknown_zero; i < KINDS * CPUS && can_loop; i++) {
		counter = bpf_map_lookup_elem(&counters, &i);
		if (counter)
			sum += *counter * (i % KINDS + 1);
	}
	for (i = unknown_zero; i < 64 && can_loop; i++) {
		counter = bpf_map_lookup_elem(&histogram, &i);
		if (counter)
			sum = sum * 31 + *counter;
	}
	checksum = sum;
	return i < 64 ? -ETIMEDOUT : 0;
}

SEC("syscall")
int map_lookup(void *ctx)
{
	__u64 key, *value, sum = 0;
	__u32 i;

	for (i = unknown_zero; i < LOOKUPS && can_loop; i++) {
		key = bench_mix(i * 40503u % (2 * KEYS));
		value = bpf_map_lookup_elem(&table, &key);
		if (value)
			sum += *value;
	}
	checksum = sum;
	return i < LOOKUPS ? -ETIMEDOUT : 0;
}

/* Counts how often time went on, or stood still. */
SEC("syscall")
int clock_read(void *ctx)
{
	__u64 now, last = 0, rising = 0;
	__u32 i;

	for (i = unknown_zero; i < READINGS && can_loop; i++) {
		now = bpf_ktime_get_ns();
		rising += now >= last;
		last = now;
	}
	checksum = rising;
	return i < READINGS ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
