/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The accelerator's first half: what it counts and keeps for each CPU, and how it reads a request. Headers first, then "get ", then the
 * key, each eight bytes at a time. A packet that is not exactly as it should be is given a reason for passing it, and is not changed.
 */
#ifndef KV_XDP_REQUEST_H
#define KV_XDP_REQUEST_H

#include "bpf_helper_defs.h"
#include "kv_packet.h"
#include "kv_slab.h"

/* Why a packet was answered, or passed: what is counted for each CPU. */
enum kv_xdp_count {
	KV_XDP_HIT, /* answered */
	KV_XDP_OTHER, /* passed: not UDP to the store's port */
	KV_XDP_HEADERS, /* options, lengths or checksums that do not fit, addresses that cannot be answered */
	KV_XDP_REQUEST, /* no `get`, or not in the one form that is taken */
	KV_XDP_MISS, /* a key that is not there, or has expired, was flushed, is stale */
	KV_XDP_BUSY, /* an item was being changed */
	KV_XDP_LARGE, /* the answer is too long for a datagram */
	KV_XDP_ROOM, /* the packet cannot grow so far */
	KV_XDP_KEYS, /* keys in answered packets */
	KV_XDP_BYTES, /* of answered packets, headers with them */
	KV_XDP_COUNTS,
};

/* Bytes of UDP payload at most, as memcached has them, with its header. */
#define KV_XDP_PAYLOAD 1400

/* What a CPU has of its own: a page. */
struct kv_xdp_cpu {
	__u64 count[16];
	__u64 key[32];
	__u64 request[184]; /* of kv_xdp_many.h */
	__u64 answer[184 + 32];
};
bpf_type_emit(struct kv_xdp_cpu);

struct kv_xdp {
	__u16 port; /* network order; 0: nothing is answered */
	__u16 front; /* not 0: packets grow at their front, without trying the end first */
	__u32 ipv4; /* network order: the only address that is answered for; 0: any */
	__u64 ipv6[2]; /* likewise */
	__u64 cpu; /* user address of as many struct kv_xdp_cpu as there are CPUs */
	__u32 cpus;
};

struct kv_xdp __arena_global kv_xdp;

/* This CPU's; NULL where there is none. */
static __always_inline struct kv_xdp_cpu __arena *kv_xdp_cpu(void)
{
	__u32 number = bpf_get_smp_processor_id();

	if (!kv_xdp.cpu || number >= kv_xdp.cpus)
		return NULL;
	return kv_at(struct kv_xdp_cpu, kv_xdp.cpu + number * PAGE_SIZE);
}

/* Words and halves of packets, wherever they lie. */
#define kv_u16(p) (*(__u16 *)(p))
#define kv_u32(p) (*(__u32 *)(p))
#define kv_u64(p) (*(__u64 *)(p))

/* A number that the compiler does not compute anew from what it came from, so that what is compared is what is then used. */
#define kv_opaque(number)                                                                                              \
	({                                                                                                             \
		__u32 __number = (number);                                                                             \
		asm volatile("" : "+r"(__number));                                                                     \
		__number;                                                                                              \
	})

/* What stands in packets, as numbers. */
#define kv_text2(a, b) ((__u16)((a) | (b) << 8))
#define kv_text4(a, b, c, d) ((__u32)kv_text2(a, b) | (__u32)kv_text2(c, d) << 16)

#define KV_ETHERNET_BYTES 14
/* Ethernet, two tags, IPv6, UDP. */
#define KV_MOST_HEADERS (KV_ETHERNET_BYTES + 8 + 40 + 8)

/* A request whose headers are in order. Offsets from the packet's start, in bytes. */
struct kv_request {
	__u32 ip;
	__u32 udp;
	__u32 keys; /* behind "get " */
	__u32 end; /* of what UDP has */
	__u32 frame_end;
	__u32 version; /* 4 or 6 */
};

/* Adds a word to a sum in one's complement; there is room for more words than a packet has. */
static __always_inline __u64 kv_add_sum(__u64 sum, __u64 word)
{
	return sum + (__u32)word + (word >> 32);
}

static __always_inline __u16 kv_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * A place in the packet that the verifier does not connect with the number it came from: a loop that goes on until it is reached leaves
 * nothing to know, wherever it ends, so what follows is verified once.
 */
