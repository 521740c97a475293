/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A red-black tree in the arena: 64-bit keys, each once, in order. The node is the first member of the caller's element,
 * who allocates it; user space follows root, then child[0] (smaller keys) and child[1] (larger ones).
 *
 *	struct entry { struct arena_rbnode node; __u64 value; };
 *
 * The two sides are one array, and what is done on a side takes it as an index: each case of the algorithm stands here
 * once, and not again mirrored.
 *
 * Cost: 40 bytes a node; find, insert and remove are logarithmic, a walk over all n nodes is linear. Concurrency: none, as
 * in arena_list.h. An all-zero tree is an empty one. Pointers are user addresses, as everywhere outside arena_kern().
 * Loops run under the program's loop budget (see can_loop). No single operation comes near it; where what went before
 * has used it up, find finds nothing, insert and remove say so, or leave a tree that is in order but out of balance.
 */
#ifndef ARENA_RBTREE_H
#define ARENA_RBTREE_H

#include "bpf_arena.h"

struct arena_rbnode {
	struct arena_rbnode __arena *parent; /* NULL in the root */
	struct arena_rbnode __arena *child[2];
	__u64 key;
	__u64 red; /* 1 or 0 */
};
bpf_type_emit(struct arena_rbnode);

struct arena_rbtree {
	struct arena_rbnode __arena *root;
	__u64 count; /* nodes */
};

/* The node with that key, or NULL. */
static inline struct arena_rbnode __arena *arena_rbtree_find(struct arena_rbtree __arena *tree, __u64 key)
{
	struct arena_rbnode __arena *node = arena_kern(tree)->root;
	__u64 here;

	while (node && can_loop) {
		here = arena_kern(node)->key;
		if (here == key)
			return node;
		node = arena_kern(node)->child[key > here];
	}
	return NULL;
}

/* The outermost node below node on that side: 0 for the smallest key, 1 for the largest. node may be NULL. */
static inline struct arena_rbnode __arena *__arena_rb_outermost(struct arena_rbnode __arena *node, int side)
{
	struct arena_rbnode __arena *below;

	while (node && can_loop) {
		below = arena_kern(node)->child[side];
		if (!below)
			break;
		node = below;
	}
	return node;
}

/* The node with the smallest key, or NULL. */
static inline struct arena_rbnode __arena *arena_rbtree_first(struct arena_rbtree __arena *tree)
{
	return __arena_rb_outermost(arena_kern(tree)->root, 0);
}

/* The node with the next larger key, or NULL. */
static inline struct arena_rbnode __arena *arena_rbtree_next(struct arena_rbnode __arena *node)
{
	struct arena_rbnode __arena *parent, *right = arena_kern(node)->child[1];

	if (right)
		return __arena_rb_outermost(right, 0);
	while ((parent = arena_kern(node)->parent) && can_loop) {
		if (arena_kern(parent)->child[0] == node)
			break;
		node = parent;
	}
	return parent;
}

static inline bool __arena_rb_red(struct arena_rbnode __arena *node)
{
	return node && arena_kern(node)->red;
}

/* Puts node, or nothing, where old hangs below parent, or at the root. */
static inline void __arena_rb_replace(struct arena_rbtree __arena *tree, struct arena_rbnode __arena *parent,
				      struct arena_rbnode __arena *old, struct arena_rbnode __arena *node)
{
	if (!parent)
		arena_kern(tree)->root = node;
	else
		arena_kern(parent)->child[arena_kern(parent)->child[1] == old] = node;
	if (node)
		arena_kern(node)->parent = parent;
}

/* Turns node down to that side; its child on the other side takes its place. */
static inline void __arena_rb_rotate(struct arena_rbtree __arena *tree, struct arena_rbnode __arena *node, int side)
{
	struct arena_rbnode __arena *up = arena_kern(node)->child[!side];
	struct arena_rbnode __arena *between = arena_kern(up)->child[side];

	arena_kern(node)->child[!side] = between;
	if (between)
		arena_kern(between)->parent = node;
	__arena_rb_replace(tree, arena_kern(node)->parent, node, up);
	arena_kern(up)->child[side] = node;
	arena_kern(node)->parent = up;
}

/*
 * Puts node, whose key is set, into the tree. 0, -EEXIST when the key is there already, or -ETIMEDOUT; the node is then not
 * in the tree.
 */
