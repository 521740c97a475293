// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Objects that programs allocate: lists, trees, counted references, and pointers to them in map values. */
#include "check.h"

#define container_of(ptr, type, member) ((type *)((void *)(ptr) - __builtin_offsetof(type, member)))
#define EINVAL 22

struct item {
	__u64 key;
	struct bpf_list_node entry;
	__u64 value;
};

struct leaf {
	struct bpf_rb_node node;
	__u64 key;
	struct bpf_refcount refcount;
	struct bpf_list_node entry;
};

#define private(name) SEC(".data." #name) __attribute__((visibility("hidden"), aligned(8)))

private(LIST) struct bpf_spin_lock list_lock;
private(LIST) struct bpf_list_head list __contains(item, entry);
private(LEFT) struct bpf_spin_lock left_lock;
private(LEFT) struct bpf_list_head left __contains(item, entry);
private(TREE) struct bpf_spin_lock tree_lock;
private(TREE) struct bpf_rb_root tree __contains(leaf, node);
private(BOTH) struct bpf_spin_lock both_lock;
private(BOTH) struct bpf_list_head both __contains(leaf, entry);

struct slot {
	struct item __kptr *item;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

static int add_item(__u64 key, _Bool front)
{
	struct item *item = bpf_obj_new(struct item);

	if (!item)
		return -1;
	item->key = key;
	item->value = 3 * key;
	bpf_spin_lock(&list_lock);
	if (front)
		bpf_list_push_front(&list, &item->entry);
	else
		bpf_list_push_back(&list, &item->entry);
	bpf_spin_unlock(&list_lock);
	return 0;
}

/* The key of an item that is taken out; -1 when there is none. */
static __s64 take_item(_Bool front)
{
	struct bpf_list_node *node;
	struct item *item;
	__s64 key;

	bpf_spin_lock(&list_lock);
	node = front ? bpf_list_pop_front(&list) : bpf_list_pop_back(&list);
	bpf_spin_unlock(&list_lock);
	if (!node)
		return -1;
	item = container_of(node, struct item, entry);
	key = item->value == 3 * item->key ? (__s64)item->key : -2;
	bpf_obj_drop(item);
	return key;
}

static __s64 front_key(void)
{
	struct bpf_list_node *node;
	__s64 key = -1;

	bpf_spin_lock(&list_lock);
	node = bpf_list_front(&list);
	if (node)
		key = container_of(node, struct item, entry)->key;
	bpf_spin_unlock(&list_lock);
	return key;
}

SEC("tc")
int a_list_is_a_queue_and_a_stack(void *ctx)
{
	check(take_item(1) == -1);
	check(front_key() == -1);
	check(add_item(1, 0) == 0 && add_item(2, 0) == 0 && add_item(3, 1) == 0 && add_item(4, 1) == 0);
	check(front_key() == 4);
	check(take_item(1) == 4);
	check(take_item(0) == 2);
	check(take_item(0) == 1);
	check(take_item(1) == 3);
	check(take_item(0) == -1);
	return 0;
}

SEC("tc")
int a_new_object_is_empty_and_memory_is_used_again(void *ctx)
{
	for (int i = 0; i < 200; i++) {
		struct item *item = bpf_obj_new(struct item);

		if (!item)
			return __LINE__;
		item->key = item->value = i;
		bpf_obj_drop(item);
	}
	return 0;
}

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, node)->key < container_of(b, struct leaf, node)->key;
}

static int add_leaf(__u64 key)
{
	struct leaf *leaf = bpf_obj_new(struct leaf);

	if (!leaf)
		return -1;
	leaf->key = key;
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add(&tree, &leaf->node, less);
	bpf_spin_unlock(&tree_lock);
	return 0;
}

