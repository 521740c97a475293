/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is asked most, by the straightest way: `get` of one key, by IPv4 without VLAN tags, whose answer is in its slot (kv_xdp_hot.h). Everything
 * in the packet is where it always is, so one look at each of its words, in the order in which they lie, says whether it is such a
 * request and all is right with it. Where something is not so, nothing was changed, and the long way begins anew. Whether the key
 * is one is not asked: those in slots are.
 */
#ifndef KV_XDP_STRAIGHT_H
#define KV_XDP_STRAIGHT_H

#include "kv_xdp_hot.h"
#include "kv_xdp_reply.h"

/* A request by IPv4, without VLAN tags: kv_where() of it. Its answer begins at the packet's eighth word but one. */
#define KV_STRAIGHT (KV_ETHERNET_BYTES | 34 << 8 | 54 << 16 | 4 << 24)
#define KV_STRAIGHT_ANSWER 48
/* Of answers that kv_put_straight() takes: at most, and it copies so many at a time. */
#define KV_STRAIGHT_MOST sizeof(((struct kv_hot *)0)->answer)
#define KV_STRAIGHT_STEP KV_HOT_LEAST

static __always_inline void kv_step(__u8 *to, const __u64 __arena *from)
{
	__u64 a = from[0], b = from[1], c = from[2], d = from[3];

	kv_u64(to) = a;
	kv_u64(to + 8) = b;
	kv_u64(to + 16) = c;
	kv_u64(to + 24) = d;
}

/*
 * kv_put_answer() for what is asked most: a straight request, and an answer of KV_HOT_LEAST to KV_STRAIGHT_MOST bytes, which makes the packet
 * `grow` bytes longer, all of them at its front. The headers are read where they lie and written, turned round, where they belong; then the answer is copied, in steps of which the
 * last ends with it and may begin in the one before.
 */
__noinline int kv_put_straight(struct xdp_md *ctx, __u64 answer, __u32 grow)
{
	__u64 first, ports, number, addresses, sum;
	__u64 __arena *from = kv_at(__u64, answer);
	__u32 last, bytes, tail, i;
	const __u8 *end;
	__u8 *data, *p;

	grow = kv_opaque(grow);
	if (grow - 1 >= KV_XDP_HEAD || bpf_xdp_adjust_head(ctx, -(int)grow))
		return KV_XDP_ROOM;
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	p = kv_place(data, grow);
	/* All of this there is; only the verifier has forgotten. */
	if (p + 44 > end || data + KV_STRAIGHT_ANSWER + KV_STRAIGHT_STEP > end)
		return KV_XDP_ROOM;
	first = kv_u64(p);
	last = kv_u32(p + 8);
	addresses = kv_u64(p + 26);
	ports = kv_u32(p + 34);
	number = kv_u16(p + 42);
	/* Where the last step begins. It is no larger than the mask; but that is not known. */
	tail = kv_opaque(end - data - KV_STRAIGHT_STEP) & 511;
	bytes = tail + KV_STRAIGHT_STEP;
	p = kv_place(data, tail);
	if (p + KV_STRAIGHT_STEP > end)
		return KV_XDP_ROOM;
	kv_step(p, kv_at(__u64, answer + tail - KV_STRAIGHT_ANSWER));
#pragma unroll
	for (i = 0; i < KV_STRAIGHT_MOST / KV_STRAIGHT_STEP; i++) {
		p = data + KV_STRAIGHT_ANSWER + KV_STRAIGHT_STEP * i;
		if (p + KV_STRAIGHT_STEP > end)
			break;
		kv_step(p, from + 4 * i);
	}
	/* Ethernet: six bytes each, and the type. */
	kv_u64(data) = first >> 48 | (__u64)last << 16 | first << 48;
	/* Version and length, service, total length; number 0, not to be fragmented; 64 hops, UDP. */
	kv_u64(data + 8) = (first >> 16 & 0xffffffff) | (__u64)KV_ETH_IPV4 << 32 | 0x45ull << 48;
	first = kv_be16(bytes - KV_ETHERNET_BYTES) | (__u64)kv_be16(0x4000) << 32 | (64ull | KV_UDP << 8) << 48;
	kv_u64(data + 16) = first;
	addresses = addresses << 32 | addresses >> 32;
	sum = (__u16)~kv_fold(kv_add_sum(kv_add_sum(0x45, first), addresses));
	kv_u64(data + 24) = sum | addresses << 16;
	/* Ports, length, no checksum; memcached's number, datagram 0 of 1. */
	kv_u64(data + 32) = addresses >> 48 | (ports << 16 | ports >> 16) << 32 >> 16 | (__u64)kv_be16(bytes - 34) << 48;
	kv_u64(data + 40) = number << 16 | (__u64)kv_be16(1) << 48;
	return KV_XDP_HIT;
}

