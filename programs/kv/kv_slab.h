/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory for items, within a budget of pages. Sizes are in classes, each a quarter larger than the one before; a slab is 16 pages of
 * one class. What is larger than a quarter of a slab has pages of its own. Giving an item back is one push on its class's
 * stack, which needs no lock and never fails; whoever takes one next sorts them into their slabs, and gives back slabs that are empty.
 *
 * Locks: one for each class. No other lock is taken under it, and it is not taken under a bucket's. Page functions are called
 * outside of locks.
 */
#ifndef KV_SLAB_H
#define KV_SLAB_H

#include "kv_table.h"

#define KV_SLAB_PAGES 16
#define KV_SLAB_BYTES (KV_SLAB_PAGES * PAGE_SIZE)
/* The largest item in a slab: a quarter of it. */
#define KV_SMALL_MAX ((KV_SLAB_BYTES - sizeof(struct kv_slab)) / 4 / 8 * 8)

/* In place of an item: the loop budget has ended. */
#define KV_NOT_NOW 1

/* The start of a slab. */
struct kv_slab {
	__u32 next, before; /* ring of the class */
	__u32 room_next, room_before; /* those with free slots; 0: none */
	__u32 free; /* item */
	__u32 class;
	__u16 used; /* slots */
	__u16 fresh; /* slots that were ever used */
	__u32 has_room; /* in the list */
	__u32 leaving; /* kv_steal empties it for another class: not in the list */
	__u64 pad[3];
};
bpf_type_emit(struct kv_slab);

/* In front of an item that has its own pages. */
struct kv_large {
	__u32 next, before; /* ring */
	__u32 pages;
	__u32 pad;
};
bpf_type_emit(struct kv_large);

/*
 * The classes' sizes, each the largest for its number of slots, so that little is left over at a slab's end; and which class it is for
 * each size. False where the loop budget ends: then it goes on from there.
 */
static __always_inline bool kv_make_classes(void)
{
	const __u32 bytes = KV_SLAB_BYTES - sizeof(struct kv_slab);
	__u32 at = kv.classed, size, slots = 1;
	struct kv_class __arena *class;

	while (at <= KV_SMALL_MAX / 8 && can_loop) {
		class = &kv.class[kv.classes & (KV_CLASSES - 1)];
		if (at * 8 > class->size) {
			size = class->size * 5 / 4;
			slots = bytes / (size < 64 ? 64 : size);
			/* The next number of slots, where a quarter more is not enough for it; four are the fewest. */
			if (class->slots && slots >= class->slots)
				slots = class->slots - 1;
			if (slots < 4)
				slots = 4;
			kv.classes++;
			class = &kv.class[kv.classes & (KV_CLASSES - 1)];
			class->slots = slots;
			class->size = bytes / slots / 8 * 8;
		}
		kv.class_of[at & 2047] = kv.classes;
		at++;
	}
	kv.classed = at;
	return at > KV_SMALL_MAX / 8;
}

/* Takes so many pages off the budget, if it has them: never more, not for a moment. */
static __always_inline bool kv_charge(__u32 pages)
{
	__u64 taken;

	do {
		taken = READ_ONCE(kv.pages);
		if (taken + pages > kv.budget)
			return false;
		if (cmpxchg(&kv.pages, taken, taken + pages) == taken)
			return true;
	} while (can_loop);
	return false;
}

/* Pages within the budget; 0 when there are none. */
__noinline __u64 kv_take_pages(__u32 pages)
{
	__u64 address;

	if (!kv_charge(pages))
		return 0;
	address = (__u64)bpf_arena_alloc_pages(&arena, NULL, pages, NUMA_NO_NODE, 0);
	if (!address)
		fetch_add(&kv.pages, -(__u64)pages);
	return address;
}

__noinline int kv_give_pages(__u64 address, __u32 pages)
{
	bpf_arena_free_pages(&arena, (void __arena *)address, pages);
	fetch_add(&kv.pages, -(__u64)pages);
	return 0;
}

