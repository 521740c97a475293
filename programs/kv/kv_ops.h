/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What commands do. Each function takes the addresses of a command and of its result, and returns how many bytes of results it
 * wrote. 0: there was no room for the value, or the loop budget ended, and nothing was changed; then the batch ends in front of it.
 */
#ifndef KV_OPS_H
#define KV_OPS_H

#include "kv_slab.h"

#define KV_RESULT sizeof(struct kv_result)

static __always_inline __u64 kv_command_key(__u64 command)
{
	return command + sizeof(struct kv_command);
}

/* A result without an item. */
static __always_inline __u32 kv_answer(__u64 result, __u32 status)
{
	struct kv_result __arena *to = kv_at(struct kv_result, result);

	to->status = status;
	to->value_bytes = 0;
	to->carried = 0;
	to->flags = 0;
	to->expires = 0;
	to->accessed = 0;
	to->item = 0;
	to->cas = 0;
	to->address = 0;
	return KV_RESULT;
}

/* What a result says of an item. */
static __always_inline void kv_describe(__u64 result, __u64 item)
{
	struct kv_result __arena *to = kv_at(struct kv_result, result);
	struct kv_item __arena *from = kv_at(struct kv_item, item);

	to->status = KV_OK;
	to->value_bytes = from->value_bytes;
	to->carried = 0;
	to->flags = from->flags;
	to->expires = from->expires;
	to->accessed = from->accessed;
	to->item = from->bits & (KV_STALE | KV_WIN_SENT | KV_FETCHED);
	to->cas = from->cas;
	to->address = 0;
}

/* KV_GET. room: bytes at the result. */
__noinline __u32 kv_get(__u64 command, __u64 result, __u32 room)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, options = c->options, bytes;
	__u64 key = kv_command_key(command);
	__u32 hash = kv_hash(key, key_bytes);
	struct kv_found found;
	int err;

	do {
		err = kv_find(key, key_bytes, hash, &found, true);
		if (err == -ENOENT || (!err && kv_is_gone(found.item))) {
			if (!err && !kv_is_valid(&found))
				continue;
			return kv_answer(result, KV_NOT_FOUND);
		}
		if (err)
			return 0;
		kv_describe(result, found.item);
		bytes = 0;
		if (options & KV_VALUE) {
			bytes = kv_at(struct kv_result, result)->value_bytes;
			kv_at(struct kv_result, result)->carried = bytes;
			if (bytes > room - KV_RESULT) {
				if (kv_is_valid(&found))
					return 0;
				continue;
			}
			if (kv_copy(result + KV_RESULT, kv_value_of(found.item, key_bytes), bytes))
				return 0;
		}
		if (!kv_is_valid(&found))
			continue;
		if (!(options & KV_QUIET))
			kv_mark_used(&found);
		return KV_RESULT + kv_padded(bytes);
	} while (can_loop);
	return 0;
}

/* KV_SET. */
__noinline __u32 kv_store(__u64 command, __u64 result)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, value_bytes = c->value_bytes;
	__u64 key = kv_command_key(command), item, link;
	struct kv_item __arena *new;
	struct kv_found found;

	if (value_bytes > KV_VALUE_MAX)
		return kv_answer(result, KV_TOO_LARGE);
	item = kv_alloc(sizeof(struct kv_item) + kv_padded(key_bytes) + kv_padded(value_bytes));
	if (!item)
		return kv_answer(result, KV_NO_MEMORY);
	new = kv_at(struct kv_item, item);
	new->hash = kv_hash(key, key_bytes);
	new->cas = fetch_add(&kv.cas, 1) + 1;
	new->flags = c->flags;
	new->expires = c->expires;
	new->accessed = kv.now;
	new->value_bytes = value_bytes;
	new->key_bytes = key_bytes;
	new->bits = KV_ITEM_LINKED;
	new->epoch = kv.epoch;
	if (kv_copy(kv_key_of(item), key, kv_padded(key_bytes) + kv_padded(value_bytes)) || kv_lock(new->hash, &found)) {
		kv_free(item);
		return 0;
	}
	link = kv_find_locked(key, key_bytes, new->hash, &found);
	if (!link) {
		kv_unlock_unchanged(&found);
		kv_free(item);
		return 0;
	}
	new->next = found.item ? kv_at(struct kv_item, found.item)->next : 0;
	*kv_at(__u32, link) = item;
	kv_unlock(&found);
	kv_answer(result, KV_OK);
	kv_at(struct kv_result, result)->cas = new->cas;
	if (found.item)
		kv_free(found.item);
	return KV_RESULT;
}

/* KV_DELETE. */
__noinline __u32 kv_delete(__u64 command, __u64 result)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, status;
	__u64 key = kv_command_key(command), link;
	__u32 hash = kv_hash(key, key_bytes);
	struct kv_found found;

	if (kv_lock(hash, &found))
		return 0;
	link = kv_find_locked(key, key_bytes, hash, &found);
	if (!link || !found.item) {
		kv_unlock_unchanged(&found);
		return link ? kv_answer(result, KV_NOT_FOUND) : 0;
	}
	*kv_at(__u32, link) = kv_at(struct kv_item, found.item)->next;
	status = kv_is_gone(found.item) ? KV_NOT_FOUND : KV_OK;
	kv_unlock(&found);
	kv_free(found.item);
	return kv_answer(result, status);
}

#endif /* KV_OPS_H */
