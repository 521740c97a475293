// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Time, who runs where, and sections in which nothing may sleep. */
#include "check.h"

/* 2020, as nanoseconds since 1970. */
#define RECENTLY 1577836800000000000ULL

char name[32];

SEC("syscall")
int clocks_do_not_go_back(void *ctx)
{
	__u64 monotonic = bpf_ktime_get_ns();
	__u64 boot = bpf_ktime_get_boot_ns();
	__u64 tai = bpf_ktime_get_tai_ns();
	__u64 jiffies = bpf_jiffies64();

	check(boot >= monotonic);
	check(tai > RECENTLY);
	check(bpf_ktime_get_ns() >= monotonic);
	check(bpf_ktime_get_boot_ns() >= boot);
	check(bpf_ktime_get_tai_ns() >= tai);
	check(bpf_jiffies64() >= jiffies);
	return 0;
}

SEC("syscall")
int a_task_has_a_name(void *ctx)
{
	name[16] = 'x';
	check(bpf_get_current_comm(name, 16) == 0);
	check(name[0] && !name[15] && name[16] == 'x');
	check(bpf_get_current_comm(name, 2) == 0);
	check(name[0] && !name[1]);
	return 0;
}

SEC("syscall")
int a_task_has_numbers(void *ctx)
{
	__u64 pid = bpf_get_current_pid_tgid();
	__u64 uid = bpf_get_current_uid_gid();

	check((__u32)pid && pid >> 32);
	check(bpf_get_current_uid_gid() == uid);
	check(bpf_get_current_task());
	check(bpf_get_current_task() == bpf_get_current_task());
	check(bpf_get_numa_node_id() == 0);
	check(bpf_get_smp_processor_id() < 1024);
	return 0;
}

/* As much as is looked at; the loader finds out where the kernel has it. */
struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *group_leader;
} __attribute__((preserve_access_index));

SEC("syscall")
int a_task_is_looked_into(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *leader;
	__u64 both = bpf_get_current_pid_tgid();
	char comm[16];
	int pid, tgid;

	check(bpf_probe_read_kernel(&pid, sizeof(pid), &task->pid) == 0);
	check(bpf_probe_read_kernel(&tgid, sizeof(tgid), &task->tgid) == 0);
	check(pid == (int)both && tgid == (int)(both >> 32));
	check(bpf_probe_read_kernel_str(comm, sizeof(comm), &task->comm) > 1);
	bpf_get_current_comm(name, 16);
	check(bpf_strcmp(comm, name) == 0);
	check(bpf_probe_read_kernel(&leader, sizeof(leader), &task->group_leader) == 0);
	check(bpf_probe_read_kernel(&pid, sizeof(pid), &leader->pid) == 0);
	check(pid == tgid);
	return 0;
}

SEC("syscall")
int sections_nest(void *ctx)
{
	unsigned long outer, inner;

	bpf_rcu_read_lock();
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_local_irq_save(&outer);
	bpf_local_irq_save(&inner);
	bpf_local_irq_restore(&inner);
	bpf_local_irq_restore(&outer);
	bpf_preempt_enable();
	bpf_preempt_enable();
	bpf_rcu_read_unlock();
	return 0;
}
