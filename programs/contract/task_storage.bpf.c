// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What programs keep for the task that they run in. */
#include "check.h"

struct value {
	__u64 counter;
	__u32 odd;
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct value);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} others SEC(".maps");

SEC("syscall")
int a_task_has_no_value_until_one_is_made(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct value *value;

	bpf_task_storage_delete(&tasks, task);
	check(!bpf_task_storage_get(&tasks, task, NULL, 0));
	check(!bpf_task_storage_get(&tasks, task, NULL, hidden(2)));
	check(!bpf_task_storage_get(&tasks, task, NULL, hidden(3)));
	value = bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	check(value);
	check(value->counter == 0 && value->odd == 0);
	value->counter = 5;
	value = bpf_task_storage_get(&tasks, task, NULL, 0);
	check(value && value->counter == 5);
	value = bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	check(value && value->counter == 5);
	return 0;
}

SEC("syscall")
int a_value_is_gone_when_it_is_deleted(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct value *value;

	check(bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE));
	check(bpf_task_storage_delete(&tasks, task) == 0);
	check(bpf_task_storage_delete(&tasks, task) == -ENOENT);
	check(!bpf_task_storage_get(&tasks, task, NULL, 0));
	value = bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	check(value && value->counter == 0);
	return 0;
}

SEC("syscall")
int a_new_value_is_a_copy_of_what_is_given(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct value first = { .counter = 7, .odd = 3 }, second = { .counter = 8 }, *value;

	bpf_task_storage_delete(&tasks, task);
	value = bpf_task_storage_get(&tasks, task, &first, BPF_LOCAL_STORAGE_GET_F_CREATE);
	check(value);
	bpf_spin_lock(&value->lock);
	value->counter++;
	bpf_spin_unlock(&value->lock);
	value = bpf_task_storage_get(&tasks, task, &second, BPF_LOCAL_STORAGE_GET_F_CREATE);
	check(value && value->counter == 8 && value->odd == 3);
	return 0;
}

SEC("syscall")
int maps_keep_their_own_values(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 nine = 9, *other;

	check(bpf_task_storage_get(&tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE));
	bpf_task_storage_delete(&others, task);
	other = bpf_task_storage_get(&others, task, &nine, BPF_LOCAL_STORAGE_GET_F_CREATE);
	check(other && *other == 9);
	check(bpf_task_storage_delete(&tasks, task) == 0);
	other = bpf_task_storage_get(&others, task, NULL, 0);
	check(other && *other == 9);
	return 0;
}

SEC("syscall")
int nothing_is_kept_for_no_task(void *ctx)
{
	check(!bpf_task_storage_get(&tasks, NULL, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE));
	check(bpf_task_storage_delete(&tasks, NULL) == -EINVAL);
	return 0;
}

SEC("tc")
int packets_are_counted_by_task(void *skb)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 *count;

	bpf_task_storage_delete(&others, task);
	for (int i = 0; i < 3; i++) {
		count = bpf_task_storage_get(&others, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		check(count);
		(*count)++;
	}
	count = bpf_task_storage_get(&others, task, NULL, 0);
	check(count && *count == 3);
	return 0;
}
