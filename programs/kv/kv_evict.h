/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room within the budget. Each class has a clock: its hand goes round the items, takes the mark of those that were used since it last
 * came by, and takes out the first that has none, or that is gone in any case. So a class makes room for itself. A class that has evicted a slab's worth of items
 * takes a slab of one that has not done so for long: of what nobody asks for, whatever its size. So the classes follow what is
 * stored and read, and no memory stays with a size that was wanted once.
 */
#ifndef KV_EVICT_H
#define KV_EVICT_H

#include "kv_slab.h"

/* Used items that the hand passes at most, before it takes one all the same. */
#define KV_PATIENCE 64

/* Why an item is taken out. */
enum { KV_EVICTED, KV_RECLAIMED };

static __always_inline void kv_count_reason(__u32 who, __u64 item, int reason)
{
	struct kv_counts __arena *counts = kv_counts(who);
	struct kv_item __arena *it = kv_at(struct kv_item, item);
	__u32 class = it->place >> 10 & (KV_CLASSES - 1);
	bool unfetched = !(it->bits & KV_ITEM_FETCHED);

	if (reason == KV_EVICTED) {
		counts->all.evictions++;
		counts->all.evicted_unfetched += unfetched;
		counts->class[class].evictions++;
		counts->class[class].evicted_unfetched += unfetched;
		counts->class[class].last_evicted_age = kv.now - it->accessed;
	} else {
		counts->all.reclaimed++;
		counts->all.expired_unfetched += unfetched;
		counts->all.crawler_reclaimed += who >= KV_PORTS;
		counts->class[class].reclaimed++;
	}
}

/*
 * Takes the item at that address out of its chain, if it is there. 1: it is the caller's now, who gives it back or uses it anew. 0: it
 * is in no chain, or the lock was not to be had. `waits` as for kv_find. A gone item counts as reclaimed.
 */
__noinline int kv_take_out(__u32 item, __u32 hash, __u32 who, int waits)
{
	struct kv_found found;
	__u64 link, at;

	if (kv_lock(hash, &found, waits))
		return 0;
	link = found.bucket + offsetof(struct kv_bucket, first);
	at = *kv_at(__u32, link);
	while (at && at != item && can_loop) {
		link = at + offsetof(struct kv_item, next);
		at = *kv_at(__u32, link);
	}
	if (!at || at != item) {
		kv_unlock_unchanged(&found);
		return 0;
	}
	*kv_at(__u32, link) = kv_at(struct kv_item, item)->next;
	kv_at(struct kv_item, item)->bits &= ~KV_ITEM_LINKED;
	kv_count_item(who, item, -1);
	kv_count_reason(who, item, kv_is_gone(item) ? KV_RECLAIMED : KV_EVICTED);
	kv_unlock(&found);
	return 1;
}

/*
 * The hand of a locked class has left a slab. Whoever answers without a look at items (kv_xdp_hot.h) takes one, and sets their marks again,
 * when kv.quarters has changed; so marks are there before the hand comes back. That other classes count, too, does no harm, nor if
 * two do so at once.
 */
static __always_inline void kv_count_slab(struct kv_class __arena *class)
{
	if (++class->went * 4 < class->slabs)
		return;
	class->went = 0;
	kv.quarters++;
}

/* Moves the hand of a locked class on, to an item that may go. 0: none was met on the way. */
__noinline __u32 kv_advance(__u32 number)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 i, at, item;

	for (i = unknown_zero; i < 64 && can_loop; i++) {
		at = class->hand;
		if (!at)
			return 0;
		if (number == KV_LARGE) {
			item = at + sizeof(struct kv_large);
			class->hand = kv_at(struct kv_large, at)->next;
		} else {
			if (class->hand_slot >= kv_at(struct kv_slab, at)->fresh) {
				/* Of one that kv_steal left half done. */
				if (!kv_at(struct kv_slab, at)->has_room && !kv_at(struct kv_slab, at)->leaving &&
				    kv_at(struct kv_slab, at)->used < class->slots)
					kv_link_room(class, at);
				class->hand = kv_at(struct kv_slab, at)->next;
				class->hand_slot = 0;
				kv_count_slab(class);
				continue;
			}
			item = at + sizeof(struct kv_slab) + class->hand_slot++ * class->size;
		}
		if (!(kv_at(struct kv_item, item)->bits & KV_ITEM_LINKED))
			continue;
		if (!kv_at(struct kv_item, item)->used || class->passed >= KV_PATIENCE || kv_is_gone(item)) {
			class->passed = 0;
			return item;
		}
		kv_at(struct kv_item, item)->used = 0;
		class->passed++;
	}
	return 0;
}

/* Counts what a class evicted: after a slab's worth it is its turn. */
static __always_inline void kv_count_turn(struct kv_class __arena *class, __u32 evicted, __u32 slab)
{
	class->evicted += evicted;
	if (class->evicted < slab)
		return;
	class->evicted = 0;
	class->turn = fetch_add(&kv.turn, 1) + 1;
}

