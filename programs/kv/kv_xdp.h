/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The accelerator: an XDP program that answers a UDP datagram with `get` of keys that are all there, before the network stack sees it,
 * and lets every other packet pass as it came. A request may have up to two VLAN tags, IPv4 without options or IPv6 without
 * extension headers; whatever is not exactly as it should be is the server's to judge, so passing is always right.
 *
 * The trick: an answer is put together in memory of the CPU's own, and the packet becomes it only when it is known to be right, so there
 * is never anything to be undone. Answers that are given often are kept there (kv_xdp_hot.h), and most requests for these take a way of their
 * own (kv_xdp_straight.h). Several keys, and what is rare, take a detour: kv_xdp_many.h.
 */
#ifndef KV_XDP_H
#define KV_XDP_H

#include "kv_xdp_straight.h"

/* Bytes of "\r\nEND\r\n". */
#define KV_TRAILER 7

/* Whether `get` may answer with an item that was found. */
static __always_inline bool kv_may_answer(__u64 item)
{
	return !kv_is_gone(item) && !(kv_at(struct kv_item, item)->bits & (KV_ITEM_STALE | KV_ITEM_WIN_SENT));
}

/* Puts the answer with an item together. False where the loop budget ends. */
static __always_inline bool kv_build_one(__u64 to, __u64 item, __u32 key_bytes, __u64 text, __u32 digits, __u32 value_bytes)
{
	__u64 key = kv_key_of(item), value = kv_value_of(item, key_bytes);

	*kv_at(__u64, to) = (__u64)kv_text4('V', 'A', 'L', 'U') << 16 | (__u64)kv_text2('E', ' ') << 48;
	to += KV_ANSWER_FRONT + 6;
	if (kv_copy(to, key, key_bytes))
		return false;
	to += key_bytes;
	*kv_at(__u64, to) = text;
	to += 5 + digits;
	if (kv_copy(to, value, value_bytes))
		return false;
	to += value_bytes;
	*kv_at(__u64, to) = kv_text4('\r', '\n', 'E', 'N') | (__u64)kv_text4('D', '\r', '\n', 0) << 32;
	return true;
}

/* " 0 100\r\n", which is eight bytes, or less with a shorter number, of an item whose flags are a digit and whose length has at most three. */
static __always_inline __u64 kv_text_of(__u32 flags, __u32 bytes, __u32 *digits)
{
	__u32 hundreds = bytes * 41 >> 12, rest = bytes - 100 * hundreds, tens = rest * 103 >> 10;
	__u64 text = ('0' + hundreds) | ('0' + tens) << 8 | ('0' + rest - 10 * tens) << 16;

	*digits = 3;
	if (bytes < 100) {
		*digits = bytes < 10 ? 1 : 2;
		text >>= 24 - 8 * *digits;
	}
	text |= (__u64)kv_text2('\r', '\n') << 8 * *digits;
	return text << 24 | (' ' | ('0' + flags) << 8 | ' ' << 16);
}

/* Where the key is that an item should have. */
struct kv_in_packet {
	const __u8 *front, *end;
	__u32 bytes;
};

static __always_inline bool kv_has_packet_key(const void *wanted, __u64 item)
{
	const struct kv_in_packet *w = wanted;

	return kv_is_key(w->front, w->end, w->bytes, item);
}

/* Counts the keys of an answered packet, and its bytes. */
static __always_inline int kv_count_keys(struct kv_xdp_cpu __arena *cpu, __u32 keys, __u32 bytes, int why)
{
	if (why == KV_XDP_HIT) {
		cpu->count[KV_XDP_KEYS] += keys;
		cpu->count[KV_XDP_BYTES] += bytes;
	}
	return why;
}

/*
 * The answer with a key, from its item, put together in cpu->answer. KV_XDP_HIT; -EAGAIN where flags have more than a digit or the value's length
 * more than three: a matter for kv_answer_many().
 */