/* 0 or -ETIMEDOUT. */
static __always_inline int kv_lock_class(struct kv_class __arena *class)
{
	do {
		if (!READ_ONCE(class->lock) && cmpxchg(&class->lock, 0, 1) == 0)
			return 0;
	} while (can_loop);
	return -ETIMEDOUT;
}

static __always_inline void kv_unlock_class(struct kv_class __arena *class)
{
	kv_store_release(&class->lock, 0);
}

/* Gives an item back, which is in no chain. From anywhere, under any lock. */
__noinline int kv_free(__u64 item)
{
	struct kv_class __arena *class = &kv.class[kv_at(struct kv_item, item)->place >> 10 & (KV_CLASSES - 1)];
	__u32 before;
	int i;

	kv_at(struct kv_item, item)->bits = 0;
	/* Without can_loop, whose budget may be used up. Each pass that fails is one in which another CPU got through. */
	for (i = 0; i < 64; i++) {
		before = READ_ONCE(class->freed);
		kv_at(struct kv_item, item)->next = before;
		if (cmpxchg(&class->freed, before, (__u32)item) == before)
			return 0;
	}
	return -ETIMEDOUT;
}

/* The list of slabs with room. */
static __always_inline void kv_link_room(struct kv_class __arena *class, __u32 slab)
{
	__u32 first = class->room;

	kv_at(struct kv_slab, slab)->has_room = 1;
	kv_at(struct kv_slab, slab)->room_next = first;
	kv_at(struct kv_slab, slab)->room_before = 0;
	if (first)
		kv_at(struct kv_slab, first)->room_before = slab;
	class->room = slab;
}

static __always_inline void kv_unlink_room(struct kv_class __arena *class, __u32 slab)
{
	__u32 next = kv_at(struct kv_slab, slab)->room_next, before = kv_at(struct kv_slab, slab)->room_before;

	kv_at(struct kv_slab, slab)->has_room = 0;
	if (next)
		kv_at(struct kv_slab, next)->room_before = before;
	if (before)
		kv_at(struct kv_slab, before)->room_next = next;
	else
		class->room = next;
}

/* The ring of a class, of slabs or large items, which both begin with next and before. A newcomer is what the hand reaches last. */
static __always_inline void kv_link_ring(struct kv_class __arena *class, __u32 it, __u32 pages)
{
	__u32 hand = class->hand, before;

	if (!hand) {
		kv_at(struct kv_large, it)->next = it;
		kv_at(struct kv_large, it)->before = it;
		class->hand = it;
	} else {
		before = kv_at(struct kv_large, hand)->before;
		kv_at(struct kv_large, it)->next = hand;
		kv_at(struct kv_large, it)->before = before;
		kv_at(struct kv_large, before)->next = it;
		kv_at(struct kv_large, hand)->before = it;
	}
	class->slabs++;
	class->pages += pages;
}

static __always_inline void kv_unlink_ring(struct kv_class __arena *class, __u32 it, __u32 pages)
{
	__u32 next = kv_at(struct kv_large, it)->next, before = kv_at(struct kv_large, it)->before;

	kv_at(struct kv_large, before)->next = next;
	kv_at(struct kv_large, next)->before = before;
	if (class->hand == it) {
		class->hand = next == it ? 0 : next;
		class->hand_slot = 0;
	}
	class->slabs--;
	class->pages -= pages;
}

/*
 * Sorts freed items into their slabs. The class is locked. A slab that is empty with that, unless it is the only one with room and
 * `keep` is set, is taken out: the caller unlocks and gives its pages back. 0: none. It stops there, and where the loop budget
 * ends; what is left is the backlog.
 */