/* One try of kv_evict. */
__noinline __u32 kv_try_evict(__u32 number, __u32 who)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 item, hash;

	if (kv_lock_class(class))
		return 0;
	item = kv_advance(number);
	hash = item ? kv_at(struct kv_item, item)->hash : 0;
	kv_unlock_class(class);
	if (!item || !kv_take_out(item, hash, who, true))
		return 0;
	if (number == KV_LARGE)
		kv_count_turn(class, kv_at(struct kv_large, item - sizeof(struct kv_large))->pages, KV_SLAB_PAGES);
	else
		kv_count_turn(class, 1, class->slots);
	/* Its slab may have gone over to another class meanwhile. */
	if (kv_at(struct kv_item, item)->place >> 10 == number)
		return item;
	kv_free(item);
	return 0;
}

/* Takes an item out of the table that is not used much. It is the caller's. 0: there was none to be had. */
static __always_inline __u32 kv_evict(__u32 number, __u32 who)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 item = 0, tries;

	for (tries = unknown_zero; tries < 16 && can_loop; tries++) {
		if (!READ_ONCE(class->slabs))
			return 0;
		item = kv_try_evict(number, who);
		if (item)
			return item;
	}
	return 0;
}

/* Takes a slab from a class, with all that is in it. Its address, still charged for; 0: it could not be emptied. */
__noinline __u32 kv_steal(__u32 number, __u32 who)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 slab, slot, item, empty, got = 0;

	if (kv_lock_class(class))
		return 0;
	slab = class->hand;
	if (slab && !kv_at(struct kv_slab, slab)->leaving) {
		class->hand = kv_at(struct kv_slab, slab)->next;
		class->hand_slot = 0;
		kv_at(struct kv_slab, slab)->leaving = 1;
		if (kv_at(struct kv_slab, slab)->has_room)
			kv_unlink_room(class, slab);
	} else {
		slab = 0;
	}
	kv_unlock_class(class);
	if (!slab)
		return 0;
	for (slot = unknown_zero; slot < kv_at(struct kv_slab, slab)->fresh && can_loop; slot++) {
		item = slab + sizeof(struct kv_slab) + slot * class->size;
		if (kv_at(struct kv_item, item)->bits & KV_ITEM_LINKED &&
		    kv_take_out(item, kv_at(struct kv_item, item)->hash, who, true))
			kv_free(item);
	}
	/* Items on their way into the table, or just taken out of it, may be left: then it stays. */
	if (kv_lock_class(class)) {
		/* Whoever moves the hand past it finds that it has room. */
		WRITE_ONCE(kv_at(struct kv_slab, slab)->leaving, 0);
		return 0;
	}
	do
		empty = kv_sort_freed(number, 1);
	while (!empty && (READ_ONCE(class->freed) || class->backlog) && can_loop);
	kv_at(struct kv_slab, slab)->leaving = 0;
	if (!kv_at(struct kv_slab, slab)->used) {
		kv_unlink_ring(class, slab, KV_SLAB_PAGES);
		got = slab;
	} else if (kv_at(struct kv_slab, slab)->used < class->slots) {
		kv_link_room(class, slab);
	}
	kv_unlock_class(class);
	if (empty)
		kv_give_back(number, empty);
	if (got)
		kv_counts(who)->all.slabs_moved++;
	return got;
}

/*
 * The class that shall give up pages for another one: the one that has evicted least lately, if that is long ago by what others evicted
 * since; with `most` the one that has most pages. KV_CLASSES: none.
 */
__noinline __u32 kv_choose(__u32 number, int most)
{
	__u64 turn = kv.turn, oldest = turn, best = 0;
	__u32 i, pages, active = unknown_zero, chosen = KV_CLASSES;

	for (i = unknown_zero; i < KV_CLASSES && can_loop; i++) {
		pages = kv.class[i].pages;
		active += pages != 0;
		/* Each keeps one slab, unless another one has nothing at all. */
		if (i == number || (i != KV_LARGE && pages <= (most ? 0 : KV_SLAB_PAGES)))
			continue;
		if (most ? pages > best : pages && kv.class[i].turn < oldest) {
			best = pages;
			oldest = kv.class[i].turn;
			chosen = i;
		}
	}
	return most || oldest + 4 * active < turn ? chosen : KV_CLASSES;
}

/* Gives a large item's pages back to the arena. It is the caller's. How many they were, still charged for. */
static __always_inline __u32 kv_drop_large(__u32 item)
{
	__u32 large = item - sizeof(struct kv_large), pages = kv_at(struct kv_large, large)->pages;

	if (kv_lock_class(&kv.class[KV_LARGE])) {
		kv_free(item);
		return 0;
	}
	kv_unlink_ring(&kv.class[KV_LARGE], large, pages);
	kv_unlock_class(&kv.class[KV_LARGE]);
	bpf_arena_free_pages(&arena, kv_at(void, large), pages);
	return pages;
}