static __always_inline __u8 *kv_place(const __u8 *data, __u32 offset)
{
	__u8 *place = (__u8 *)data + kv_opaque(offset);

	asm volatile("" : "+r"(place));
	return place;
}

/* The sum of the packet's bytes from `from` to `to`, which are there: at least 8, at most KV_XDP_PAYLOAD + 16. */
__noinline __u64 kv_sum_packet(struct xdp_md *ctx, __u32 from, __u32 to)
{
	const __u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end, *stop, *p;
	__u32 rest = (to - from) & 7, i;
	__u64 sum = 0;

	from = kv_opaque(from);
	to = kv_opaque(to);
	if (from > KV_MOST_HEADERS || to > KV_MOST_HEADERS + KV_XDP_PAYLOAD + 16 || to < 8)
		return 0;
	p = data + from;
	stop = kv_place(data, to);
	for (i = 0; i < (16 + KV_XDP_PAYLOAD) / 8; i++) {
		if (p + 8 > stop || p + 8 > end)
			break;
		sum = kv_add_sum(sum, kv_u64(p));
		p += 8;
	}
	/* The last bytes in front of `to`, those that were added already shifted out. */
	p = kv_place(data, to - 8);
	if (rest && p + 8 <= end)
		sum = kv_add_sum(sum, kv_u64(p) >> (64 - 8 * rest));
	return sum;
}

/* Of the addresses, protocol and length that UDP adds to its checksum. */
static __always_inline __u64 kv_pseudo_sum(const __u8 *ip, __u32 version, __u16 udp_bytes)
{
	__u64 sum = (__u64)udp_bytes + kv_be16(KV_UDP);

	if (version == 4)
		return kv_add_sum(sum, kv_u64(ip + 12));
	sum = kv_add_sum(kv_add_sum(sum, kv_u64(ip + 8)), kv_u64(ip + 16));
	return kv_add_sum(kv_add_sum(sum, kv_u64(ip + 24)), kv_u64(ip + 32));
}

/* Whether a sender can have this address. */
static __always_inline bool kv_is_host4(__u32 address)
{
	__u8 first = address;

	return first != 0 && first != 127 && first < 224;
}

/*
 * Looks at the headers. KV_XDP_HIT when it is a datagram to the store that begins with "get ". Its checksum is right, or absent (IPv4), or
 * is yet to be completed by a device, as that of packets of this machine is.
 */
