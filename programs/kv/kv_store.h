/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Commands that store: set, add, replace, append, prepend; and memory that user space writes a large value into, piece by piece, before it
 * stores it.
 */
#ifndef KV_STORE_H
#define KV_STORE_H

#include "kv_ops.h"

/* KV_SET, KV_ADD, KV_REPLACE; KV_APPEND and KV_PREPEND where there is nothing yet, as KV_ADD. */
__noinline __u32 kv_store(__u64 command, __u64 result, __u32 who, __u32 op)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, value_bytes = c->value_bytes, item, wrote;
	bool reserved = c->options & KV_RESERVED;

	if (reserved) {
		item = kv_reserved_item(command);
		if (!item)
			return kv_answer(result, KV_BAD_COMMAND);
	} else {
		if (value_bytes > KV_VALUE_MAX)
			return kv_cannot_store(command, result, KV_TOO_LARGE, who);
		item = kv_make_item(command, value_bytes, who);
		if (!item)
			return kv_cannot_store(command, result, KV_NO_MEMORY, who);
		if (item == KV_NOT_NOW)
			return 0;
		if (kv_copy(kv_value_of(item, key_bytes), kv_command_key(command) + kv_padded(key_bytes), value_bytes)) {
			kv_free(item);
			return 0;
		}
	}
	wrote = kv_link(item, command, result, who, op);
	if (!wrote && !reserved)
		kv_free(item);
	return wrote;
}

/* Copies bytes behind the first `at` of `to`, whose last word is padded with zeroes, as `from` is and both are afterwards. 0 or -ETIMEDOUT. */
__noinline int kv_copy_behind(__u64 to, __u32 at, __u64 from, __u32 bytes)
{
	__u64 __arena *source = kv_at(__u64, from);
	__u64 __arena *target = kv_at(__u64, to + (at & ~7u));
	__u32 shift = at % 8 * 8, words = (bytes + 7) / 8, i;
	__u64 carry, word;

	if (!shift)
		return kv_copy(to + at, from, bytes);
	carry = target[0];
	for (i = unknown_zero; i < words; i++) {
		word = READ_ONCE(source[i]);
		WRITE_ONCE(target[i], carry | word << shift);
		carry = word >> (64 - shift);
		if (!can_loop)
			return -ETIMEDOUT;
	}
	if ((at % 8 + bytes + 7) / 8 > words)
		WRITE_ONCE(target[words], carry);
	return 0;
}

/* A new item for a command's key that has an old one's value and what is at `source`. 0 or KV_NOT_NOW: none. */
__noinline __u32 kv_join(__u64 command, __u32 old, __u64 source, __u32 bytes, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 old_bytes = READ_ONCE(kv_at(struct kv_item, old)->value_bytes), item;
	__u64 value;
	int err;

	/* It was looked at before, but may be nonsense by now: then this is in vain, but must not write where it has no business. */
	if (old_bytes > KV_VALUE_MAX || old_bytes + bytes > KV_VALUE_MAX)
		return KV_NOT_NOW;
	item = kv_make_item(command, old_bytes + bytes, who);
	if (item <= KV_NOT_NOW)
		return item;
	value = kv_value_of(item, c->key_bytes);
	kv_at(struct kv_item, item)->flags = kv_at(struct kv_item, old)->flags;
	kv_at(struct kv_item, item)->expires = kv_at(struct kv_item, old)->expires;
	if (c->op == KV_APPEND)
		err = kv_copy(value, kv_value_of(old, c->key_bytes), old_bytes) || kv_copy_behind(value, old_bytes, source, bytes);
	else
		err = kv_copy(value, source, bytes) || kv_copy_behind(value, bytes, kv_value_of(old, c->key_bytes), old_bytes);
	if (!err)
		return item;
	kv_free(item);
	return KV_NOT_NOW;
}

/* KV_APPEND, KV_PREPEND. */
__noinline __u32 kv_concatenate(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, bytes = c->value_bytes, item, reserved = 0, status, total;
	__u64 key = kv_command_key(command), source = key + kv_padded(key_bytes);
	__u32 hash = kv_hash(key, key_bytes);
	struct kv_found found;
	int err;

	if (c->options & KV_RESERVED) {
		reserved = kv_reserved_item(command);
		if (!reserved)
			return kv_answer(result, KV_BAD_COMMAND);
		source = kv_value_of(reserved, key_bytes);
		bytes = kv_at(struct kv_item, reserved)->value_bytes;
	}
	do {
		err = kv_find(key, key_bytes, hash, &found, true);
		if (err == -ETIMEDOUT)
			return 0;
		status = KV_OK;
		total = bytes;
		if (err || kv_is_gone(found.item)) {
			status = KV_NOT_STORED;
		} else {
			total += READ_ONCE(kv_at(struct kv_item, found.item)->value_bytes);
			if (c->options & KV_IF_CAS && c->cas && c->cas != kv_at(struct kv_item, found.item)->cas)
				status = KV_EXISTS;
			else if (bytes > KV_VALUE_MAX || total > KV_VALUE_MAX)
				status = KV_TOO_LARGE;
		}
		if (status != KV_OK) {
			if (!err && !kv_is_valid(&found))
				continue;
			if (status == KV_NOT_STORED && c->options & KV_VIVIFY)
				return KV_NOTHING_YET;
			kv_counts(who)->all.too_large += status == KV_TOO_LARGE;
			if (reserved)
				kv_free(reserved);
			return kv_answer(result, status);
		}
		item = kv_join(command, found.item, source, bytes, who);
		if (item == KV_NOT_NOW)
			return 0;
		if (!item) {
			if (reserved)
				kv_free(reserved);
			return kv_cannot_store(command, result, KV_NO_MEMORY, who);
		}
		kv_at(struct kv_item, item)->cas = kv_next_cas(command);
		/* While the item is ours: once it is in its chain it may go at any time. */
		kv_describe(result, item);
		if (kv_exchange(item, found.item, found.bucket, found.sequence, who)) {
			kv_counts(who)->all.stored++;
			if (reserved)
				kv_free(reserved);
			return KV_RESULT;
		}
	} while (can_loop);
	return 0;
}

/* KV_RESERVE. */
__noinline __u32 kv_reserve(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 value_bytes = c->value_bytes, item;
	__u64 value;

	if (value_bytes > KV_VALUE_MAX)
		return kv_cannot_store(command, result, KV_TOO_LARGE, who);
	item = kv_make_item(command, value_bytes, who);
	if (item == KV_NOT_NOW)
		return 0;
	if (!item)
		return kv_cannot_store(command, result, KV_NO_MEMORY, who);
	value = kv_value_of(item, c->key_bytes);
	if (value_bytes)
		*kv_at(__u64, value + (value_bytes - 1) / 8 * 8) = 0;
	kv_at(struct kv_item, item)->bits = KV_ITEM_RESERVED;
	kv_answer(result, KV_OK);
	kv_at(struct kv_result, result)->value_bytes = value_bytes;
	kv_at(struct kv_result, result)->address = kv.upper | value;
	return KV_RESULT;
}

/* KV_RELEASE. */
__noinline __u32 kv_release(__u64 command, __u64 result)
{
	__u32 item = kv_reserved_item(command);

	if (item)
		kv_free(item);
	return kv_answer(result, item ? KV_OK : KV_BAD_COMMAND);
}

#endif /* KV_STORE_H */
