/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* KV_INCR and KV_DECR: values that are decimal numbers, as memcached reads and writes them. */
#ifndef KV_NUMBER_H
#define KV_NUMBER_H

#include "kv_ops.h"

/* The longest value that is changed in its place: three words. */
#define KV_NUMBER_BYTES 24

static __always_inline bool kv_is_space(__u32 c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Reads a number, as strtoull does: spaces, a plus sign, digits, and behind them nothing or a space. Puts it into result->address. 0;
 * -EINVAL where that is no number of 64 bits; -ETIMEDOUT.
 */
__noinline int kv_read_number(__u64 value, __u32 bytes, __u64 result)
{
	__u32 at = unknown_zero, digit, start;
	__u64 number = unknown_zero;

	while (at < bytes && kv_is_space(kv_at(__u8, value)[at]) && can_loop)
		at++;
	if (at < bytes && kv_at(__u8, value)[at] == '+')
		at++;
	for (start = at; at < bytes; at++) {
		digit = kv_at(__u8, value)[at];
		if (kv_is_space(digit))
			break;
		digit -= '0';
		if (digit > 9 || number > (~0ull - digit) / 10)
			return -EINVAL;
		number = number * 10 + digit;
		if (!can_loop)
			return -ETIMEDOUT;
	}
	kv_at(struct kv_result, result)->address = number;
	return at > start ? 0 : -EINVAL;
}

/* Writes a number's digits, and zeroes behind them up to KV_NUMBER_BYTES. How many there are; 0 where the loop budget ends. */
__noinline __u32 kv_write_number(__u64 to, __u64 number)
{
	__u64 rest = number;
	__u32 digits, at;

	for (digits = 1 + unknown_zero; rest > 9; digits++) {
		rest /= 10;
		if (!can_loop)
			return 0;
	}
	kv_at(__u64, to)[0] = 0;
	kv_at(__u64, to)[1] = 0;
	kv_at(__u64, to)[2] = 0;
	for (at = digits; at; at--) {
		kv_at(__u8, to)[at - 1] = '0' + number % 10;
		number /= 10;
		if (!can_loop)
			return 0;
	}
	return digits;
}

/* Eight spaces, but for the bytes before `from`, and those from `to` on, which are zero. */
static __always_inline __u64 kv_spaces(__u32 from, __u32 to)
{
	__u64 spaces = 0x2020202020202020ull;

	spaces = from < 8 ? spaces << from * 8 : 0;
	return to < 8 ? spaces & ((1ull << to * 8) - 1) : spaces;
}

/* Words of a number of so many digits, with spaces behind them up to so many bytes. */
static __always_inline void kv_pad_number(__u64 to, __u64 from, __u32 digits, __u32 bytes)
{
	__u64 __arena *source = kv_at(__u64, from);
	__u64 __arena *target = kv_at(__u64, to);

	WRITE_ONCE(target[0], source[0] | kv_spaces(digits, bytes));
	if (bytes > 8)
		WRITE_ONCE(target[1], source[1] | kv_spaces(digits > 8 ? digits - 8 : 0, bytes - 8));
	if (bytes > 16)
		WRITE_ONCE(target[2], source[2] | kv_spaces(digits > 16 ? digits - 16 : 0, bytes - 16));
}

/* KV_INCR, KV_DECR with KV_VIVIFY, where there is nothing yet. */
__noinline __u32 kv_first_number(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u64 digits_at = result + KV_RESULT;
	__u32 digits = kv_write_number(digits_at, c->initial), item;

	if (!digits)
		return 0;
	item = kv_make_item(command, digits, who);
	if (item == KV_NOT_NOW)
		return 0;
	if (!item)
		return kv_cannot_store(command, result, KV_NO_MEMORY, who);
	kv_at(struct kv_item, item)->expires = c->vivify_expires;
	kv_at(struct kv_item, item)->flags = 0;
	kv_copy(kv_value_of(item, c->key_bytes), digits_at, digits);
	if (!kv_link(item, command, result, who, KV_ADD)) {
		kv_free(item);
		return 0;
	}
	/* Somebody else was first: as if nothing had been done. */
	if (kv_at(struct kv_result, result)->status != KV_OK)
		return 0;
	kv_at(struct kv_result, result)->carried = digits;
	kv_at(struct kv_result, result)->item = KV_WON;
	return KV_RESULT + kv_padded(digits);
}

__noinline __u32 kv_arithmetic(__u64 command, __u64 result, __u32 who)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	struct kv_counts __arena *counts = kv_counts(who);
	__u32 key_bytes = c->key_bytes, options = c->options, op = c->op, hash, item, bytes, digits, status;
	__u64 key = kv_command_key(command), digits_at = result + KV_RESULT, number, cas;
	struct kv_item __arena *old;
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
			if (options & KV_VIVIFY)
				return KV_NOTHING_YET;
			if (op == KV_INCR)
				counts->all.incr_misses++;
			else
				counts->all.decr_misses++;
			return kv_answer(result, KV_NOT_FOUND);
		}
		old = kv_at(struct kv_item, found.item);
		bytes = READ_ONCE(old->value_bytes);
		kv_describe(result, found.item);
		status = KV_OK;
		/* What is empty is no number, whatever its cas. */
		if (bytes && options & KV_IF_CAS && c->cas && c->cas != old->cas)
			status = KV_EXISTS;
		else
			err = kv_read_number(kv_value_of(found.item, key_bytes), bytes, result);
		if (err == -ETIMEDOUT)
			return 0;
		if (err)
			status = KV_NOT_A_NUMBER;
		if (status != KV_OK) {
			if (!kv_is_valid(&found))
				continue;
			return kv_answer(result, status);
		}
		number = kv_at(struct kv_result, result)->address;
		kv_at(struct kv_result, result)->address = 0;
		if (op == KV_INCR)
			number += c->number;
		else
			number = number > c->number ? number - c->number : 0;
		digits = kv_write_number(digits_at, number);
		if (!digits)
			return 0;
		cas = kv_next_cas(command);
		if (digits <= bytes && bytes <= KV_NUMBER_BYTES) {
			if (!kv_lock_found(&found))
				continue;
			kv_pad_number(kv_value_of(found.item, key_bytes), digits_at, digits, bytes);
			old->cas = cas;
			if (options & KV_TOUCH)
				old->expires = c->expires;
			old->used = 1;
			old->accessed = kv.now;
			kv_unlock(&found);
		} else {
			item = kv_make_item(command, digits, who);
			if (item == KV_NOT_NOW)
				return 0;
			if (!item)
				return kv_cannot_store(command, result, KV_NO_MEMORY, who);
			kv_at(struct kv_item, item)->cas = cas;
			kv_at(struct kv_item, item)->flags = old->flags;
			if (!(options & KV_TOUCH))
				kv_at(struct kv_item, item)->expires = old->expires;
			kv_copy(kv_value_of(item, key_bytes), digits_at, digits);
			if (!kv_exchange(item, found.item, found.bucket, found.sequence, who))
				continue;
		}
		if (op == KV_INCR)
			counts->all.incr_hits++;
		else
			counts->all.decr_hits++;
		if (options & KV_TOUCH)
			kv_at(struct kv_result, result)->expires = c->expires;
		kv_at(struct kv_result, result)->cas = cas;
		kv_at(struct kv_result, result)->value_bytes = digits;
		kv_at(struct kv_result, result)->carried = digits;
		return KV_RESULT + kv_padded(digits);
	} while (can_loop);
	return 0;
}

#endif /* KV_NUMBER_H */