__noinline __u32 kv_sort_freed(__u32 number, int keep)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 item = class->backlog, next, slab, empty = 0;

	if (!item)
		item = xchg(&class->freed, 0);
	while (item && !empty && can_loop) {
		next = kv_at(struct kv_item, item)->next;
		if (number == KV_LARGE) {
			empty = item - sizeof(struct kv_large);
			kv_unlink_ring(class, empty, kv_at(struct kv_large, empty)->pages);
		} else {
			slab = item - sizeof(struct kv_slab) - (kv_at(struct kv_item, item)->place & 1023) * class->size;
			kv_at(struct kv_item, item)->next = kv_at(struct kv_slab, slab)->free;
			kv_at(struct kv_slab, slab)->free = item;
			kv_at(struct kv_slab, slab)->used--;
			class->used--;
			if (READ_ONCE(kv_at(struct kv_slab, slab)->leaving)) {
				item = next;
				continue;
			}
			if (!kv_at(struct kv_slab, slab)->has_room)
				kv_link_room(class, slab);
			if (!kv_at(struct kv_slab, slab)->used &&
			    (!keep || class->room != slab || kv_at(struct kv_slab, slab)->room_next)) {
				kv_unlink_room(class, slab);
				kv_unlink_ring(class, slab, KV_SLAB_PAGES);
				empty = slab;
			}
		}
		item = next;
	}
	class->backlog = item;
	return empty;
}

/* Gives back the pages of what kv_sort_freed took out. */
static __always_inline void kv_give_back(__u32 number, __u32 empty)
{
	__u32 pages = number == KV_LARGE ? kv_at(struct kv_large, empty)->pages : KV_SLAB_PAGES;

	kv_give_pages(empty, pages);
}

/* Sorts all that was freed of a class, and gives back what is empty. Only programs that may sleep. */
__noinline int kv_settle(__u32 number, int keep)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 empty;

	do {
		if (!READ_ONCE(class->freed) && !READ_ONCE(class->backlog))
			return 0;
		if (kv_lock_class(class))
			break;
		empty = kv_sort_freed(number, keep);
		kv_unlock_class(class);
		if (empty)
			kv_give_back(number, empty);
	} while (can_loop);
	return -ETIMEDOUT;
}

/* A free slot of a locked class; 0: none. */
static __always_inline __u32 kv_take_slot(__u32 number, struct kv_class __arena *class)
{
	__u32 slab = class->room, item, slot;

	if (!slab)
		return 0;
	item = kv_at(struct kv_slab, slab)->free;
	if (item) {
		kv_at(struct kv_slab, slab)->free = kv_at(struct kv_item, item)->next;
	} else {
		slot = kv_at(struct kv_slab, slab)->fresh++;
		item = slab + sizeof(struct kv_slab) + slot * class->size;
		kv_at(struct kv_item, item)->place = number << 10 | slot;
	}
	class->used++;
	if (++kv_at(struct kv_slab, slab)->used == class->slots)
		kv_unlink_room(class, slab);
	return item;
}

/* Makes pages a slab, and takes a slot of it. KV_NOT_NOW where the loop budget ends: then the pages are given back. */
__noinline __u32 kv_add_slab(__u32 number, __u32 slab)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 item;

	kv_at(struct kv_slab, slab)->free = 0;
	kv_at(struct kv_slab, slab)->class = number;
	kv_at(struct kv_slab, slab)->used = 0;
	kv_at(struct kv_slab, slab)->fresh = 0;
	kv_at(struct kv_slab, slab)->leaving = 0;
	if (kv_lock_class(class)) {
		kv_give_pages(slab, KV_SLAB_PAGES);
		return KV_NOT_NOW;
	}
	kv_link_ring(class, slab, KV_SLAB_PAGES);
	kv_link_room(class, slab);
	item = kv_take_slot(number, class);
	kv_unlock_class(class);
	return item;
}

/* Takes out a slab that is kept though it is empty; 0: there is none. */
__noinline __u32 kv_take_empty(__u32 number)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 slab;

	if (kv_lock_class(class))
		return 0;
	slab = class->room;
	while (slab && kv_at(struct kv_slab, slab)->used && can_loop)
		slab = kv_at(struct kv_slab, slab)->room_next;
	if (slab && kv_at(struct kv_slab, slab)->used)
		slab = 0;
	if (slab) {
		kv_unlink_room(class, slab);
		kv_unlink_ring(class, slab, KV_SLAB_PAGES);
	}
	kv_unlock_class(class);
	return slab;
}

#endif /* KV_SLAB_H */
