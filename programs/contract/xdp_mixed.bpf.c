// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A little of everything that XDP programs do, for packets of all kinds: it counts by protocol, drops what is malformed or
 * filtered, answers pings, decrements hop limits with the checksum kept right, takes VLAN tags away, and puts metadata in
 * front or a trailer behind. The last two move the packet's ends, so pointers are read again.
 */
#include "bpf_helpers.h"

static long (*const xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static long (*const xdp_adjust_meta)(struct xdp_md *ctx, int delta) = (void *)54;
static long (*const xdp_adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;

enum { OTHER, IPV4, IPV6, TCP, UDP, ICMP, TAGGED, SHORT, EXPIRED, COUNTERS };

__u64 packets[COUNTERS];
__u64 bytes[COUNTERS];

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__u16 type;
};

struct vlan {
	__u16 tag;
	__u16 type;
};

struct ipv4 {
	__u8 version_and_length;
	__u8 service;
	__u16 total_length;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
};

struct ipv6 {
	__u32 version_and_flow;
	__u16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__u8 source[16];
	__u8 destination[16];
};

struct ports {
	__u16 source;
	__u16 destination;
};

#define BE16(x) __builtin_bswap16(x)
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMPV6 58
#define BLOCKED_PORT BE16(23)
#define TRAILED_PORT BE16(53)
#define TRAILER 8

static __always_inline void count(int what, __u64 length)
{
	__sync_fetch_and_add(&packets[what], 1);
	__sync_fetch_and_add(&bytes[what], length);
}

static __always_inline void swap_addresses(struct ethernet *ethernet)
{
	__u8 kept[6];

	__builtin_memcpy(kept, ethernet->destination, 6);
	__builtin_memcpy(ethernet->destination, ethernet->source, 6);
	__builtin_memcpy(ethernet->source, kept, 6);
}

/* A TTL that is one less makes the sum of the header 0x0100 less (RFC 1624). */
static __always_inline void decrement_ttl(struct ipv4 *ip)
{
	__u32 sum = ip->checksum + BE16(0x0100);

	ip->checksum = sum + (sum >> 16);
	ip->ttl--;
}

/* Appends bytes that say how long the packet was. */
static __always_inline int add_trailer(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, *end;
	__u32 length = ctx->data_end - ctx->data;

	if (xdp_adjust_tail(ctx, TRAILER))
		return XDP_ABORTED;
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	if (length > 3000 || data + length + TRAILER > end)
		return XDP_ABORTED;
	*(__u32 *)(data + length) = length;
	return XDP_TX;
}

/* Tells whoever comes next what the packet was, in front of it. */
static __always_inline int add_metadata(struct xdp_md *ctx, __u32 what)
{
	__u32 *meta;

	if (xdp_adjust_meta(ctx, -4))
		return XDP_ABORTED;
	meta = (__u32 *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = what;
	return XDP_PASS;
}

/* Moves the addresses over the tag, and begins the packet there. */
static __always_inline int untag(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data;
	__u8 addresses[12];

	if (data + 16 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(addresses, data, 12);
	__builtin_memcpy(data + 4, addresses, 12);
	return xdp_adjust_head(ctx, sizeof(struct vlan)) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int xdp_mixed(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end, *next;
	struct ethernet *ethernet = (struct ethernet *)data;
	__u64 length = end - data;
	struct ports *ports;
	__u8 protocol;

	next = data + sizeof(*ethernet);
	if (next > end)
		return XDP_ABORTED;
	switch (ethernet->type) {
	case BE16(0x8100):
	case BE16(0x88a8):
		if (next + sizeof(struct vlan) > end)
			goto too_short;
		count(TAGGED, length);
		return untag(ctx);
	case BE16(0x0800): {
		struct ipv4 *ip = (struct ipv4 *)next;

		if (next + sizeof(*ip) > end || ip->version_and_length != 0x45)
			goto too_short;
		count(IPV4, length);
		if (ip->ttl <= 1)
			goto expired;
		decrement_ttl(ip);
		protocol = ip->protocol;
		next += sizeof(*ip);
		break;
	}
	case BE16(0x86dd): {
		struct ipv6 *ip = (struct ipv6 *)next;

		if (next + sizeof(*ip) > end)
			goto too_short;
		count(IPV6, length);
		if (ip->hop_limit <= 1)
			goto expired;
		ip->hop_limit--;
		protocol = ip->next_header;
		next += sizeof(*ip);
		break;
	}
	default:
		count(OTHER, length);
		return XDP_PASS;
	}
	ports = (struct ports *)next;
	if (next + sizeof(*ports) > end)
		goto too_short;
	switch (protocol) {
	case PROTOCOL_TCP:
		count(TCP, length);
		return ports->destination == BLOCKED_PORT ? XDP_DROP : add_metadata(ctx, TCP);
	case PROTOCOL_UDP:
		count(UDP, length);
		if (ports->destination != TRAILED_PORT)
			return XDP_PASS;
		swap_addresses(ethernet);
		return add_trailer(ctx);
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		count(ICMP, length);
		swap_addresses(ethernet);
		return XDP_TX;
	default:
		return XDP_PASS;
	}
too_short:
	count(SHORT, length);
	return XDP_DROP;
expired:
	count(EXPIRED, length);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
