/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The accelerator: an XDP program that answers a UDP datagram with `get` of keys that are all there, before the network stack sees it,
 * and lets every other packet pass as it came. A request may have up to two VLAN tags, IPv4 without options or IPv6 without
 * extension headers; whatever is not exactly as it should be is the server's to judge, so passing is always right.
 *
 * The trick: "get KEY\r\n" becomes "VALUE KEY 0 100\r\n…" by moving the key two bytes on, so all that is new lies behind the request's
 * end, in bytes that bpf_xdp_adjust_tail() adds. They are written first; if the item was changed meanwhile they are cut off again, and
 * the packet is as it was. Only then headers are turned round and the key is moved. Several keys, and what is rare, take a detour:
 * kv_xdp_many.h.
 */
#ifndef KV_XDP_H
#define KV_XDP_H

#include "kv_xdp_reply.h"

/* Bytes of "\r\nEND\r\n". */
#define KV_TRAILER 7

/* Whether `get` may answer with an item that was found. */
static __always_inline bool kv_may_answer(__u64 item)
{
	return !kv_is_gone(item) && !(kv_at(struct kv_item, item)->bits & (KV_ITEM_STALE | KV_ITEM_WIN_SENT));
}

/* Puts the answer with an item together in cpu->answer. False where the loop budget ends. */
static __noinline bool kv_build_one(__u64 to, __u64 item, __u32 key_bytes, __u64 text, __u32 value_bytes)
{
	__u64 key = kv_key_of(item), value = kv_value_of(item, key_bytes);
	__u32 digits = value_bytes < 10 ? 1 : value_bytes < 100 ? 2 : 3, i;

	*kv_at(__u64, to) = kv_text4('V', 'A', 'L', 'U') | (__u64)kv_text2('E', ' ') << 32;
	to += 6;
	for (i = 0; i < KV_KEY_WORDS; i++) {
		if (8 * i >= key_bytes)
			break;
		*kv_at(__u64, to + 8 * i) = *kv_at(__u64, key + 8 * i);
	}
	to += key_bytes;
	*kv_at(__u64, to) = text;
	to += 5 + digits;
	if (kv_copy(to, value, value_bytes))
		return false;
	to += value_bytes;
	*kv_at(__u64, to) = kv_text4('\r', '\n', 'E', 'N') | (__u64)kv_text4('D', '\r', '\n', 0) << 32;
	return true;
}

/* Copies an item's value into the packet, words whole: the last one may reach into where the trailer will be. */
static __noinline void kv_put_value(__u8 *p, const __u8 *end, __u64 value, __u32 bytes)
{
	__u64 __arena *from = kv_at(__u64, value);
	const __u8 *stop = kv_place(p, kv_padded(bytes));
	__u64 a, b, c, d;
	__u32 i;

	for (i = 0; i < 1000 / 32; i++) {
		if (p + 32 > stop || p + 32 > end)
			break;
		a = READ_ONCE(from[0]);
		b = READ_ONCE(from[1]);
		c = READ_ONCE(from[2]);
		d = READ_ONCE(from[3]);
		kv_u64(p) = a;
		kv_u64(p + 8) = b;
		kv_u64(p + 16) = c;
		kv_u64(p + 24) = d;
		from += 4;
		p += 32;
	}
	for (i = 0; i < 3; i++) {
		if (p + 8 > stop || p + 8 > end)
			break;
		kv_u64(p) = READ_ONCE(*from);
		from++;
		p += 8;
	}
}

/*
 * Moves the key two bytes on, each word read before the one in front of it is stored. Behind the key is room. The last eight bytes are
 * stored last, with what was in front of a short key.
 */
