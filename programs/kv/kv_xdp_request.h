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

/* A slot for an answer that is given often: kv_xdp_hot.h. The key is where an item has its own. */
struct kv_hot {
	__u64 looked_at; /* the bucket, and in the upper half its sequence then */
	__u64 when; /* and what kv_when() was then */
	__u32 hash;
	__u32 key_bytes;
	__u32 bytes; /* of the answer, as kv_put_answer() takes it */
	__u32 votes; /* for keeping it */
	__u64 answer[28];
};
bpf_type_emit(struct kv_hot);

/* What a CPU has of its own: a page. */
struct kv_xdp_cpu {
	__u64 count[16];
	__u64 hot; /* slots: the address of the first, */
	__u64 hot_slots; /* and how many, a power of two or 0 */
	__u64 key[32];
	__u64 request[184]; /* of kv_xdp_many.h */
	__u64 answer[184 + 32];
};
bpf_type_emit(struct kv_xdp_cpu);

/* kv_xdp.grow: where packets grow. */
enum {
	KV_GROW_FRONT, /* there first: nothing has to be moved but headers, which are written anew in any case */
	KV_GROW_END, /* there first: where a packet's checksum is noted by its place, as in the network stack (generic XDP) */
	KV_GROW_FRONT_ONLY, /* for tests */
};

struct kv_xdp {
	__u16 port; /* network order; 0: nothing is answered */
	__u16 grow; /* KV_GROW_FRONT… */
	__u32 ipv4; /* network order: the only address that is answered for; 0: any */
	__u64 ipv6[2]; /* likewise */
	__u64 cpu; /* user address of as many struct kv_xdp_cpu as there are CPUs */
	__u64 hot; /* of their slots, in pages */
	__u32 cpus;
	__u32 hot_pages;
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
	__u16 checksum; /* UDP's; 0: none */
	__u64 pseudo; /* sum of what UDP's checksum has in it besides the datagram */
	__u64 sum; /* of that, and of the datagram up to the keys */
};

/* A word's lower half, in one instruction, where the compiler would take two. */
static __always_inline __u64 kv_lower(__u64 word)
{
	__u32 lower;

	asm("%0 = %1" : "=w"(lower) : "w"((__u32)word));
	return lower;
}

/* Adds a word to a sum in one's complement; there is room for more words than a packet has. */
static __always_inline __u64 kv_add_sum(__u64 sum, __u64 word)
{
	return sum + kv_lower(word) + (word >> 32);
}

