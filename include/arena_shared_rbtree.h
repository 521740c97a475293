/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * arena_rbtree.h for several CPUs: the tree and a sequence lock. Lookups of a value do not take it: they go down, and go down again
 * when the tree was changed meanwhile. What they meet may be on its way out, or freed: in the arena a load never faults, and
 * what was read is thrown away.
 *
 *	struct entry { struct arena_rbnode node; __u64 value; };
 *	err = arena_shared_rbtree_get(&tree, key, offsetof(struct entry, value), &value);
 *
 * Concurrency: all functions here, from any number of CPUs at once. Nodes are the caller's: one may be freed as soon as it is
 * removed. For walks, and for what several operations have to do at one go, take the lock and use arena_rbtree.h between
 * arena_shared_rbtree_lock() and _unlock(); do not sleep meanwhile, and do not allocate. User space reads when nobody writes.
 * Cost: 8 bytes a tree; one cmpxchg and one release for each change.
 * Under the loop budget: -ETIMEDOUT says that it ran out, and nothing was changed (see can_loop).
 */
#ifndef ARENA_SHARED_RBTREE_H
#define ARENA_SHARED_RBTREE_H

#include "arena_rbtree.h"
#include "arena_spin_lock.h"

/* All-zero is an empty tree. */
struct arena_shared_rbtree {
	struct arena_rbtree tree;
	struct arena_seqlock lock;
};

/* Takes the tree for reading and changing it with the functions of arena_rbtree.h. 0, or -ETIMEDOUT. */
static inline int arena_shared_rbtree_lock(struct arena_shared_rbtree __arena *shared)
{
	return arena_write_seqlock(&shared->lock);
}

static inline void arena_shared_rbtree_unlock(struct arena_shared_rbtree __arena *shared)
{
	arena_write_sequnlock(&shared->lock);
}

/* Puts node, whose key is set, into the tree. 0, -EEXIST when the key is there already, or -ETIMEDOUT. */
static inline int arena_shared_rbtree_insert(struct arena_shared_rbtree __arena *shared, struct arena_rbnode __arena *node)
{
	int err = arena_shared_rbtree_lock(shared);

	if (!err) {
		err = arena_rbtree_insert(&shared->tree, node);
		arena_shared_rbtree_unlock(shared);
	}
	return err;
}

/* Takes the node with that key out of the tree: it is the caller's then. NULL when there is none: *err is -ENOENT or -ETIMEDOUT. */
static inline struct arena_rbnode __arena *arena_shared_rbtree_remove(struct arena_shared_rbtree __arena *shared, __u64 key,
								      int *err)
{
	struct arena_rbnode __arena *node;

	*err = arena_shared_rbtree_lock(shared);
	if (*err)
		return NULL;
	node = arena_rbtree_find(&shared->tree, key);
	if (node)
		*err = arena_rbtree_remove(&shared->tree, node);
	else
		*err = can_loop ? -ENOENT : -ETIMEDOUT;
	arena_shared_rbtree_unlock(shared);
	return *err ? NULL : node;
}

/* Reads the word `offset` bytes into the node with that key. 0, -ENOENT, or -ETIMEDOUT. */
static inline int arena_shared_rbtree_get(struct arena_shared_rbtree __arena *shared, __u64 key, __u64 offset, __u64 *word)
{
	struct arena_rbnode __arena *node;
	__u64 sequence, found = 0, here = ~key;

	do {
		sequence = arena_read_seqbegin(&shared->lock);
		node = smp_load_acquire(&arena_kern(shared)->tree.root);
		while (node && can_loop) {
			here = smp_load_acquire(&arena_kern(node)->key);
			if (here == key) {
				found = smp_load_acquire((__u64 __arena *)arena_kern((void __arena *)node + offset));
				break;
			}
			node = smp_load_acquire(&arena_kern(node)->child[key > here]);
		}
		if (arena_read_seqretry(&shared->lock, sequence))
			continue;
		if (!node)
			return -ENOENT;
		if (here != key)
			return -ETIMEDOUT;
		*word = found;
		return 0;
	} while (can_loop);
	return -ETIMEDOUT;
}

#endif /* ARENA_SHARED_RBTREE_H */