/* Where the key begins, and the bytes of a packet besides it: its line's end, too. */
#define KV_STRAIGHT_KEY 54
#define KV_STRAIGHT_REST (KV_STRAIGHT_KEY + 2)

/* A pointer that stays in its register: the compiler would make it anew for each field. */
#define kv_kept(pointer)                                                                                               \
	({                                                                                                             \
		typeof(pointer) __pointer = (pointer);                                                                 \
		asm volatile("" : "+r"(__pointer));                                                                    \
		__pointer;                                                                                             \
	})

/*
 * The slot with the answer to a request for a key of so many whole words, a constant here, and some bytes; 0: there is none. To *sum goes what
 * the key adds to UDP's checksum, the line's end with it. The packet reaches as far as `last`, which is eight bytes in front of the line's end,
 * and ten more.
 */
static __always_inline __u64 kv_straight_slot(const __u8 *data, const __u8 *last, __u64 *sum, __u32 key_bytes, __u32 words,
					      struct kv_xdp_cpu __arena *cpu)
{
	struct kv __arena *store = kv_kept(&kv);
	__u64 hash = kv_hash_start(key_bytes), added = 0, tail = 0, word, slot;
	const __u8 *key = data + KV_STRAIGHT_KEY;
	__u32 rest = key_bytes & 7, i;
	struct kv_hot __arena *hot;

#pragma unroll
	for (i = 0; i < words; i++) {
		word = kv_u64(key + 8 * i);
		hash += word * store->factor[i];
		added = kv_add_sum(added, word);
	}
	if (rest) {
		tail = kv_u64(last) >> (64 - 8 * rest);
		hash += tail * store->factor[i];
		added = kv_add_sum(added, tail);
	}
	hash = kv_hash_end(hash);
	slot = kv_hot_of(cpu, hash);
	hot = kv_at(struct kv_hot, slot);
	if (!slot || !kv_is_hot(hot, hash, key_bytes, store))
		return 0;
#pragma unroll
	for (i = 0; i < words; i++)
		if (kv_u64(key + 8 * i) != hot->answer[i + 1])
			return 0;
	if (rest && (tail ^ hot->answer[i + 1]) << (64 - 8 * rest))
		return 0;
	*sum = added + (kv_text2('\r', '\n') << 8 * (key_bytes & 1));
	return slot;
}

/*
 * Whether the headers in front of a key are in order, down to "get ". sum: of what is in UDP's checksum from the key on. The packet reaches as
 * far as the key.
 */
