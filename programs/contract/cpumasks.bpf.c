// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sets of CPUs: there is a CPU 0, and none with the number FAR. */
#include "check.h"

/* A map value that points to one wants to know that it is a struct, and nothing else of it. */
struct bpf_cpumask {
	__u32 opaque;
};

#define FAR 100000
#define CAST(mask) ((const struct cpumask *)(mask))

/* How many CPUs there are. */
static __always_inline __u32 cpus(struct bpf_cpumask *mask)
{
	bpf_cpumask_setall(mask);
	return bpf_cpumask_weight(CAST(mask));
}

SEC("syscall")
int a_new_set_is_empty(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	int failed = 0;

	check(mask);
	expect(bpf_cpumask_empty(CAST(mask)));
	expect(!bpf_cpumask_full(CAST(mask)));
	expect(bpf_cpumask_weight(CAST(mask)) == 0);
	expect(!bpf_cpumask_test_cpu(0, CAST(mask)));
	expect(bpf_cpumask_first_zero(CAST(mask)) == 0);
	expect(bpf_cpumask_first(CAST(mask)) >= cpus(mask));
	bpf_cpumask_release(mask);
	return failed;
}

SEC("syscall")
int a_cpu_is_set_and_cleared(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	int failed = 0;

	check(mask);
	bpf_cpumask_set_cpu(0, mask);
	expect(bpf_cpumask_test_cpu(0, CAST(mask)));
	expect(bpf_cpumask_first(CAST(mask)) == 0);
	expect(bpf_cpumask_any_distribute(CAST(mask)) == 0);
	expect(bpf_cpumask_weight(CAST(mask)) == 1);
	expect(bpf_cpumask_test_and_set_cpu(0, mask));
	bpf_cpumask_clear_cpu(0, mask);
	expect(!bpf_cpumask_test_cpu(0, CAST(mask)));
	expect(!bpf_cpumask_test_and_clear_cpu(0, mask));
	expect(!bpf_cpumask_test_and_set_cpu(0, mask));
	expect(bpf_cpumask_test_and_clear_cpu(0, mask));
	bpf_cpumask_release(mask);
	return failed;
}

SEC("syscall")
int a_cpu_that_is_not_there_is_never_set(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	int failed = 0;

	check(mask);
	bpf_cpumask_set_cpu(FAR, mask);
	expect(!bpf_cpumask_test_cpu(FAR, CAST(mask)));
	expect(!bpf_cpumask_test_and_set_cpu(FAR, mask));
	expect(!bpf_cpumask_test_and_clear_cpu(FAR, mask));
	expect(bpf_cpumask_empty(CAST(mask)));
	bpf_cpumask_setall(mask);
	expect(bpf_cpumask_full(CAST(mask)));
	expect(bpf_cpumask_first_zero(CAST(mask)) >= bpf_cpumask_weight(CAST(mask)));
	bpf_cpumask_clear(mask);
	expect(bpf_cpumask_empty(CAST(mask)));
	bpf_cpumask_release(mask);
	return failed;
}

SEC("syscall")
int sets_are_combined(void *ctx)
{
	struct bpf_cpumask *all = bpf_cpumask_create(), *one, *dst;
	int failed = 0;
	__u32 count;

	check(all);
	one = bpf_cpumask_create();
	if (!one) {
		bpf_cpumask_release(all);
		return __LINE__;
	}
	dst = bpf_cpumask_create();
	if (!dst) {
		bpf_cpumask_release(all);
		bpf_cpumask_release(one);
		return __LINE__;
	}
	count = cpus(all);
	bpf_cpumask_set_cpu(0, one);
	expect(bpf_cpumask_subset(CAST(one), CAST(all)));
	expect(bpf_cpumask_intersects(CAST(one), CAST(all)));
	expect(bpf_cpumask_first_and(CAST(one), CAST(all)) == 0);
	expect(bpf_cpumask_any_and_distribute(CAST(one), CAST(all)) == 0);
	expect(bpf_cpumask_and(dst, CAST(one), CAST(all)));
	expect(bpf_cpumask_equal(CAST(dst), CAST(one)));
	bpf_cpumask_xor(dst, CAST(one), CAST(all));
	expect(bpf_cpumask_weight(CAST(dst)) == count - 1);
	expect(!bpf_cpumask_intersects(CAST(dst), CAST(one)));
	expect(!bpf_cpumask_and(dst, CAST(one), CAST(dst)));
	bpf_cpumask_or(dst, CAST(dst), CAST(all));
	expect(bpf_cpumask_equal(CAST(dst), CAST(all)));
	bpf_cpumask_copy(dst, CAST(one));
	expect(bpf_cpumask_equal(CAST(dst), CAST(one)));
	bpf_cpumask_release(all);
	bpf_cpumask_release(one);
	bpf_cpumask_release(dst);
	return failed;
}

