/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A doubly linked list in the arena. The links are members of the element itself and have the element's own type, so
 * user space walks it as it reads (`for (n = head.first; n; n = n.next)`) and no container_of is needed. An element is on
 * one list at a time.
 *
 *	struct node { ARENA_LIST_LINKS(node); __u64 value; };
 *	ARENA_LIST_HEAD(node_list, node);
 *
 * Cost: 16 bytes an element, every operation O(1). Concurrency: none. One CPU at a time may change a list, and nobody
 * may walk it meanwhile; share lists by giving each CPU its own or by holding a lock. An all-zero head is an empty list.
 * head and node are user addresses, as everywhere outside arena_kern().
 */
#ifndef ARENA_LIST_H
#define ARENA_LIST_H

#include "bpf_arena.h"

/* Declares `struct name`, the head of a list of `struct type`. */
#define ARENA_LIST_HEAD(name, type)                                                                                    \
	struct name {                                                                                                  \
		struct type __arena *first;                                                                            \
		struct type __arena *last;                                                                             \
	}

/* The members that make `struct type` an element: next and prev, NULL at the ends. */
#define ARENA_LIST_LINKS(type)                                                                                         \
	struct type __arena *next;                                                                                     \
	struct type __arena *prev

/* Puts node, which is on no list, before the first element. */
#define arena_list_push_first(head, node) __arena_list_push(head, node, first, last, next, prev)

/* Puts node, which is on no list, after the last element. */
#define arena_list_push_last(head, node) __arena_list_push(head, node, last, first, prev, next)

/* Both ends are the same code: end is where node goes, inner its link towards the list, outer the one that is NULL. */
#define __arena_list_push(head, node, end, far_end, inner, outer)                                                      \
	do {                                                                                                           \
		typeof(head) __head = (head);                                                                          \
		typeof(node) __node = (node);                                                                          \
		typeof(node) __neighbour = arena_kern(__head)->end;                                                    \
                                                                                                                       \
		arena_kern(__node)->inner = __neighbour;                                                               \
		arena_kern(__node)->outer = NULL;                                                                      \
		if (__neighbour)                                                                                       \
			arena_kern(__neighbour)->outer = __node;                                                       \
		else                                                                                                   \
			arena_kern(__head)->far_end = __node;                                                          \
		arena_kern(__head)->end = __node;                                                                      \
	} while (0)

/* Takes node off the list it is on. Its memory stays the caller's, its links are cleared. */
#define arena_list_remove(head, node)                                                                                  \
	do {                                                                                                           \
		typeof(head) __head = (head);                                                                          \
		typeof(node) __node = (node);                                                                          \
		typeof(node) __next = arena_kern(__node)->next;                                                        \
		typeof(node) __prev = arena_kern(__node)->prev;                                                        \
                                                                                                                       \
		if (__prev)                                                                                            \
			arena_kern(__prev)->next = __next;                                                             \
		else                                                                                                   \
			arena_kern(__head)->first = __next;                                                            \
		if (__next)                                                                                            \
			arena_kern(__next)->prev = __prev;                                                             \
		else                                                                                                   \
			arena_kern(__head)->last = __prev;                                                             \
		arena_kern(__node)->next = NULL;                                                                       \
		arena_kern(__node)->prev = NULL;                                                                       \
	} while (0)

/*
 * Walks from the first element to the last. Afterwards node is NULL, or the element before which the program's loop
 * budget ran out (see can_loop).
 */
#define arena_list_for_each(node, head)                                                                                \
	for (node = arena_kern(head)->first; node && can_loop; node = arena_kern(node)->next)

/* The same where the body may remove or free node; after holds the element that follows. */
#define arena_list_for_each_safe(node, after, head)                                                                    \
	for (node = arena_kern(head)->first; node && (after = arena_kern(node)->next, can_loop); node = after)

#endif /* ARENA_LIST_H */