static __noinline void kv_move_key(__u8 *front, const __u8 *end, __u32 bytes)
{
	const __u8 *stop = kv_place(front, bytes + 8), *last = kv_place(front, bytes);
	__u64 word, next, tail;
	__u8 *p = front + 8;
	__u32 i;

	if (last + 10 > end || p + 8 > end)
		return;
	tail = kv_u64(last);
	word = kv_u64(p);
	for (i = 0; i < KV_KEY_MAX / 8; i++) {
		if (p + 8 > stop || p + 16 > end)
			break;
		next = kv_u64(p + 8);
		kv_u64(p + 2) = word;
		word = next;
		p += 8;
	}
	kv_u64((__u8 *)last + 2) = tail;
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

/*
 * Answers a request for one key, whose flags are a digit and whose value's length has three at most. -EAGAIN where it is something
 * else, and a matter for kv_answer_many().
 */
static __always_inline int kv_answer_one(struct xdp_md *ctx, const struct kv_request *request, struct kv_xdp_cpu __arena *cpu)
{
	__u8 *data = (__u8 *)(long)ctx->data, *p;
	const __u8 *end = (__u8 *)(long)ctx->data_end;
	__u32 keys = request->keys, last = request->end, key_bytes = last - keys - 2, value_bytes, flags, bytes, digits, value;
	struct kv_in_packet wanted = { data + (keys - 8), end, key_bytes };
	struct kv_found found;
	struct kv_taken taken;
	int err, grow;
	__u64 text;

	p = kv_place(data, last - 2);
	if (p + 2 > end || kv_u16(p) != kv_text2('\r', '\n') || last != request->frame_end || key_bytes - 1 >= KV_KEY_MAX)
		return -EAGAIN;
	kv_take_key(wanted.front, end, key_bytes, &taken);
	if (taken.low)
		return -EAGAIN;
	if (!kv_is_checked(request, taken.sum))
		return KV_XDP_HEADERS;
	err = kv_find_as(kv_has_packet_key, &wanted, key_bytes, taken.hash, &found, false);
	if (err)
		return err == -ENOENT ? KV_XDP_MISS : KV_XDP_BUSY;
	if (!kv_may_answer(found.item))
		return KV_XDP_MISS;
	flags = kv_at(struct kv_item, found.item)->flags;
	value_bytes = kv_at(struct kv_item, found.item)->value_bytes;
	if (flags > 9 || value_bytes > 999)
		return -EAGAIN;
	text = kv_text_of(flags, value_bytes, &digits);
	value = keys + 2 + key_bytes + 5 + digits;
	bytes = value + value_bytes + KV_TRAILER - request->udp;
	if (bytes > 8 + KV_XDP_PAYLOAD)
		return KV_XDP_LARGE;
	grow = value + value_bytes + KV_TRAILER - last;
	if (kv_xdp.front || bpf_xdp_adjust_tail(ctx, grow)) {
		if (!kv_build_one((__u64)cpu->answer, found.item, key_bytes, text, value_bytes) || !kv_is_valid(&found))
			return KV_XDP_BUSY;
		kv_mark_used(&found);
		return kv_put_answer(ctx, kv_where(request), request->frame_end, bytes - 16, 1);
	}
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	p = kv_place(data, value - 5 - digits);
	if (p + 8 > end)
		goto cut;
	kv_u64(p) = text;
	kv_put_value(data + value, end, kv_value_of(found.item, key_bytes), value_bytes);
	p = kv_place(data, value + value_bytes);
	if (p + KV_TRAILER > end)
		goto cut;
	kv_u32(p) = kv_text4('\r', '\n', 'E', 'N');
	kv_u32(p + 3) = kv_text4('N', 'D', '\r', '\n');
	if (!kv_is_valid(&found))
		goto cut;
	kv_mark_used(&found);

	/* From here on it is the answer. */
	kv_move_key(data + (keys - 8), end, key_bytes);
	p = kv_place(data, keys - 6);
	if (p + 8 > end)
		goto cut;
	kv_u64(p) = (__u64)kv_text4('V', 'A', 'L', 'U') << 16 | (__u64)kv_text2('E', ' ') << 48;
	kv_turn_round(ctx, request, bytes);
	cpu->count[KV_XDP_KEYS]++;
	cpu->count[KV_XDP_BYTES] += request->udp + bytes;
	return KV_XDP_HIT;

cut:
	/* Shorter by what it grew by: that cannot fail. */
	bpf_xdp_adjust_tail(ctx, -grow);
	return KV_XDP_BUSY;
}

#endif /* KV_XDP_H */