SEC("syscall")
int a_set_lives_as_long_as_it_is_held(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create(), *again;
	int failed = 0;

	check(mask);
	bpf_cpumask_set_cpu(0, mask);
	again = bpf_cpumask_acquire(mask);
	bpf_cpumask_release(mask);
	expect(bpf_cpumask_test_cpu(0, CAST(again)));
	bpf_cpumask_release(again);
	return failed;
}

__u64 words[1024] = { 1 };

SEC("syscall")
int a_set_is_read_from_memory(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	int failed = 0;

	check(mask);
	expect(bpf_cpumask_populate((struct cpumask *)mask, words, sizeof(words)) == 0);
	expect(bpf_cpumask_test_cpu(0, CAST(mask)));
	expect(bpf_cpumask_weight(CAST(mask)) == 1);
	expect(bpf_cpumask_populate((struct cpumask *)mask, words, 4) == -EACCES);
	bpf_cpumask_release(mask);
	return failed;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} lazy SEC(".maps");

SEC("syscall")
int elements_are_counted(void *ctx)
{
	__u32 key = 0;

	bpf_map_update_elem(&hash, &key, &key, 0);
	bpf_map_update_elem(&lazy, &key, &key, 0);
	key = 1;
	bpf_map_update_elem(&hash, &key, &key, 0);
	bpf_map_update_elem(&lazy, &key, &key, 0);
	key = 2;
	bpf_map_update_elem(&hash, &key, &key, 0);
	bpf_map_update_elem(&lazy, &key, &key, 0);
	check(bpf_map_sum_elem_count((struct bpf_map *)&hash) == 3);
	check(bpf_map_sum_elem_count((struct bpf_map *)&lazy) == 3);
	key = 1;
	bpf_map_update_elem(&hash, &key, &key, 0);
	check(bpf_map_sum_elem_count((struct bpf_map *)&hash) == 3);
	bpf_map_delete_elem(&hash, &key);
	check(bpf_map_sum_elem_count((struct bpf_map *)&hash) == 2);
	return 0;
}

struct place {
	struct bpf_cpumask __kptr *mask;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct place);
} places SEC(".maps");

SEC("syscall")
int a_set_that_is_still_seen_is_no_new_one(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create(), *other;
	struct place *place;
	__u32 index = 0;
	int failed = 0;

	check(mask);
	place = bpf_map_lookup_elem(&places, &index);
	if (!place) {
		bpf_cpumask_release(mask);
		return __LINE__;
	}
	bpf_cpumask_set_cpu(0, mask);
	mask = bpf_kptr_xchg(&place->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	bpf_rcu_read_lock();
	mask = place->mask;
	if (!mask) {
		bpf_rcu_read_unlock();
		return __LINE__;
	}
	other = bpf_kptr_xchg(&place->mask, NULL);
	if (other)
		bpf_cpumask_release(other);
	expect(bpf_cpumask_test_cpu(0, CAST(mask)));
	bpf_rcu_read_unlock();
	return failed;
}

SEC("syscall")
int a_set_may_be_left_in_a_map_value(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	struct place *place;
	__u32 index = 0;

	check(mask);
	place = bpf_map_lookup_elem(&places, &index);
	if (!place) {
		bpf_cpumask_release(mask);
		return __LINE__;
	}
	mask = bpf_kptr_xchg(&place->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}