static __always_inline enum kv_xdp_count kv_parse(struct xdp_md *ctx, struct kv_request *request)
{
	const __u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;
	__u32 at = KV_ETHERNET_BYTES, udp_bytes, total;
	const __u8 *ip, *udp;
	__u64 sum, pseudo;
	__u16 type, checksum;

	if (data + KV_ETHERNET_BYTES + 8 > end)
		return KV_XDP_OTHER;
	type = kv_u16(data + 12);
	if (type == KV_ETH_VLAN || type == KV_ETH_VLAN_SERVICE) {
		at += 4;
		type = kv_u16(data + 16);
		if (type == KV_ETH_VLAN) {
			at += 4;
			type = kv_u16(data + 20);
		}
	}
	/*
	 * The masks here change nothing. They leave the verifier the same numbers whatever the headers were, so that it goes on once; and
	 * since they are not constants, what loops find out of pointers that are counted from them is forgotten behind the loops.
	 */
	at = kv_opaque(at + unknown_zero) & 31;
	ip = data + at;
	if (type == KV_ETH_IPV4) {
		udp = ip + 20;
		if (udp + 22 > end || ip[9] != KV_UDP || kv_u16(udp + 2) != kv_xdp.port)
			return KV_XDP_OTHER;
		request->udp = at + 20;
		total = kv_be16(kv_u16(ip + 2));
		udp_bytes = kv_be16(kv_u16(udp + 4));
		sum = kv_add_sum(kv_add_sum(kv_u64(ip), kv_u64(ip + 8)), kv_u32(ip + 16));
		/* No options; neither the first of several fragments nor another. */
		if (ip[0] != 0x45 || kv_u16(ip + 6) & kv_be16(0xbfff) || total != udp_bytes + 20 || kv_fold(sum) != 0xffff)
			return KV_XDP_HEADERS;
		if (!kv_is_host4(kv_u32(ip + 12)) || !kv_is_host4(kv_u32(ip + 16)) ||
		    (kv_xdp.ipv4 && kv_xdp.ipv4 != kv_u32(ip + 16)))
			return KV_XDP_HEADERS;
	} else if (type == KV_ETH_IPV6) {
		udp = ip + 40;
		if (udp + 22 > end || ip[6] != KV_UDP || kv_u16(udp + 2) != kv_xdp.port)
			return KV_XDP_OTHER;
		request->udp = at + 40;
		total = kv_be16(kv_u16(ip + 4));
		udp_bytes = kv_be16(kv_u16(udp + 4));
		if (ip[0] >> 4 != 6 || total != udp_bytes || !kv_u16(udp + 6))
			return KV_XDP_HEADERS;
		/* Not from or to a group; not from none or from itself. */
		if (ip[8] == 0xff || ip[24] == 0xff || (!kv_u64(ip + 8) && !(kv_u64(ip + 16) << 8)) ||
		    ((kv_xdp.ipv6[0] | kv_xdp.ipv6[1]) &&
		     (kv_xdp.ipv6[0] != kv_u64(ip + 24) || kv_xdp.ipv6[1] != kv_u64(ip + 32))))
			return KV_XDP_HEADERS;
	} else {
		return KV_XDP_OTHER;
	}
	request->ip = at;
	request->udp = kv_opaque(request->udp + unknown_zero) & 127;
	request->version = READ_ONCE(ip[0]) >> 4;
	request->keys = request->udp + 20;
	request->frame_end = end - data;
	/* To one Ethernet address, from one, and from a port. */
	if ((data[0] | data[6]) & 1 || !kv_u16(udp) || udp_bytes < 22 || request->udp + udp_bytes > request->frame_end)
		return KV_XDP_HEADERS;
	request->end = kv_opaque(request->udp + udp_bytes);
	if (request->end > KV_MOST_HEADERS + KV_XDP_PAYLOAD)
		return KV_XDP_REQUEST;
	/* Any request number; datagram 0 of 1; nothing in what is reserved. "get ". */
	if ((kv_u64(udp + 8) & ~0xffffull) != 1ull << 40 || kv_u32(udp + 16) != kv_text4('g', 'e', 't', ' '))
		return KV_XDP_REQUEST;
	checksum = kv_u16(udp + 6);
	if (checksum) {
		pseudo = kv_pseudo_sum(ip, request->version, kv_u16(udp + 4));
		if (checksum != kv_fold(pseudo) &&
		    kv_fold(pseudo + kv_sum_packet(ctx, request->udp, request->end)) != 0xffff)
			return KV_XDP_HEADERS;
	}
	return KV_XDP_HIT;
}

/* A word whose upper bit is set in some byte if one of the bytes is below 0x21: a space, a line's end, another control character. */
static __always_inline __u64 kv_low_bytes(__u64 word)
{
	return (word - 0x2121212121212121ull) & ~word & 0x8080808080808080ull;
}

/*
 * Takes the key that begins at request->keys over into cpu->key, padded with zeroes. Its hash; *low is not 0 where it has a byte that no
 * key has.
 */
static __always_inline __u32 kv_take_key(const __u8 *data, const __u8 *end, __u32 keys, __u32 bytes,
					 struct kv_xdp_cpu __arena *cpu, __u64 *low)
{
	const __u8 *p = data + keys, *stop = kv_place(data, keys + bytes);
	__u64 __arena *to = cpu->key;
	__u64 hash = kv_hash_start(bytes), word, seen = 0;
	__u32 rest = bytes & 7, i;

	for (i = 0; i < KV_KEY_MAX / 8; i++) {
		if (p + 8 > stop || p + 8 > end)
			break;
		word = kv_u64(p);
		seen |= kv_low_bytes(word);
		hash = kv_hash_step(hash, word);
		*to++ = word;
		p += 8;
	}
	p = kv_place(data, keys + bytes - 8);
	if (rest && p + 8 <= end) {
		word = kv_u64(p) >> (64 - 8 * rest);
		seen |= kv_low_bytes(word | ~0ull << 8 * rest);
		hash = kv_hash_step(hash, word);
		*to = word;
	}
	*low = seen;
	return hash;
}

#endif /* KV_XDP_REQUEST_H */