/* The smallest key, whose leaf is taken out; -1 when there is none. */
static __s64 take_first(void)
{
	struct bpf_rb_node *node;
	struct leaf *leaf;
	__s64 key;

	bpf_spin_lock(&tree_lock);
	node = bpf_rbtree_first(&tree);
	if (!node) {
		bpf_spin_unlock(&tree_lock);
		return -1;
	}
	node = bpf_rbtree_remove(&tree, node);
	bpf_spin_unlock(&tree_lock);
	if (!node)
		return -2;
	leaf = container_of(node, struct leaf, node);
	key = leaf->key;
	bpf_obj_drop(leaf);
	return key;
}

/* Keys down the left side of the tree, in decimal digits; its shape is a red-black tree's. */
static __u64 left_side(void)
{
	struct bpf_rb_node *node;
	__u64 keys = 0;

	bpf_spin_lock(&tree_lock);
	node = bpf_rbtree_root(&tree);
	for (int i = 0; i < 5 && node; i++) {
		keys = keys * 100 + container_of(node, struct leaf, node)->key;
		node = bpf_rbtree_left(&tree, node);
	}
	bpf_spin_unlock(&tree_lock);
	return keys;
}

static __u64 right_side(void)
{
	struct bpf_rb_node *node;
	__u64 keys = 0;

	bpf_spin_lock(&tree_lock);
	node = bpf_rbtree_root(&tree);
	for (int i = 0; i < 5 && node; i++) {
		keys = keys * 100 + container_of(node, struct leaf, node)->key;
		node = bpf_rbtree_right(&tree, node);
	}
	bpf_spin_unlock(&tree_lock);
	return keys;
}

SEC("tc")
int a_tree_keeps_its_order_and_its_shape(void *ctx)
{
	check(take_first() == -1);
	check(add_leaf(50) == 0 && add_leaf(40) == 0 && add_leaf(60) == 0 && add_leaf(30) == 0 && add_leaf(20) == 0);
	check(left_side() == 503020);
	check(right_side() == 5060);
	check(add_leaf(10) == 0 && add_leaf(5) == 0 && add_leaf(70) == 0 && add_leaf(65) == 0 && add_leaf(45) == 0);
	check(left_side() == 50301005);
	check(right_side() == 506570);
	check(take_first() == 5 && take_first() == 10 && take_first() == 20);
	check(left_side() == 504030);
	check(take_first() == 30 && take_first() == 40 && take_first() == 45 && take_first() == 50);
	check(right_side() == 6570);
	check(take_first() == 60 && take_first() == 65 && take_first() == 70 && take_first() == -1);
	return 0;
}

SEC("tc")
int a_counted_object_can_be_in_a_tree_and_in_a_list(void *ctx)
{
	struct leaf *leaf = bpf_obj_new(struct leaf), *other;
	struct bpf_list_node *node;
	__u64 key;
	int result;

	check(leaf);
	leaf->key = 7;
	other = bpf_refcount_acquire(leaf);
	bpf_spin_lock(&tree_lock);
	result = bpf_rbtree_add(&tree, &leaf->node, less);
	bpf_spin_unlock(&tree_lock);
	if (result) {
		bpf_obj_drop(other);
		return __LINE__;
	}
	bpf_spin_lock(&both_lock);
	result = bpf_list_push_back(&both, &other->entry);
	bpf_spin_unlock(&both_lock);
	check(result == 0);
	check(take_first() == 7);
	/* Had the tree's reference been the last one, these would take its memory. */
	check(add_leaf(8) == 0 && add_leaf(9) == 0);
	check(take_first() == 8 && take_first() == 9);
	bpf_spin_lock(&both_lock);
	node = bpf_list_pop_front(&both);
	bpf_spin_unlock(&both_lock);
	check(node);
	leaf = container_of(node, struct leaf, entry);
	key = leaf->key;
	bpf_obj_drop(leaf);
	check(key == 7);
	return 0;
}

