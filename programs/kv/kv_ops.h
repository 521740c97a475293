/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the functions of commands have in common. Each takes the addresses of a command and of its result and who counts, and returns how many bytes of
 * results it wrote. 0: the loop budget ended, or there is no room for the value; then nothing was changed, and the batch ends in
 * front of this command.
 *
 * What changes an item by what it holds (append, incr, touch on get) reads it like any reader, makes what shall be, and then locks the
 * bucket if its sequence is still the one that was read under. Else it starts again. So memory is never taken under a lock.
 */
#ifndef KV_OPS_H
#define KV_OPS_H

#include "kv_grow.h"

#define KV_RESULT sizeof(struct kv_result)
/* In place of a number of bytes: there is no such item, and what is to be done then is another function's, since stacks are small. */
#define KV_NOTHING_YET 1

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
	to->expires_before = 0;
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
	to->expires_before = from->expires;
	to->accessed = from->accessed;
	to->item = from->bits & (KV_STALE | KV_WIN_SENT | KV_FETCHED);
	to->cas = from->cas;
	to->address = 0;
}

static __always_inline __u64 kv_next_cas(__u64 command)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);

	return c->options & KV_NEW_CAS ? c->new_cas : fetch_add(&kv.cas, 1) + 1;
}

static __always_inline __u32 kv_item_bytes(__u32 key_bytes, __u32 value_bytes)
{
	return sizeof(struct kv_item) + kv_padded(key_bytes) + kv_padded(value_bytes);
}

/* A new item for a command's key, with the key in it and room for so many bytes. 0 or KV_NOT_NOW: none. */
__noinline __u32 kv_make_item(__u64 command, __u32 value_bytes, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, item = kv_alloc(kv_item_bytes(key_bytes, value_bytes), who);
	struct kv_item __arena *new = kv_at(struct kv_item, item);

	if (item <= KV_NOT_NOW)
		return item;
	new->hash = kv_hash(kv_command_key(command), key_bytes);
	new->key_bytes = key_bytes;
	new->value_bytes = value_bytes;
	new->bits = 0;
	new->accessed = kv.now;
	new->flags = c->flags;
	new->expires = c->expires;
	if (!kv_copy(kv_key_of(item), kv_command_key(command), key_bytes))
		return item;
	kv_free(item);
	return KV_NOT_NOW;
}

/* The item whose value is at the address that a command names, from KV_RESERVE for the same key; 0: that is no such address. */
__noinline __u32 kv_reserved_item(__u64 command)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, item = (__u32)c->number - sizeof(struct kv_item) - kv_padded(key_bytes);
	struct kv_item __arena *it = kv_at(struct kv_item, item);

	if (it->bits != KV_ITEM_RESERVED || it->key_bytes != key_bytes ||
	    !kv_same_key(kv_key_of(item), kv_command_key(command), key_bytes))
		return 0;
	it->flags = c->flags;
	it->expires = c->expires;
	return item;
}

/* Takes a command's key out, if it is there, and nothing is said of it. */
static __always_inline void kv_drop(__u64 command, __u32 who)
{
	__u64 key = kv_command_key(command), link;
	__u32 key_bytes = kv_at(struct kv_command, command)->key_bytes, hash = kv_hash(key, key_bytes);
	struct kv_found found;

	if (kv_lock(hash, &found, true))
		return;
	link = kv_find_locked(key, key_bytes, hash, &found);
	if (!link || !found.item) {
		kv_unlock_unchanged(&found);
		return;
	}
	*kv_at(__u32, link) = kv_at(struct kv_item, found.item)->next;
	kv_unlock(&found);
	kv_count_item(who, found.item, -1);
	kv_free(found.item);
}

/* A store that has no memory, or too much value. */
__noinline __u32 kv_cannot_store(__u64 command, __u64 result, __u32 status, __u32 who)
{
	if (status == KV_TOO_LARGE)
		kv_counts(who)->all.too_large++;
	else
		kv_counts(who)->all.no_memory++;
	if (kv_at(struct kv_command, command)->op == KV_SET)
		kv_drop(command, who);
	return kv_answer(result, status);
}