static __always_inline __u16 kv_fold(__u64 sum)
{
	__u64 folded = kv_lower(sum) + (sum >> 32);
	__u32 both = folded + (folded >> 32);

	/* Added up in the upper half, with the carry of the lower one. */
	both += both << 16 | both >> 16;
	return both >> 16;
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
	if (from > KV_MOST_HEADERS + 12 || to > KV_MOST_HEADERS + KV_XDP_PAYLOAD + 16 || to < 8)
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

/* Of the addresses, protocol and length that UDP adds to its checksum over IPv6. The length as the packet has it. */
static __always_inline __u64 kv_pseudo_sum6(const __u8 *ip, __u16 udp_bytes)
{
	__u64 sum = (__u64)udp_bytes + kv_be16(KV_UDP);

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
 * Looks at the headers. KV_XDP_HIT when it is a datagram to the store that begins with "get ". Its checksum is still to be looked at:
 * kv_is_checked().
 */
static __always_inline enum kv_xdp_count kv_parse(struct xdp_md *ctx, struct kv_request *request)
{
	const __u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;
	__u32 at = KV_ETHERNET_BYTES, udp_bytes, total;
	__u64 first, second, header, addresses, sum;
	const __u8 *ip, *udp;
	__u16 type;

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
		if (udp + 22 > end)
			return KV_XDP_OTHER;
		first = kv_u64(ip);
		second = kv_u64(ip + 8);
		header = kv_u64(udp);
		if ((second >> 8 & 0xff) != KV_UDP || (header >> 16 & 0xffff) != kv_xdp.port)
			return KV_XDP_OTHER;
		request->udp = at + 20;
		total = kv_be16(first >> 16);
		udp_bytes = kv_be16(header >> 32);
		addresses = kv_u64(ip + 12);
		sum = kv_add_sum(kv_add_sum(kv_add_sum(0, first), (__u32)second), addresses);
		/* Version 4 and no options; neither the first of several fragments nor another. */
		if ((first & (0xff | (__u64)kv_be16(0xbfff) << 48)) != 0x45 || total != udp_bytes + 20 || kv_fold(sum) != 0xffff)
			return KV_XDP_HEADERS;
		if (!kv_is_host4(addresses) || !kv_is_host4(addresses >> 32) ||
		    (kv_xdp.ipv4 && kv_xdp.ipv4 != addresses >> 32))
			return KV_XDP_HEADERS;
		request->pseudo = kv_add_sum((header >> 32 & 0xffff) + kv_be16(KV_UDP), addresses);
	} else if (type == KV_ETH_IPV6) {
		udp = ip + 40;
		if (udp + 22 > end)
			return KV_XDP_OTHER;
		header = kv_u64(udp);
		if (ip[6] != KV_UDP || (header >> 16 & 0xffff) != kv_xdp.port)
			return KV_XDP_OTHER;
		request->udp = at + 40;
		total = kv_be16(kv_u16(ip + 4));
		udp_bytes = kv_be16(header >> 32);
		if (ip[0] >> 4 != 6 || total != udp_bytes || !(header >> 48))
			return KV_XDP_HEADERS;
		/* Not from or to a group; not from none or from itself. */
		if (ip[8] == 0xff || ip[24] == 0xff || (!kv_u64(ip + 8) && !(kv_u64(ip + 16) << 8)) ||
		    ((kv_xdp.ipv6[0] | kv_xdp.ipv6[1]) &&
		     (kv_xdp.ipv6[0] != kv_u64(ip + 24) || kv_xdp.ipv6[1] != kv_u64(ip + 32))))
			return KV_XDP_HEADERS;
		request->pseudo = kv_pseudo_sum6(ip, header >> 32);
	} else {
		return KV_XDP_OTHER;
	}
	request->ip = at;
	request->udp = kv_opaque(request->udp + unknown_zero) & 127;
	request->version = READ_ONCE(ip[0]) >> 4;
	request->keys = request->udp + 20;
	request->frame_end = end - data;
	/* To one Ethernet address, from one, and from a port. */
	if ((data[0] | data[6]) & 1 || !(__u16)header || udp_bytes < 22 || request->udp + udp_bytes > request->frame_end)
		return KV_XDP_HEADERS;
	request->end = kv_opaque(request->udp + udp_bytes);
	if (request->end > KV_MOST_HEADERS + KV_XDP_PAYLOAD)
		return KV_XDP_REQUEST;
	/* Any request number; datagram 0 of 1; nothing in what is reserved. "get ". */
	first = kv_u64(udp + 8);
	if ((first & ~0xffffull) != 1ull << 40 || kv_u32(udp + 16) != kv_text4('g', 'e', 't', ' '))
		return KV_XDP_REQUEST;
	request->checksum = header >> 48;
	request->sum = kv_add_sum(kv_add_sum(request->pseudo, header), first) + kv_text4('g', 'e', 't', ' ');
	return KV_XDP_HIT;
}

/*
 * Whether UDP's checksum is right, where the keys and what is behind them have this sum. It may be absent (IPv4), or yet to be completed
 * by a device, as that of packets of this machine is: then it is that of the pseudo header.
 */
static __always_inline bool kv_is_checked(const struct kv_request *request, __u64 sum)
{
	return !request->checksum || kv_fold(request->sum + sum) == 0xffff || kv_fold(request->pseudo) == request->checksum;
}

/* A word whose upper bit is set in some byte if one of the bytes is below 0x21: a space, a line's end, another control character. */
static __always_inline __u64 kv_low_bytes(__u64 word)
{
	return (word - 0x2121212121212121ull) & ~word & 0x8080808080808080ull;
}

/* What one look at each word of a key gives. */
struct kv_taken {
	__u64 low; /* not 0: it has a byte that no key has */
	__u64 sum; /* of its bytes and the line's end */
	__u32 hash;
};

/*
 * Keys in the packet are said by where the eight bytes in front of them begin, since the last word of a short one begins there; behind
 * them are "\r\n" and the packet's end. A key is read twice, here and when it is compared: functions that are not inlined have
 * registers for all they need.
 */
static __noinline void kv_take_key(const __u8 *front, const __u8 *end, __u32 bytes, struct kv_taken *taken)
{
	__u64 hash = kv_hash_start(bytes), low = 0, sum = 0, word;
	const __u8 *p = front + 8;
	__u32 rest, i;

	for (i = 0; i < KV_KEY_WORDS; i++) {
		if (p + 8 + 2 > end)
			break;
		word = kv_u64(p);
		p += 8;
		hash += word * kv.factor[i];
		low |= kv_low_bytes(word);
		sum = kv_add_sum(sum, word);
	}
	rest = bytes & 7;
	p = kv_place(front, bytes);
	if (rest && p + 8 <= end) {
		word = kv_u64(p) >> (64 - 8 * rest);
		hash += word * kv.factor[i & (KV_KEY_WORDS - 1)];
		low |= kv_low_bytes(word | ~0ull << 8 * rest);
		sum = kv_add_sum(sum, word);
	}
	taken->hash = kv_hash_end(hash);
	taken->low = low;
	/* "\r\n", in either half of a 16-bit word. */
	taken->sum = sum + (kv_text2('\r', '\n') << 8 * (bytes & 1));
}

/* Whether an item has this key, or a slot; what is behind the key there does not matter. */
static __noinline bool kv_is_key(const __u8 *front, const __u8 *end, __u32 bytes, __u64 item)
{
	__u64 __arena *words = kv_at(__u64, kv_key_of(item));
	const __u8 *p = front + 8;
	__u32 rest, i;

	for (i = 0; i < KV_KEY_WORDS; i++) {
		if (p + 8 + 2 > end)
			break;
		if (kv_u64(p) != *words)
			return false;
		p += 8;
		words++;
	}
	rest = bytes & 7;
	if (!rest)
		return true;
	p = kv_place(front, bytes);
	return p + 8 <= end && (kv_u64(p) >> (64 - 8 * rest) ^ *words) << (64 - 8 * rest) == 0;
}

#endif /* KV_XDP_REQUEST_H */