static __always_inline bool kv_is_straight(const __u8 *data, __u32 bytes, __u64 sum)
{
	struct kv_xdp __arena *settings = kv_kept(&kv_xdp);
	__u64 word, next, pseudo;

	/* Addresses of Ethernet that are not a group's. */
	if ((data[0] | data[6]) & 1)
		return false;
	pseudo = kv_u16(data + 14);
	/* All of the packet, no fragment, UDP. */
	word = kv_u64(data + 16);
	if (kv_be16(word) + KV_ETHERNET_BYTES != bytes ||
	    (word & (0xffull << 56 | (__u64)kv_be16(0xbfff) << 32)) != (__u64)KV_UDP << 56)
		return false;
	pseudo = kv_add_sum(pseudo, word);
	/* IPv4's checksum, both addresses, ports, UDP's length. */
	word = kv_u64(data + 24);
	next = kv_u64(data + 32);
	pseudo = kv_add_sum(pseudo, word) + (next & 0xffff);
	if (kv_fold(pseudo) != 0xffff || !kv_is_host4(word >> 16) || !(__u16)(next >> 16) || kv_be16(next >> 48) + 34 != bytes)
		return false;
	if (!kv_is_host4(word >> 48) || (settings->ipv4 && settings->ipv4 != (__u32)(word >> 48 | next << 16)))
		return false;
	pseudo = kv_add_sum(kv_be16(KV_UDP) + (next >> 48), word >> 16) + (next & 0xffff);
	sum += pseudo + kv_lower(next >> 16) + (next >> 48);
	/* Its checksum; datagram 0 of 1; "get ". */
	word = kv_u64(data + 40);
	next = kv_u64(data + 46);
	if (word >> 32 != (__u64)kv_be16(1) << 16 || next != (kv_be16(1) | (__u64)kv_text4('g', 'e', 't', ' ') << 32))
		return false;
	sum = kv_add_sum(kv_add_sum(sum, word), next >> 32);
	/* There may be none, or one that a device has yet to complete. */
	return kv_fold(sum) == 0xffff || !(__u16)word || kv_fold(pseudo) == (__u16)word;
}

/*
 * Answers, and counts it, where it can be done so. The slot is looked at before most of the headers, so that its memory is on its way while they
 * are read.
 */
static __always_inline bool kv_answer_hot(struct xdp_md *ctx, struct kv_xdp_cpu __arena *cpu)
{
	const __u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end, *last;
	__u32 bytes = kv_opaque(end - data), key_bytes;
	struct kv_hot __arena *hot;
	__u64 sum, slot;

	if (data + KV_STRAIGHT_REST + 2 > end)
		return false;
	/* IPv4, no options, the store's port. */
	if ((kv_u32(data + 12) & 0xffffff) != (KV_ETH_IPV4 | 0x45 << 16) || kv_u16(data + 36) != kv_xdp.port)
		return false;
	/* The key's last eight bytes, or as many as are there of it and some in front. */
	last = kv_place(data, kv_opaque(bytes - 10) & 511);
	if (last + 10 > end || kv_u16(last + 8) != kv_text2('\r', '\n'))
		return false;
	key_bytes = bytes - KV_STRAIGHT_REST;
#define KV_STRAIGHT_CASE(words)                                                                                        \
	case words:                                                                                                    \
		if (data + KV_STRAIGHT_KEY + 8 * words + 2 > end)                                                      \
			return false;                                                                                  \
		slot = kv_straight_slot(data, last, &sum, key_bytes, words, cpu);                                      \
		break
	switch (key_bytes / 8) {
		KV_STRAIGHT_CASE(0);
		KV_STRAIGHT_CASE(1);
		KV_STRAIGHT_CASE(2);
		KV_STRAIGHT_CASE(3);
		KV_STRAIGHT_CASE(4);
		KV_STRAIGHT_CASE(5);
		KV_STRAIGHT_CASE(6);
		KV_STRAIGHT_CASE(7);
	default:
		return false;
	}
	if (!slot || !kv_is_straight(data, bytes, sum) || kv_xdp.grow == KV_GROW_END)
		return false;
	hot = kv_at(struct kv_hot, slot);
	if (kv_put_straight(ctx, (__u64)hot->answer, KV_STRAIGHT_ANSWER + hot->bytes - bytes) != KV_XDP_HIT)
		return false;
	kv_hot_hit(hot);
	cpu->count[KV_XDP_HIT]++;
	cpu->count[KV_XDP_KEYS]++;
	cpu->count[KV_XDP_BYTES] += hot->bytes + KV_STRAIGHT_ANSWER;
	return true;
}

#endif /* KV_XDP_STRAIGHT_H */
