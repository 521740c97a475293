// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Iterators over a map's elements; test/contract/iterator-programs.test.ts reads what they write. */
#include <bpf_iter.h>

char LICENSE[] SEC("license") = "GPL";

struct key {
	__u32 a;
	__u32 b;
	__u32 c;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100);
	__type(key, struct key);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 100);
	__type(key, struct key);
	__type(value, __u64);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 10);
	__type(key, struct key);
	__type(value, __u32);
} each_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u32);
} numbers_each_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3);
	__type(key, __u64);
	__type(value, __u64);
} short_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3);
	__type(key, struct key);
	__type(value, __u32);
} short_values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 3);
	__type(value, __u32);
} queue SEC(".maps");

/* Set by user space: how many values of a per-CPU map there are. */
__u32 cpus;
__u64 seen, sum, ends;

SEC("iter/bpf_map_elem")
int dump_table(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct key *key = ctx->key;
	__u64 *value = ctx->value;

	if (ctx->meta->seq_num == 0 && key)
		BPF_SEQ_PRINTF(seq, "map %s\n", ctx->map->name);
	if (!key || !value) {
		BPF_SEQ_PRINTF(seq, "end\n");
		ends++;
		return 0;
	}
	BPF_SEQ_PRINTF(seq, "%u %u %u: %llu\n", key->a, key->b, key->c, *value);
	return 0;
}

/* What it is shown stays as it is while it is replaced and deleted. */
SEC("iter/bpf_map_elem")
int takes_out(struct bpf_iter__bpf_map_elem *ctx)
{
	struct key *key = ctx->key, copy;
	__u64 *value = ctx->value, zero = 0;

	if (!key || !value)
		return 0;
	copy = *key;
	if (bpf_map_update_elem(&table, &copy, &zero, 0) || bpf_map_delete_elem(&table, &copy))
		return 0;
	seen++;
	sum += key->a * 1000000 + *value;
	return 0;
}

/* Meets nothing twice, though it replaces what it meets. */
SEC("iter/bpf_map_elem")
int replaces(struct bpf_iter__bpf_map_elem *ctx)
{
	struct key *key = ctx->key, copy;
	__u64 *value = ctx->value, more;

	if (!key || !value)
		return 0;
	copy = *key;
	more = *value + 1;
	bpf_map_update_elem(&table, &copy, &more, 0);
	seen++;
	return 0;
}

/* Deletes what it meets, and puts something else where that was. */
SEC("iter/bpf_map_elem")
int moves(struct bpf_iter__bpf_map_elem *ctx)
{
	struct key *key = ctx->key, copy;
	__u64 *value = ctx->value, number;

	if (!key || !value)
		return 0;
	copy = *key;
	number = *value;
	if (copy.c)
		return 0;
	seen++;
	bpf_map_delete_elem(&table, &copy);
	copy.c = 1;
	bpf_map_update_elem(&table, &copy, &number, 0);
	return 0;
}

/* Values are the map's own. */
SEC("iter/bpf_map_elem")
int doubles(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!key || !value)
		return 0;
	bpf_seq_write(seq, key, sizeof(*key));
	bpf_seq_write(seq, value, sizeof(*value));
	*value *= 2;
	__sync_fetch_and_add(value, *key);
	return 0;
}

SEC("iter/bpf_map_elem")
int sums_cpus(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!key || !value)
		return 0;
	seen++;
	/* All that there are; offsets have to be known. */
	sum += (__u32)value[0];
	if (cpus > 1)
		sum += 100 * (__u32)value[1];
	return 0;
}

SEC("iter/bpf_map_elem")
int reaches_far(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *value = ctx->value;

	if (value)
		sum += value[512];
	return 0;
}

/* At the first call of each read there is nothing to be taken back. */
SEC("iter/bpf_map_elem")
int asks_again(struct bpf_iter__bpf_map_elem *ctx)
{
	if (!ctx->key)
		return 0;
	seen++;
	if (seen % 2)
		return 1;
	BPF_SEQ_PRINTF(ctx->meta->seq, "%llu ", ctx->meta->seq_num);
	return 0;
}

SEC("iter.s/bpf_map_elem")
int sleeps(struct bpf_iter__bpf_map_elem *ctx)
{
	return 0;
}

SEC("syscall")
int fills(void *ctx)
{
	struct key key = { 1, 2, 3 };
	__u64 value = 4;

	return bpf_map_update_elem(&table, &key, &value, 0);
}

/* Inserts and deletes, in all buckets, until it is told to stop. */
volatile __u32 stop;
volatile __u32 changes;

SEC("syscall")
int churns(void *ctx)
{
	struct key key = { 0, 0, 1 };
	__u64 value = 1;
	__u32 random;

	while (!stop && can_loop) {
		changes++;
		random = bpf_get_prandom_u32();
		key.a = random & 63;
		key.b = (random >> 6) & 7;
		if (random >> 31)
			bpf_map_update_elem(&table, &key, &value, 0);
		else
			bpf_map_delete_elem(&table, &key);
	}
	return 0;
}