SEC("tc")
int an_object_is_in_a_list_once(void *ctx)
{
	struct leaf *leaf = bpf_obj_new(struct leaf), *other;
	struct bpf_list_node *node;
	int result;

	check(leaf);
	other = bpf_refcount_acquire(leaf);
	bpf_spin_lock(&both_lock);
	result = bpf_list_push_back(&both, &leaf->entry);
	bpf_spin_unlock(&both_lock);
	if (result) {
		bpf_obj_drop(other);
		return __LINE__;
	}
	bpf_spin_lock(&both_lock);
	result = bpf_list_push_back(&both, &other->entry);
	bpf_spin_unlock(&both_lock);
	check(result == -EINVAL);
	bpf_spin_lock(&both_lock);
	node = bpf_list_pop_front(&both);
	bpf_spin_unlock(&both_lock);
	check(node);
	bpf_obj_drop(container_of(node, struct leaf, entry));
	return 0;
}

SEC("tc")
int a_pointer_in_a_map_value_is_exchanged(void *ctx)
{
	struct item *item = bpf_obj_new(struct item), *old;
	struct slot *slot;
	__u32 index = 1;
	__u64 key;

	check(item);
	item->key = 11;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot) {
		bpf_obj_drop(item);
		return __LINE__;
	}
	old = bpf_kptr_xchg(&slot->item, item);
	if (old) {
		bpf_obj_drop(old);
		return __LINE__;
	}
	old = bpf_kptr_xchg(&slot->item, NULL);
	check(old);
	key = old->key;
	bpf_obj_drop(old);
	check(key == 11);
	check(!slot->item);
	return 0;
}

/* As large as an item. */
struct block {
	__u64 words[5];
};

SEC("tc")
int an_object_that_is_still_seen_is_no_new_one(void *ctx)
{
	struct item *item = bpf_obj_new(struct item), *seen, *old;
	struct block *block;
	struct slot *slot;
	__u32 index = 0;
	int failed = 0;

	check(item);
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot) {
		bpf_obj_drop(item);
		return __LINE__;
	}
	old = bpf_kptr_xchg(&slot->item, item);
	if (old)
		bpf_obj_drop(old);
	seen = slot->item;
	check(seen);
	old = bpf_kptr_xchg(&slot->item, NULL);
	if (old)
		bpf_obj_drop(old);
	block = bpf_obj_new(struct block);
	check(block);
	block->words[0] = 5;
	seen->key = 7;
	expect(hidden(block)->words[0] == 5);
	bpf_obj_drop(block);
	return failed;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct slot);
} table SEC(".maps");

SEC("tc")
int an_element_that_is_deleted_gives_its_object_up(void *ctx)
{
	for (__u32 i = 0; i < 100; i++) {
		struct item *item = bpf_obj_new(struct item), *old;
		struct slot empty = {}, *slot;
		__u32 key = 3;

		if (!item)
			return __LINE__;
		if (bpf_map_update_elem(&table, &key, &empty, BPF_ANY) || !(slot = bpf_map_lookup_elem(&table, &key))) {
			bpf_obj_drop(item);
			return __LINE__;
		}
		old = bpf_kptr_xchg(&slot->item, item);
		if (old) {
			bpf_obj_drop(old);
			return __LINE__;
		}
		if (bpf_map_delete_elem(&table, &key))
			return __LINE__;
	}
	return 0;
}

/* What is left in lists and map values is given up with them. */
SEC("tc")
int objects_may_be_left(void *ctx)
{
	__u32 index = 0;
	struct slot *slot = bpf_map_lookup_elem(&slots, &index);
	struct item *item;

	check(slot);
	for (__u32 i = 0; i < 2000; i++) {
		item = bpf_obj_new(struct item);
		check(item);
		bpf_spin_lock(&left_lock);
		bpf_list_push_front(&left, &item->entry);
		bpf_spin_unlock(&left_lock);
	}
	item = bpf_obj_new(struct item);
	check(item);
	item = bpf_kptr_xchg(&slot->item, item);
	if (item)
		bpf_obj_drop(item);
	return 0;
}
