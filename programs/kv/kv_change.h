/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Commands that change or end what is there: touch, delete, flush. */
#ifndef KV_CHANGE_H
#define KV_CHANGE_H

#include "kv_ops.h"

/* KV_TOUCH_ONLY; KV_DELETE without KV_DROP_VALUE. */
__noinline __u32 kv_change(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	struct kv_counts __arena *counts = kv_counts(who);
	__u32 key_bytes = c->key_bytes, options = c->options, op = c->op;
	__u64 key = kv_command_key(command), link;
	__u32 hash = kv_hash(key, key_bytes);
	struct kv_item __arena *item;
	struct kv_found found;

	if (kv_lock(hash, &found, true))
		return 0;
	link = kv_find_locked(key, key_bytes, hash, &found);
	if (!link) {
		kv_unlock_unchanged(&found);
		return 0;
	}
	if (!found.item || kv_is_gone(found.item)) {
		kv_unlock_unchanged(&found);
		if (op == KV_DELETE) {
			counts->all.delete_misses++;
		} else {
			counts->all.touches++;
			counts->all.touch_misses++;
		}
		return kv_answer(result, KV_NOT_FOUND);
	}
	item = kv_at(struct kv_item, found.item);
	if (op == KV_DELETE && options & KV_IF_CAS && item->cas != c->cas) {
		kv_unlock_unchanged(&found);
		counts->all.delete_misses++;
		return kv_answer(result, KV_EXISTS);
	}
	kv_describe(result, found.item);
	if (op == KV_TOUCH_ONLY || options & KV_INVALIDATE) {
		if (op == KV_TOUCH_ONLY || options & KV_TOUCH) {
			item->expires = c->expires;
			kv_at(struct kv_result, result)->expires = item->expires;
		}
		if (op == KV_TOUCH_ONLY) {
			item->used = 1;
			item->accessed = kv.now;
			item->bits |= KV_ITEM_FETCHED;
			counts->all.touches++;
			counts->all.touch_hits++;
		} else {
			item->bits = (item->bits | KV_ITEM_STALE) & ~KV_ITEM_WIN_SENT;
			item->cas = kv_next_cas(command);
			kv_at(struct kv_result, result)->cas = item->cas;
		}
		kv_unlock(&found);
		return KV_RESULT;
	}
	*kv_at(__u32, link) = item->next;
	kv_unlock(&found);
	counts->all.delete_hits++;
	kv_count_item(who, found.item, -1);
	kv_free(found.item);
	return KV_RESULT;
}

/* KV_DELETE with KV_DROP_VALUE: an empty item in its place. */
__noinline __u32 kv_drop_value(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, options = c->options, hash, item;
	__u64 key = kv_command_key(command), cas;
	struct kv_found found;
	int err;

	hash = kv_hash(key, key_bytes);
	do {
		err = kv_find(key, key_bytes, hash, &found, true);
		if (err == -ETIMEDOUT)
			return 0;
		if (err || kv_is_gone(found.item)) {
			if (!err && !kv_is_valid(&found))
				continue;
			kv_counts(who)->all.delete_misses++;
			return kv_answer(result, KV_NOT_FOUND);
		}
		cas = kv_at(struct kv_item, found.item)->cas;
		kv_describe(result, found.item);
		if (options & KV_IF_CAS && cas != c->cas) {
			if (!kv_is_valid(&found))
				continue;
			kv_counts(who)->all.delete_misses++;
			return kv_answer(result, KV_EXISTS);
		}
		item = kv_make_item(command, 0, who);
		if (item == KV_NOT_NOW)
			return 0;
		if (!item)
			return kv_cannot_store(command, result, KV_NO_MEMORY, who);
		if (!(options & KV_TOUCH))
			kv_at(struct kv_item, item)->expires = 0;
		if (options & KV_INVALIDATE) {
			kv_at(struct kv_item, item)->bits = KV_ITEM_STALE;
			cas = kv_next_cas(command);
		} else if (options & KV_NEW_CAS) {
			cas = c->new_cas;
		}
		kv_at(struct kv_item, item)->cas = cas;
		kv_at(struct kv_result, result)->cas = cas;
		kv_at(struct kv_result, result)->expires = kv_at(struct kv_item, item)->expires;
		if (kv_exchange(item, found.item, found.bucket, found.sequence, who)) {
			kv_counts(who)->all.delete_hits++;
			return KV_RESULT;
		}
	} while (can_loop);
	return 0;
}

/* KV_FLUSH. One that waits is forgotten by the next. */
static __always_inline void kv_flush(__u32 at)
{
	kv.flush_at = at > kv.now ? at : 0;
	if (at <= kv.now)
		fetch_add(&kv.epoch, 1 << 8);
}

/* Has a flush that waited take place, when its time has come. */
static __always_inline void kv_flush_when_due(void)
{
	__u32 at = READ_ONCE(kv.flush_at);

	if (at && at <= kv.now && cmpxchg(&kv.flush_at, at, 0) == at)
		fetch_add(&kv.epoch, 1 << 8);
}

#endif /* KV_CHANGE_H */