/* The last of a store: puts a complete item into its chain, where the command's conditions hold; else gives it back. */
__noinline __u32 kv_link(__u32 item, __u64 command, __u64 result, __u32 who, __u32 op)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	struct kv_counts __arena *counts = kv_counts(who);
	struct kv_item __arena *new = kv_at(struct kv_item, item);
	struct kv_item __arena *old;
	__u32 key_bytes = new->key_bytes, bits = new->bits & (KV_ITEM_WIN_SENT | KV_ITEM_FETCHED), status = KV_OK;
	struct kv_found found;
	__u64 link, cas;
	bool there;

	if (kv_lock(new->hash, &found, true))
		return 0;
	link = kv_find_locked(kv_key_of(item), key_bytes, new->hash, &found);
	if (!link) {
		kv_unlock_unchanged(&found);
		return 0;
	}
	old = kv_at(struct kv_item, found.item);
	there = found.item && !kv_is_gone(found.item);
	if (op == KV_ADD) {
		if (there)
			status = KV_NOT_STORED;
	} else if (op == KV_REPLACE) {
		if (!there)
			status = KV_NOT_STORED;
	} else if (c->options & KV_IF_CAS) {
		if (!there) {
			status = KV_NOT_FOUND;
			counts->all.cas_misses++;
		} else if (old->cas == c->cas) {
			counts->all.cas_hits++;
		} else if (c->options & KV_INVALIDATE && c->cas < old->cas) {
			counts->all.cas_hits++;
			bits |= KV_ITEM_STALE | (old->bits & KV_ITEM_WIN_SENT);
			new->expires = old->expires;
		} else {
			status = KV_EXISTS;
			counts->all.cas_badval++;
		}
	}
	if (status != KV_OK) {
		if (there)
			old->used = 1;
		kv_unlock_unchanged(&found);
		kv_free(item);
		return kv_answer(result, status);
	}
	cas = kv_next_cas(command);
	new->cas = cas;
	new->accessed = kv.now;
	new->epoch = kv_epoch(); /* and not used */
	new->bits = bits | KV_ITEM_LINKED;
	new->next = found.item ? old->next : 0;
	kv_count_item(who, item, 1);
	counts->all.stored++;
	kv_answer(result, KV_OK);
	kv_at(struct kv_result, result)->cas = cas;
	kv_at(struct kv_result, result)->expires = new->expires;
	kv_at(struct kv_result, result)->value_bytes = new->value_bytes;
	kv_at(struct kv_result, result)->flags = new->flags;
	kv_store_release(kv_at(__u32, link), item);
	kv_unlock(&found);
	if (found.item) {
		kv_count_item(who, found.item, -1);
		if (!there)
			kv_count_reason(who, found.item, KV_RECLAIMED);
		kv_free(found.item);
	} else if (!(counts->all.stored & 7)) {
		kv_grow(who);
	}
	return KV_RESULT;
}

/*
 * Puts a complete item in the place of one that was found, if nothing has changed since. False: it has, or the loop budget ended, and
 * the new item was given back. The old one is, in either case, not the caller's.
 */
__noinline int kv_exchange(__u32 item, __u32 old, __u64 bucket, __u32 sequence, __u32 who)
{
	struct kv_found found = { .bucket = bucket, .sequence = sequence, .item = old };
	__u64 link = bucket + offsetof(struct kv_bucket, first);
	__u32 at;

	if (!kv_lock_found(&found)) {
		kv_free(item);
		return 0;
	}
	at = *kv_at(__u32, link);
	while (at && at != old && can_loop) {
		link = at + offsetof(struct kv_item, next);
		at = *kv_at(__u32, link);
	}
	if (!at || at != old) {
		kv_unlock_unchanged(&found);
		kv_free(item);
		return 0;
	}
	kv_at(struct kv_item, item)->next = kv_at(struct kv_item, old)->next;
	kv_at(struct kv_item, item)->accessed = kv.now;
	kv_at(struct kv_item, item)->epoch = kv_epoch();
	kv_at(struct kv_item, item)->bits |= KV_ITEM_LINKED;
	kv_count_item(who, item, 1);
	kv_store_release(kv_at(__u32, link), item);
	kv_unlock(&found);
	kv_count_item(who, old, -1);
	kv_free(old);
	return 1;
}

#endif /* KV_OPS_H */
