// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts the packets of a network interface and keeps the last one's bytes, all in the arena, where user space looks at
 * them while traffic flows; and answers UDP packets to the echo port without the network stack (RFC 862). XDP programs
 * cannot allocate pages, but need none: the loader makes those of arena globals present.
 */
#include "bpf_arena.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

#define KEPT_BYTES 256

struct packet_counters {
	__u64 packets;
	__u64 bytes;
	__u64 answered;
};

/* sequence is odd while bytes are written: who reads takes it before and after, and reads again when it changed. */
struct kept_packet {
	__u32 sequence;
	__u32 length; /* of the packet; the first KEPT_BYTES of it are kept */
	__u8 bytes[KEPT_BYTES];
};

struct packet_counters __arena_global counters;
struct kept_packet __arena_global last_packet;

/* Input, network order: the port that is answered. */
const volatile __u16 echo_port = __builtin_bswap16(7);

#define ETH_P_IP_BE __builtin_bswap16(0x0800)
#define IPPROTO_UDP 17
#define FRAGMENT_MASK_BE __builtin_bswap16(0x3fff) /* more fragments, and the offset */

/* The headers of a UDP packet over IPv4 without options. */
struct udp_packet {
	__u8 eth_destination[6];
	__u8 eth_source[6];
	__u16 eth_type;
	__u8 version_and_length;
	__u8 service;
	__u16 total_length;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 header_checksum;
	__u16 ip_source[2];
	__u16 ip_destination[2];
	__u16 source;
	__u16 destination;
	__u16 length;
	__u16 checksum;
};

#define SWAP(a, b)                                                                                                     \
	do {                                                                                                           \
		typeof(a) __a = (a);                                                                                   \
		(a) = (b);                                                                                             \
		(b) = __a;                                                                                             \
	} while (0)

/*
 * Keeps a copy of the packet, unless another CPU is just keeping its own. cmpxchg makes sequence odd; the store that
 * releases makes it even.
 */
static __always_inline void keep(const __u8 *data, const __u8 *end)
{
	struct kept_packet __arena *last = arena_kern(&last_packet);
	__u32 sequence = READ_ONCE(last->sequence);
	__u32 i;

	if (sequence & 1 || cmpxchg(&last->sequence, sequence, sequence + 1) != sequence)
		return;
	last->length = end - data;
	for (i = unknown_zero; i < KEPT_BYTES && can_loop; i++) {
		if (data + i + 1 > end)
			break;
		last->bytes[i] = data[i];
	}
	smp_store_release(&last->sequence, sequence + 2);
}

/* Turns a packet to the echo port into its answer. False for all others. */
static __always_inline bool answer(__u8 *data, const __u8 *end)
{
	struct udp_packet *packet = (struct udp_packet *)data;
	int i;

	if (data + sizeof(*packet) > end)
		return false;
	if (packet->eth_type != ETH_P_IP_BE || packet->version_and_length != 0x45)
		return false;
	if (packet->protocol != IPPROTO_UDP || packet->fragment & FRAGMENT_MASK_BE)
		return false;
	if (packet->destination != echo_port)
		return false;
	for (i = 0; i < 6; i++)
		SWAP(packet->eth_source[i], packet->eth_destination[i]);
	for (i = 0; i < 2; i++)
		SWAP(packet->ip_source[i], packet->ip_destination[i]);
	SWAP(packet->source, packet->destination);
	/* None: the sender may have left it to a device that the answer never meets. The IP header's sum is the same. */
	packet->checksum = 0;
	return true;
}

/* What is to become of a packet. */
static __always_inline int handle(__u8 *data, const __u8 *end)
{
	struct packet_counters __arena *sums = arena_kern(&counters);

	fetch_add(&sums->packets, 1);
	fetch_add(&sums->bytes, end - data);
	keep(data, end);
	if (!answer(data, end))
		return XDP_PASS;
	fetch_add(&sums->answered, 1);
	return XDP_TX;
}

#ifdef __bpf__

SEC("xdp")
int xdp_counter(struct xdp_md *ctx)
{
	return handle((__u8 *)(long)ctx->data, (__u8 *)(long)ctx->data_end);
}

/* For the other end of a veth pair, which takes packets that were sent by XDP only while a program is attached to it. */
SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__
#include <stdio.h>

/* Handles a packet to the echo port and one to another. Prints a line for each result. */
int main(void)
{
	struct {
		struct udp_packet headers;
		char text[5];
	} __attribute__((packed)) packet = {
		.headers = {
			.eth_source = { 2, 0, 0, 0, 0, 1 },
			.eth_destination = { 2, 0, 0, 0, 0, 2 },
			.eth_type = ETH_P_IP_BE,
			.version_and_length = 0x45,
			.protocol = IPPROTO_UDP,
			.source = __builtin_bswap16(4000),
			.destination = __builtin_bswap16(7),
		},
		.text = { 'h', 'e', 'l', 'l', 'o' },
	};
	__u8 *data = (__u8 *)&packet;

	if (bpf_arena_native_open(&arena))
		return 1;
	printf("echo=%d\n", handle(data, data + sizeof(packet)));
	printf("destination=%u\n", __builtin_bswap16(packet.headers.destination));
	printf("other=%d\n", handle(data, data + sizeof(packet)));
	printf("packets=%llu\nbytes=%llu\nanswered=%llu\n", counters.packets, counters.bytes, counters.answered);
	printf("sequence=%u\nlength=%u\nlast=%.5s\n", last_packet.sequence, last_packet.length,
	       (char *)last_packet.bytes + sizeof(struct udp_packet));
	return 0;
}
#endif
