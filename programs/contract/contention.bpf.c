// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Locks that several CPUs want at once: test/contract/locks.test.ts. */
#include <bpf_helpers.h>
#include <bpf_kfuncs.h>

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
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plain);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct resilient);
} resilient SEC(".maps");

__u64 plain_total, resilient_total;
/* How often both locks were had, how often the second was not, and what else came back. */
__u64 both, deadlocks, timeouts, others;

const __u32 zero, one = 1;

/* Sums that are lost unless only one CPU adds at a time. */
SEC("syscall")
int count(void *ctx)
{
	struct plain *value = bpf_map_lookup_elem(&plain, &zero);
	__u32 i;

	if (!value)
		return 1;
	for (i = unknown_zero; i < 2000 && can_loop; i++) {
		bpf_spin_lock(&value->lock);
		value->counter++;
		bpf_spin_unlock(&value->lock);
	}
	plain_total = value->counter;
	return 0;
}

SEC("syscall")
int count_resilient(void *ctx)
{
	struct resilient *value = bpf_map_lookup_elem(&resilient, &zero);
	__u32 i;

	if (!value)
		return 1;
	for (i = unknown_zero; i < 2000 && can_loop; i++) {
		if (bpf_res_spin_lock(&value->lock))
			return 2;
		value->counter++;
		bpf_res_spin_unlock(&value->lock);
	}
	resilient_total = value->counter;
	return 0;
}

/* Every other CPU takes the two locks in the other order. */
SEC("syscall")
int cross(void *ctx)
{
	__u32 odd = bpf_get_smp_processor_id() & 1;
	struct resilient *first = bpf_map_lookup_elem(&resilient, odd ? &one : &zero);
	struct resilient *second = bpf_map_lookup_elem(&resilient, odd ? &zero : &one);
	__u32 i;
	int error;

	if (!first || !second)
		return 1;
	for (i = unknown_zero; i < 500 && can_loop; i++) {
		error = bpf_res_spin_lock(&first->lock);
		if (error)
			continue;
		error = bpf_res_spin_lock(&second->lock);
		if (error) {
			if (error == -EDEADLK)
				__sync_fetch_and_add(&deadlocks, 1);
			else if (error == -ETIMEDOUT)
				__sync_fetch_and_add(&timeouts, 1);
			else
				__sync_fetch_and_add(&others, 1);
			bpf_res_spin_unlock(&first->lock);
			continue;
		}
		both++;
		bpf_res_spin_unlock(&second->lock);
		bpf_res_spin_unlock(&first->lock);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