static __noinline int kv_answer_from_item(const struct kv_in_packet *wanted, struct kv_ready *ready)
{
	struct kv_xdp_cpu __arena *cpu = kv_xdp_cpu();
	__u32 value_bytes, flags, digits, bytes;
	struct kv_found found;
	__u64 text;
	int err;

	if (!cpu)
		return KV_XDP_BUSY;
	err = kv_find_as(kv_has_packet_key, wanted, wanted->bytes, ready->hash, &found, false);
	if (err)
		return err == -ENOENT ? KV_XDP_MISS : KV_XDP_BUSY;
	/* Before it is looked at whether the item is gone. */
	ready->when = kv_when(&kv);
	kv_read_barrier();
	if (!kv_may_answer(found.item))
		return KV_XDP_MISS;
	flags = kv_at(struct kv_item, found.item)->flags;
	value_bytes = kv_at(struct kv_item, found.item)->value_bytes;
	if (flags > 9 || value_bytes > 999)
		return -EAGAIN;
	text = kv_text_of(flags, value_bytes, &digits);
	bytes = KV_ANSWER_FRONT + 6 + wanted->bytes + 5 + digits + value_bytes + KV_TRAILER;
	if (bytes > KV_ANSWER_FRONT + KV_XDP_PAYLOAD - 8)
		return KV_XDP_LARGE;
	ready->bytes = bytes;
	ready->answer = (__u64)cpu->answer;
	ready->looked_at = kv_lower(found.bucket) | (__u64)found.sequence << 32;
	if (!kv_build_one(ready->answer, found.item, wanted->bytes, text, digits, value_bytes) || !kv_is_valid(&found))
		return KV_XDP_BUSY;
	kv_mark_used(&found);
	return KV_XDP_HIT;
}

/* Answers a request for one key. -EAGAIN where it is something else, and a matter for kv_answer_many(). */
static __always_inline int kv_answer_one(struct xdp_md *ctx, const struct kv_request *request, struct kv_xdp_cpu __arena *cpu)
{
	__u8 *data = (__u8 *)(long)ctx->data, *p;
	const __u8 *end = (__u8 *)(long)ctx->data_end;
	__u32 keys = request->keys, last = request->end, key_bytes = last - keys - 2, grow;
	struct kv_in_packet wanted = { data + (keys - 8), end, 0 };
	struct kv_hot __arena *hot;
	struct kv_ready ready;
	struct kv_taken taken;
	bool kept;
	int why;

	p = kv_place(data, last - 2);
	if (p + 2 > end || kv_u16(p) != kv_text2('\r', '\n') || last != request->frame_end || key_bytes - 1 >= KV_KEY_MAX)
		return -EAGAIN;
	/* It is not larger; but that is not known of the number that was compared. */
	key_bytes = kv_opaque(key_bytes) & 255;
	wanted.bytes = key_bytes;
	kv_take_key(wanted.front, end, key_bytes, &taken);
	if (taken.low)
		return -EAGAIN;
	if (!kv_is_checked(request, taken.sum))
		return KV_XDP_HEADERS;
	ready.hash = taken.hash;
	ready.slot = kv_hot_of(cpu, taken.hash);
	hot = kv_at(struct kv_hot, ready.slot);
	kept = ready.slot && kv_is_hot(hot, taken.hash, key_bytes, &kv) && kv_is_key(wanted.front, end, key_bytes, ready.slot);
	if (kept) {
		ready.answer = (__u64)hot->answer;
		ready.bytes = hot->bytes;
	} else {
		why = kv_answer_from_item(&wanted, &ready);
		if (why != KV_XDP_HIT)
			return why;
	}
	why = KV_XDP_ROOM;
	grow = keys - 6 + ready.bytes - last;
	if (kv_where(request) == KV_STRAIGHT && ready.bytes - KV_STRAIGHT_STEP <= KV_STRAIGHT_MOST - KV_STRAIGHT_STEP &&
	    kv_xdp.grow != KV_GROW_END)
		why = kv_put_straight(ctx, ready.answer, grow);
	if (why != KV_XDP_HIT)
		why = kv_put_answer(ctx, kv_where(request), last, ready.answer, ready.bytes);
	if (why != KV_XDP_HIT)
		return why;
	if (kept)
		kv_hot_hit(hot);
	else if (ready.slot)
		kv_hot_put(&ready, key_bytes, cpu);
	return kv_count_keys(cpu, 1, last + grow, why);
}

#endif /* KV_XDP_H */