static inline int arena_rbtree_insert(struct arena_rbtree __arena *tree, struct arena_rbnode __arena *node)
{
	struct arena_rbnode __arena *parent = NULL, *grand, *uncle, *at = arena_kern(tree)->root;
	__u64 here, key = arena_kern(node)->key;
	int side = 0;

	while (at && can_loop) {
		here = arena_kern(at)->key;
		if (here == key)
			return -EEXIST;
		parent = at;
		side = key > here;
		at = arena_kern(at)->child[side];
	}
	if (at)
		return -ETIMEDOUT;
	arena_kern(node)->parent = parent;
	arena_kern(node)->child[0] = NULL;
	arena_kern(node)->child[1] = NULL;
	arena_kern(node)->red = 1;
	if (parent)
		arena_kern(parent)->child[side] = node;
	else
		arena_kern(tree)->root = node;
	arena_kern(tree)->count++;

	/* No red node has a red child. A red parent is not the root, so there is a grandparent. */
	while (__arena_rb_red(parent) && can_loop) {
		grand = arena_kern(parent)->parent;
		side = arena_kern(grand)->child[1] == parent;
		uncle = arena_kern(grand)->child[!side];
		if (!__arena_rb_red(uncle)) {
			if (arena_kern(parent)->child[!side] == node) {
				__arena_rb_rotate(tree, parent, side);
				parent = node;
			}
			arena_kern(parent)->red = 0;
			arena_kern(grand)->red = 1;
			__arena_rb_rotate(tree, grand, !side);
			break;
		}
		arena_kern(parent)->red = 0;
		arena_kern(uncle)->red = 0;
		arena_kern(grand)->red = 1;
		node = grand;
		parent = arena_kern(node)->parent;
	}
	arena_kern(arena_kern(tree)->root)->red = 0;
	return 0;
}

/* Every way down has equally many black nodes; below parent, those through node, which may be NULL, have one too few. */
static inline void __arena_rb_rebalance(struct arena_rbtree __arena *tree, struct arena_rbnode __arena *parent,
					struct arena_rbnode __arena *node)
{
	struct arena_rbnode __arena *sibling, *near, *far;
	int side;

	while (parent && !__arena_rb_red(node) && can_loop) {
		side = arena_kern(parent)->child[1] == node;
		sibling = arena_kern(parent)->child[!side];
		if (__arena_rb_red(sibling)) {
			arena_kern(sibling)->red = 0;
			arena_kern(parent)->red = 1;
			__arena_rb_rotate(tree, parent, side);
			sibling = arena_kern(parent)->child[!side];
		}
		/* Only where an operation that ran out of budget left the tree out of balance. */
		if (!sibling)
			break;
		near = arena_kern(sibling)->child[side];
		far = arena_kern(sibling)->child[!side];
		if (__arena_rb_red(near) || __arena_rb_red(far)) {
			if (!__arena_rb_red(far)) {
				arena_kern(near)->red = 0;
				arena_kern(sibling)->red = 1;
				__arena_rb_rotate(tree, sibling, !side);
				far = sibling;
				sibling = near;
			}
			arena_kern(sibling)->red = arena_kern(parent)->red;
			arena_kern(parent)->red = 0;
			arena_kern(far)->red = 0;
			__arena_rb_rotate(tree, parent, side);
			return;
		}
		arena_kern(sibling)->red = 1;
		node = parent;
		parent = arena_kern(node)->parent;
	}
	if (node)
		arena_kern(node)->red = 0;
}

/* Takes node out of the tree that it is in. Its memory stays the caller's. 0, or -ETIMEDOUT: it is still in the tree. */
static inline int arena_rbtree_remove(struct arena_rbtree __arena *tree, struct arena_rbnode __arena *node)
{
	struct arena_rbnode __arena *left = arena_kern(node)->child[0];
	struct arena_rbnode __arena *right = arena_kern(node)->child[1];
	struct arena_rbnode __arena *parent = arena_kern(node)->parent;
	struct arena_rbnode __arena *below, *next, *above;
	__u64 red = arena_kern(node)->red;

	next = left ? __arena_rb_outermost(right, 0) : NULL;
	if (next && arena_kern(next)->child[0])
		return -ETIMEDOUT;
	arena_kern(tree)->count--;
	if (!next) {
		below = left ? left : right;
		__arena_rb_replace(tree, parent, node, below);
	} else {
		/* The next larger one, which has no left child, leaves its place for node's. */
		below = arena_kern(next)->child[1];
		red = arena_kern(next)->red;
		above = next;
		if (next != right) {
			above = arena_kern(next)->parent;
			__arena_rb_replace(tree, above, next, below);
			arena_kern(next)->child[1] = right;
			arena_kern(right)->parent = next;
		}
		__arena_rb_replace(tree, parent, node, next);
		arena_kern(next)->child[0] = left;
		arena_kern(left)->parent = next;
		arena_kern(next)->red = arena_kern(node)->red;
		parent = above;
	}
	if (!red)
		__arena_rb_rebalance(tree, parent, below);
	return 0;
}

#endif /* ARENA_RBTREE_H */
