// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Locks in map values. */
#include "check.h"

struct plain {
	struct bpf_spin_lock lock;
	__u64 counter;
};

struct resilient {
	struct bpf_res_spin_lock lock;
	__u64 counter;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct plain);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct plain);
} hashed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct resilient);
} resilient SEC(".maps");

__u32 zero, one = 1;

static __always_inline int count(struct plain *value)
{
	bpf_spin_lock(&value->lock);
	value->counter++;
	bpf_spin_unlock(&value->lock);
	return value->counter;
}

SEC("syscall")
int a_lock_is_free_again(void *ctx)
{
	struct plain *value = bpf_map_lookup_elem(&plain, &one);
	struct plain fresh = {};

	check(value);
	check(count(value) == 1);
	check(count(value) == 2);
	check(bpf_map_update_elem(&hashed, &one, &fresh, 0) == 0);
	value = bpf_map_lookup_elem(&hashed, &one);
	check(value);
	check(count(value) == 1);
	check(count(value) == 2);
	return 0;
}

SEC("syscall")
int a_resilient_lock_is_taken_and_given_back(void *ctx)
{
	struct resilient *value = bpf_map_lookup_elem(&resilient, &zero);
	unsigned long flags;

	check(value);
	check(bpf_res_spin_lock(&value->lock) == 0);
	value->counter++;
	bpf_res_spin_unlock(&value->lock);
	check(bpf_res_spin_lock_irqsave(&value->lock, &flags) == 0);
	value->counter++;
	bpf_res_spin_unlock_irqrestore(&value->lock, &flags);
	check(value->counter == 2);
	return 0;
}

SEC("syscall")
int who_holds_a_resilient_lock_does_not_get_it(void *ctx)
{
	struct resilient *value = bpf_map_lookup_elem(&resilient, &zero);
	struct resilient *other = bpf_map_lookup_elem(&resilient, &one);
	struct resilient *again = bpf_map_lookup_elem(&resilient, &zero);
	int failed = 0, error;

	check(value && other && again);
	check(bpf_res_spin_lock(&value->lock) == 0);
	if (bpf_res_spin_lock(&other->lock) == 0) {
		error = bpf_res_spin_lock(&again->lock);
		if (error)
			expect(error == -EDEADLK);
		else
			bpf_res_spin_unlock(&again->lock);
		expect(error);
		bpf_res_spin_unlock(&other->lock);
	} else {
		failed = __LINE__;
	}
	bpf_res_spin_unlock(&value->lock);
	check(bpf_res_spin_lock(&value->lock) == 0);
	bpf_res_spin_unlock(&value->lock);
	return failed;
}
