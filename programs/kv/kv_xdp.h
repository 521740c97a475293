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

/* Puts the answer for one key together in cpu->answer; the key is in cpu->key. False where the loop budget ends. */
static __always_inline bool kv_build_one(struct kv_xdp_cpu __arena *cpu, __u32 key_bytes, __u64 text, __u32 digits, __u64 value,
					 __u32 value_bytes)
{
	__u64 to = (__u64)cpu->answer, key = (__u64)cpu->key;
	__u32 i;

	*kv_at(__u64, to) = kv_text4('V', 'A', 'L', 'U') | (__u64)kv_text2('E', ' ') << 32;
	to += 6;
	for (i = 0; i < (KV_KEY_MAX + 7) / 8; i++) {
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

/*
 * Answers a request for one key, whose flags are a digit and whose value's length has three at most. -EAGAIN where it is something
 * else, and a matter for kv_answer_many().
 */
static __always_inline int kv_answer_one(struct xdp_md *ctx, const struct kv_request *request, struct kv_xdp_cpu __arena *cpu)
{
	__u8 *data = (__u8 *)(long)ctx->data, *p;
	const __u8 *end = (__u8 *)(long)ctx->data_end, *stop;
	__u32 keys = request->keys, last = request->end, key_bytes, value_bytes, flags, hash;
	__u32 at, value, bytes, digits, words, i;
	struct kv_found found;
	__u64 low, text, tail;
	__u64 __arena *from;
	int err, grow;

	p = kv_place(data, last - 2);
	if (p + 2 > end || p[1] != '\n')
		return KV_XDP_REQUEST;
	key_bytes = last - keys - 1 - (p[0] == '\r');
	if (last != request->frame_end || key_bytes - 1 >= KV_KEY_MAX)
		return -EAGAIN;
	hash = kv_take_key(data, end, keys, key_bytes, cpu, &low);
	if (low)
		return -EAGAIN;
	err = kv_find((__u64)cpu->key, key_bytes, hash, &found, false);
	if (err)
		return err == -ENOENT ? KV_XDP_MISS : KV_XDP_BUSY;
	if (!kv_may_answer(found.item))
		return KV_XDP_MISS;
	flags = kv_at(struct kv_item, found.item)->flags;
	value_bytes = kv_at(struct kv_item, found.item)->value_bytes;
	if (flags > 9 || value_bytes > 999)
		return -EAGAIN;
	/* " 0 100\r\n" is eight bytes, with a shorter number less. */
	words = value_bytes * 41 >> 12; /* hundreds */
	digits = value_bytes - 100 * words;
	i = digits * 103 >> 10; /* tens */
	text = ('0' + words) | ('0' + i) << 8 | ('0' + digits - 10 * i) << 16;
	digits = 3;
	if (value_bytes < 100) {
		digits = value_bytes < 10 ? 1 : 2;
		text >>= 24 - 8 * digits;
	}
	text |= (__u64)kv_text2('\r', '\n') << 8 * digits;
	text = text << 24 | (' ' | ('0' + flags) << 8 | ' ' << 16);

	at = keys + 2 + key_bytes;
	value = at + 5 + digits;
	bytes = value + value_bytes + KV_TRAILER - request->udp;
	if (bytes > 8 + KV_XDP_PAYLOAD)
		return KV_XDP_LARGE;
	grow = value + value_bytes + KV_TRAILER - last;
	if (kv_xdp.front || bpf_xdp_adjust_tail(ctx, grow)) {
		if (!kv_build_one(cpu, key_bytes, text, digits, kv_value_of(found.item, key_bytes), value_bytes) ||
		    !kv_is_valid(&found))
			return KV_XDP_BUSY;
		kv_mark_used(&found);
		return kv_put_answer(ctx, kv_where(request), request->frame_end, bytes - 16, 1);
	}
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	p = kv_place(data, at);
	if (p + 8 > end)
		goto cut;
	kv_u64(p) = text;
	/* Words whole: the last one may reach into where the trailer will be. */
	from = kv_at(__u64, kv_value_of(found.item, key_bytes));
	p = kv_place(data, value);
	stop = kv_place(data, value + kv_padded(value_bytes));
	for (i = 0; i < 1000 / 32; i++) {
		if (p + 32 > stop || p + 32 > end)
			break;
		kv_u64(p) = READ_ONCE(from[0]);
		kv_u64(p + 8) = READ_ONCE(from[1]);
		kv_u64(p + 16) = READ_ONCE(from[2]);
		kv_u64(p + 24) = READ_ONCE(from[3]);
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
	p = kv_place(data, value + value_bytes);
	if (p + KV_TRAILER > end)
		goto cut;
	kv_u32(p) = kv_text4('\r', '\n', 'E', 'N');
	kv_u32(p + 3) = kv_text4('N', 'D', '\r', '\n');
	if (!kv_is_valid(&found))
		goto cut;
	kv_mark_used(&found);

	/* Its last eight bytes are stored whole, with what was in front of a short key, before anything else is put there. */
	p = kv_place(data, keys + key_bytes - 8);
	if (p + 10 > end)
		goto cut;
	tail = kv_u64(p);
	from = cpu->key;
	p = data + keys + 2;
	stop = kv_place(data, keys + 2 + key_bytes);
	for (i = 0; i < KV_KEY_MAX / 8; i++) {
		if (p + 8 > stop || p + 8 > end)
			break;
		kv_u64(p) = *from++;
		p += 8;
	}
	p = kv_place(data, keys + key_bytes - 6);
	if (p + 8 > end)
		goto cut;
	kv_u64(p) = tail;
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