/* Takes pages from a class: a slab, or a large item. How many went back to the arena; they are still charged for. */
static __always_inline __u32 kv_take_from(__u32 victim, __u32 who)
{
	__u32 got;

	if (victim == KV_LARGE) {
		got = kv_evict(KV_LARGE, who);
		return got ? kv_drop_large(got) : 0;
	}
	got = kv_steal(victim, who);
	if (!got)
		return 0;
	bpf_arena_free_pages(&arena, kv_at(void, got), KV_SLAB_PAGES);
	return KV_SLAB_PAGES;
}

/*
 * Pages for a class, taken from others until there are enough, or for a large item also from its own. What was taken stays charged for
 * meanwhile, so that nobody else gets it. 0: they are charged for; -ENOMEM: there is nothing more to take; -ETIMEDOUT.
 */
__noinline int kv_gather(__u32 number, __u32 who, __u32 pages, int most)
{
	__u32 got, victim, credit = unknown_zero, failed = unknown_zero;
	int err = -ENOMEM;

	while (pages <= kv.budget && failed < 8) {
		if (credit >= pages || kv_charge(pages - credit)) {
			if (credit > pages)
				fetch_add(&kv.pages, -(__u64)(credit - pages));
			return 0;
		}
		if (!can_loop) {
			err = -ETIMEDOUT;
			break;
		}
		victim = kv_choose(number, false);
		if (victim == KV_CLASSES && number == KV_LARGE && kv.class[KV_LARGE].pages && failed < 2)
			victim = KV_LARGE;
		if (victim == KV_CLASSES && most)
			victim = kv_choose(number, true);
		if (victim == KV_CLASSES)
			break;
		got = kv_take_from(victim, who);
		failed += !got;
		credit += got;
	}
	fetch_add(&kv.pages, -(__u64)credit);
	return err;
}

/* Pages that are charged for. 0: the arena has no such run of pages; then they are no longer. */
static __always_inline __u64 kv_charged_pages(__u32 pages)
{
	__u64 address = (__u64)bpf_arena_alloc_pages(&arena, NULL, pages, NUMA_NO_NODE, 0);

	if (!address)
		fetch_add(&kv.pages, -(__u64)pages);
	return address;
}

/* A large item. 0 or KV_NOT_NOW: none. */
__noinline __u32 kv_alloc_large(__u32 bytes, __u32 who)
{
	struct kv_class __arena *class = &kv.class[KV_LARGE];
	__u32 pages = (bytes + sizeof(struct kv_large) + PAGE_SIZE - 1) / PAGE_SIZE;
	__u32 large;
	int err;

	kv_settle(KV_LARGE, 0);
	err = kv_gather(KV_LARGE, who, pages, true);
	if (err)
		return err == -ENOMEM ? 0 : KV_NOT_NOW;
	large = kv_charged_pages(pages);
	if (!large)
		return 0;
	kv_at(struct kv_large, large)->pages = pages;
	kv_at(struct kv_item, large + sizeof(struct kv_large))->place = KV_LARGE << 10;
	if (kv_lock_class(class)) {
		kv_give_pages(large, pages);
		return KV_NOT_NOW;
	}
	kv_link_ring(class, large, pages);
	kv_unlock_class(class);
	return large + sizeof(struct kv_large);
}

/* A slot that is free. 0: there is none. KV_NOT_NOW. */
__noinline __u32 kv_free_slot(__u32 number)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 item, empty = 0;

	if (kv_lock_class(class))
		return KV_NOT_NOW;
	if (READ_ONCE(class->freed) || class->backlog)
		empty = kv_sort_freed(number, 1);
	item = kv_take_slot(number, class);
	kv_unlock_class(class);
	if (empty)
		kv_give_back(number, empty);
	return item;
}

/* For a class that has no free slot, with the budget used up. */
__noinline __u32 kv_alloc_tight(__u32 number, __u32 who)
{
	struct kv_class __arena *class = &kv.class[number & (KV_CLASSES - 1)];
	__u32 tries, item, slab;

	for (tries = unknown_zero; tries < 64; tries++) {
		if (!can_loop)
			return KV_NOT_NOW;
		/* At each slab's worth, and where it has nothing. */
		if ((!class->evicted || !class->slabs) && !kv_gather(number, who, KV_SLAB_PAGES, !class->slabs)) {
			slab = kv_charged_pages(KV_SLAB_PAGES);
			if (slab)
				return kv_add_slab(number, slab);
		}
		item = kv_evict(number, who);
		if (!item)
			item = kv_free_slot(number);
		if (item)
			return item;
	}
	return 0;
}

/* Memory for an item of so many bytes, its header included. 0: there is none. KV_NOT_NOW: the loop budget has ended. */
static __always_inline __u32 kv_alloc(__u32 bytes, __u32 who)
{
	__u32 number, item, slab;

	if (bytes > KV_SMALL_MAX)
		return kv_alloc_large(bytes, who);
	number = kv.class_of[(bytes + 7) / 8 & 2047];
	item = kv_free_slot(number);
	if (item)
		return item;
	slab = kv_take_pages(KV_SLAB_PAGES);
	return slab ? kv_add_slab(number, slab) : kv_alloc_tight(number, who);
}

#endif /* KV_EVICT_H */
