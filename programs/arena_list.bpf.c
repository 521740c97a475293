// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A linked list in the arena, made by a BPF program and read by user space: add cnt nodes, sum them, delete them. The
 * nodes come from the page-fragment allocator. No map_extra: the loader's mapping decides where the arena lies.
 */
#include "arena_list.h"
#include "arena_page_frag.h"

/* 32 MiB: about 1.3 million nodes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192);
} arena SEC(".maps");

struct node {
	ARENA_LIST_LINKS(node);
	__u64 value;
};

ARENA_LIST_HEAD(node_list, node);

/* For TypeScript, which walks from list_head. */
bpf_type_emit(struct node);

/* In the arena. */
struct arena_frag_cache __arena_global frags;
struct node_list __arena_global list;

/* Input: how many nodes arena_list_add adds. */
int cnt = 1000;

/* Output. list_head points to the list as soon as a program ran. */
struct node_list __arena *list_head;
__u64 list_sum; /* of the values added and not yet deleted */
__u64 list_cnt; /* of the nodes, likewise */
__u64 walk_sum; /* what arena_list_sum found */
__u64 walk_cnt;
__u64 del_sum; /* what arena_list_del deleted */
__u64 del_cnt;

/* Appends nodes with the values 0 to cnt - 1. 0, -ENOMEM, or -ETIMEDOUT when the loop budget ran out before the end. */
SEC("syscall")
int arena_list_add(void *ctx)
{
	struct node __arena *node;
	int i;

	list_head = &list;
	for (i = unknown_zero; i < cnt && can_loop; i++) {
		node = arena_frag_alloc(&arena, &frags, sizeof(*node));
		if (!node)
			return -ENOMEM;
		arena_kern(node)->value = i;
		arena_list_push_last(&list, node);
		list_sum += i;
		list_cnt++;
	}
	return i < cnt ? -ETIMEDOUT : 0;
}

/* A global function: the verifier checks it apart from its callers, by the tag of its parameter. */
__noinline __weak int walk(struct node_list __arena *head __arg_arena)
{
	struct node __arena *node;

	arena_list_for_each(node, head) {
		walk_sum += arena_kern(node)->value;
		walk_cnt++;
	}
	return node ? -ETIMEDOUT : 0;
}

/* Sums the values by walking the list. 0 or -ETIMEDOUT. */
SEC("syscall")
int arena_list_sum(void *ctx)
{
	list_head = &list;
	walk_sum = 0;
	walk_cnt = 0;
	return walk(&list);
}

/* Deletes and frees all nodes, first to last. 0, or -ETIMEDOUT with the rest still on the list. */
SEC("syscall")
int arena_list_del(void *ctx)
{
	struct node __arena *node, *after;
	__u64 value;

	list_head = &list;
	arena_list_for_each_safe(node, after, &list) {
		value = arena_kern(node)->value;
		list_sum -= value;
		list_cnt--;
		del_sum += value;
		del_cnt++;
		arena_list_remove(&list, node);
		arena_frag_free(&arena, node);
	}
	return node ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__
#include <stdio.h>

/* Runs the programs in their order; `arena_list CNT` sets cnt. Prints a line for each result. */
int main(int argc, char **argv)
{
	__u64 seen = 0;
	struct node *node;

	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		cnt = atoi(argv[1]);
	printf("arena_list_add=%d\n", arena_list_add(NULL));
	printf("list_sum=%llu\nlist_cnt=%llu\n", list_sum, list_cnt);
	for (node = list_head->first; node; node = node->next)
		seen += node->value;
	printf("user_sum=%llu\n", seen);
	printf("arena_list_sum=%d\n", arena_list_sum(NULL));
	printf("walk_sum=%llu\nwalk_cnt=%llu\n", walk_sum, walk_cnt);
	printf("arena_list_del=%d\n", arena_list_del(NULL));
	printf("del_sum=%llu\ndel_cnt=%llu\n", del_sum, del_cnt);
	printf("left_sum=%llu\nleft_cnt=%llu\n", list_sum, list_cnt);
	return 0;
}
#endif
