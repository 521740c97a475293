/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * KV_GET. Reads without a lock; where it also changes something (a new time of expiry, a win), it then locks the bucket as it was read,
 * or reads again.
 */
#ifndef KV_GET_H
#define KV_GET_H

#include "kv_ops.h"

/* A miss; with KV_VIVIFY it leaves an empty item, which the caller has won. */
__noinline __u32 kv_get_miss(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	struct kv_counts __arena *counts = kv_counts(who);
	__u32 options = c->options, item;

	if (options & KV_VIVIFY) {
		item = kv_make_item(command, 0, who);
		if (item == KV_NOT_NOW)
			return 0;
		if (!item)
			return kv_cannot_store(command, result, KV_NO_MEMORY, who);
		kv_at(struct kv_item, item)->flags = 0;
		kv_at(struct kv_item, item)->expires = c->vivify_expires;
		kv_at(struct kv_item, item)->bits = KV_ITEM_WIN_SENT | (options & KV_QUIET ? 0 : KV_ITEM_FETCHED);
		if (!kv_link(item, command, result, who, KV_ADD)) {
			kv_free(item);
			return 0;
		}
		/* Somebody else was first: as if nothing had been done, it is asked again. */
		if (kv_at(struct kv_result, result)->status != KV_OK)
			return 0;
		kv_at(struct kv_result, result)->item = KV_WON;
		kv_at(struct kv_result, result)->accessed = kv.now;
	} else {
		kv_answer(result, KV_NOT_FOUND);
	}
	if (options & KV_TOUCH) {
		counts->all.touches++;
		counts->all.touch_misses++;
	} else {
		counts->all.gets++;
		counts->all.get_misses++;
	}
	return KV_RESULT;
}

/* Whether the caller is the one who shall store an item anew. */
static __always_inline bool kv_wins(__u64 command, __u32 bits, __u32 expires)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);

	if (c->options & KV_TOUCH_FIRST)
		expires = c->expires;
	return c->options & KV_RECACHE && !(bits & KV_ITEM_WIN_SENT) &&
	       (bits & KV_ITEM_STALE || (expires && expires < c->recache_before));
}

/* What a hit changes, under the lock. False: the bucket has changed since it was read. */
static __always_inline bool kv_get_changes(__u64 command, __u64 result, const struct kv_found *found)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	struct kv_item __arena *item = kv_at(struct kv_item, found->item);
	struct kv_result __arena *to = kv_at(struct kv_result, result);
	__u32 options = c->options;

	if (!kv_lock_found(found))
		return false;
	if (kv_wins(command, item->bits, item->expires)) {
		item->bits |= KV_ITEM_WIN_SENT;
		to->item |= KV_WON;
	}
	if (options & KV_TOUCH) {
		item->expires = c->expires;
		to->expires = c->expires;
	}
	if (!(options & KV_QUIET)) {
		item->used = 1;
		item->accessed = kv.now;
		item->bits |= KV_ITEM_FETCHED;
	}
	kv_unlock(found);
	return true;
}

/* room: bytes at the result. hash: of the key. KV_NOTHING_YET: a miss. */
__noinline __u32 kv_get(__u64 command, __u64 result, __u32 room, __u32 who, __u32 hash)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	struct kv_counts __arena *counts = kv_counts(who);
	__u32 key_bytes = c->key_bytes, options = c->options, bytes, carried, place;
	__u64 key = kv_command_key(command);
	struct kv_found found;
	int err;

	do {
		err = kv_find(key, key_bytes, hash, &found, true);
		if (err == -ETIMEDOUT)
			return 0;
		if (err)
			return KV_NOTHING_YET;
		if (kv_is_gone(found.item)) {
			bytes = (kv_at(struct kv_item, found.item)->epoch ^ kv.epoch) >> 8;
			if (!kv_is_valid(&found))
				continue;
			if (bytes)
				counts->all.get_flushed++;
			else
				counts->all.get_expired++;
			return KV_NOTHING_YET;
		}
		kv_describe(result, found.item);
		place = kv_at(struct kv_item, found.item)->place;
		bytes = READ_ONCE(kv_at(struct kv_item, found.item)->value_bytes);
		carried = options & KV_VALUE ? bytes : 0;
		if (carried > room - KV_RESULT) {
			if (!kv_is_valid(&found))
				continue;
			return room == kv.buffer_bytes ? kv_answer(result, KV_TOO_LARGE) : 0;
		}
		kv_at(struct kv_result, result)->value_bytes = bytes;
		kv_at(struct kv_result, result)->carried = carried;
		if (kv_copy(result + KV_RESULT, kv_value_of(found.item, key_bytes), carried))
			return 0;
		if (options & KV_TOUCH || kv_wins(command, kv_at(struct kv_result, result)->item, kv_at(struct kv_result, result)->expires)) {
			if (!kv_get_changes(command, result, &found))
				continue;
		} else {
			if (!kv_is_valid(&found))
				continue;
			if (!(options & KV_QUIET))
				kv_mark_used(&found);
		}
		counts->class[place >> 10 & (KV_CLASSES - 1)].hits++;
		if (options & KV_TOUCH) {
			counts->all.touches++;
			counts->all.touch_hits++;
		} else {
			counts->all.gets++;
			counts->all.get_hits++;
		}
		return KV_RESULT + kv_padded(carried);
	} while (can_loop);
	return 0;
}

#endif /* KV_GET_H */
