/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The accelerator's second half: turning a request into the answer to it, which was put together in memory of the CPU's own.
 * kv_put_answer() makes room for it at the end or at the front; kv_turn_round() is for a packet whose new bytes are in place.
 */
#ifndef KV_XDP_REPLY_H
#define KV_XDP_REPLY_H

#include "kv_xdp_request.h"

/*
 * Turns the headers round: the packet is the answer to itself, and has `bytes` from the UDP header on. All that is said of it is said
 * anew: no options of service, a fresh number of hops, no fragments.
 */
static __always_inline void kv_turn_round(struct xdp_md *ctx, const struct kv_request *request, __u32 bytes)
{
	__u8 *data = (__u8 *)(long)ctx->data;
	const __u8 *end = (__u8 *)(long)ctx->data_end;
	__u8 *ip = data + request->ip, *udp = data + request->udp;
	__u64 first, sender, addresses, sum;
	__u32 last, ports;

	/* It has all of these; only the verifier has forgotten. */
	if (data + 12 > end || ip + 20 > end || udp + 8 > end)
		return;
	first = kv_u64(data);
	last = kv_u32(data + 8);
	/* Six bytes each: the destination in the lower ones of `first`. */
	sender = first >> 48 | (__u64)last << 16;
	kv_u64(data) = sender | first << 48;
	kv_u32(data + 8) = first >> 16;
	ports = kv_u32(udp);
	kv_u32(udp) = ports << 16 | ports >> 16;
	kv_u16(udp + 4) = kv_be16(bytes);
	kv_u16(udp + 6) = 0;
	if (request->version == 4) {
		addresses = kv_u64(ip + 12);
		/* Version and length, service, total length; number 0, not to be fragmented; 64 hops, UDP. */
		first = 0x45 | (__u64)kv_be16(bytes + 20) << 16 | (__u64)kv_be16(0x4000) << 48;
		sum = kv_add_sum(kv_add_sum(64 | KV_UDP << 8, first), addresses);
		kv_u64(ip) = first;
		kv_u32(ip + 8) = 64 | KV_UDP << 8 | (__u32)(__u16)~kv_fold(sum) << 16;
		kv_u64(ip + 12) = addresses << 32 | addresses >> 32;
		return;
	}
	if (ip + 40 > end)
		return;
	kv_u32(ip) = 0x60;
	kv_u16(ip + 4) = kv_be16(bytes);
	kv_u16(ip + 6) = KV_UDP | 64 << 8;
	sum = kv_u64(ip + 8);
	kv_u64(ip + 8) = kv_u64(ip + 24);
	kv_u64(ip + 24) = sum;
	sum = kv_u64(ip + 16);
	kv_u64(ip + 16) = kv_u64(ip + 32);
	kv_u64(ip + 32) = sum;
	sum = kv_pseudo_sum6(ip, kv_be16(bytes));
	sum = (__u16)~kv_fold(sum + kv_sum_packet(ctx, request->udp, request->udp + bytes));
	/* 0 would say that there is none. */
	kv_u16(udp + 6) = sum ? sum : 0xffff;
}

/* A request in 32 bits, and back: global functions take numbers. */
static __always_inline __u32 kv_where(const struct kv_request *request)
{
	return request->ip | request->udp << 8 | request->keys << 16 | request->version << 24;
}

static __always_inline struct kv_request kv_request_at(__u32 where)
{
	struct kv_request request = {
		.ip = where & 31, .udp = where >> 8 & 127, .keys = where >> 16 & 127, .version = where >> 24
	};

	return request;
}

/*
 * Moves the headers, and memcached's behind them, `head` bytes to the front: the packet has grown there.
 */
static __always_inline void kv_move_headers(struct xdp_md *ctx, __u32 head)
{
	__u8 *to = (__u8 *)(long)ctx->data;
	const __u8 *end = (__u8 *)(long)ctx->data_end, *from = kv_place(to, head);
	__u32 i;

	for (i = 0; i < (KV_MOST_HEADERS + 8 + 7) / 8; i++) {
		if (from + 8 > end || to + 8 > end)
			break;
		kv_u64(to) = kv_u64(from);
		from += 8;
		to += 8;
	}
}

/* Bytes that a packet grows at its front at most: what there is on every interface, less what the kernel keeps there. */
#define KV_XDP_HEAD 192

/*
 * An answer in memory begins with the last two bytes of memcached's header, which are zero, so that the key in it is an aligned word, and
 * so is in a packet what is in front of it.
 */
#define KV_ANSWER_FRONT 2

/*
 * Makes the packet the answer at that address, so many bytes of it. It grows at its end, where packets from interfaces have room; where
 * it cannot, as on veth, at its front, and then for what is more than that at its end. KV_XDP_HIT, or KV_XDP_ROOM, and nothing was changed.
 */
__noinline int kv_put_answer(struct xdp_md *ctx, __u32 where, __u32 frame_end, __u64 answer, __u32 bytes)
{
	struct kv_request request = kv_request_at(where);
	const __u8 *end, *stop;
	__u64 __arena *from = kv_at(__u64, answer);
	__u8 *data, *p;
	int grow, head;
	__u32 i;

	bytes = kv_opaque(bytes);
	if (bytes < 8 || bytes > KV_XDP_PAYLOAD - 8 + KV_ANSWER_FRONT || request.keys < KV_ETHERNET_BYTES + 40)
		return KV_XDP_ROOM;
	grow = request.keys - 6 + bytes - frame_end;
	if ((kv_xdp.grow == KV_GROW_FRONT_ONLY && grow > 0) || bpf_xdp_adjust_tail(ctx, grow)) {
		head = grow < KV_XDP_HEAD ? grow : KV_XDP_HEAD;
		if (head <= 0 || bpf_xdp_adjust_head(ctx, -head))
			return KV_XDP_ROOM;
		if (grow > head && bpf_xdp_adjust_tail(ctx, grow - head)) {
			bpf_xdp_adjust_head(ctx, head);
			return KV_XDP_ROOM;
		}
		kv_move_headers(ctx, head);
	}
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	p = data + (request.keys - 6);
	stop = kv_place(data, request.keys - 6 + bytes);
	for (i = 0; i < KV_XDP_PAYLOAD / 8; i++) {
		if (p + 8 > stop || p + 8 > end)
			break;
		kv_u64(p) = *from++;
		p += 8;
	}
	p = kv_place(data, request.keys - 6 + bytes - 8);
	if (p + 8 <= end)
		kv_u64(p) = *kv_at(__u64, answer + bytes - 8);
	kv_turn_round(ctx, &request, bytes + 16 - KV_ANSWER_FRONT);
	return KV_XDP_HIT;
}

#endif /* KV_XDP_REPLY_H */
