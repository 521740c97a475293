// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands around the store's XDP program when it is measured: the program that does least of all that answer (it swaps
 * addresses and sends the packet back), whose rate is the ceiling of the set-up; and a source and a sink of packets that need no
 * sockets. The source runs as a test run with live frames: each repetition is a packet that the interface sends.
 */
#include "bpf_arena.h"
#include "bpf_helper_defs.h"
#include "kv_packet.h"

/*
 * The requests that kv_inject sends, in turn. They differ in the last bytes of the key and in UDP's checksum alone, so that is what is kept
 * of each: whole frames would push out of the caches what the store has there, as no sender does that is a machine of its own.
 */
#define REQUESTS 65536
#define REQUEST_PAGES (REQUESTS / (PAGE_SIZE / sizeof(struct rig_request)))
/* Of the first of them, all. Where in a frame the checksum is, and the key's last eight bytes. */
#define FRAME_BYTES 86
#define CHECKSUM_AT 40
#define KEY_AT 76

struct rig_request {
	__u64 key;
	__u64 checksum;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, REQUEST_PAGES + 1);
} arena SEC(".maps");

struct rig_frame {
	__u64 words[(FRAME_BYTES + 7) / 8];
};

struct rig_counters {
	__u64 next;
	__u64 packets;
	__u64 bytes;
};

/* REQUESTS of them, where kv_requests has run. */
struct rig_request __arena *__arena_global requests;
struct rig_frame __arena_global frame;
struct rig_counters __arena_global counters;

/* Network order: the port that echo answers. */
const volatile __u16 port = __builtin_bswap16(11211);

/* Makes room for requests, which user space then fills. */
SEC("syscall")
int kv_requests(void *ctx)
{
	requests = bpf_arena_alloc_pages(&arena, NULL, REQUEST_PAGES, NUMA_NO_NODE, 0);
	return requests ? 0 : -ENOMEM;
}

/* Answers a packet with itself. */
SEC("xdp")
int kv_echo(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data;
	const __u8 *end = (__u8 *)(long)ctx->data_end;
	struct kv_ethernet *ethernet = (struct kv_ethernet *)data;
	struct kv_ipv4 *ip = (struct kv_ipv4 *)(ethernet + 1);
	struct kv_udp *udp = (struct kv_udp *)(ip + 1);
	struct kv_ethernet link;
	__u32 address;
	__u16 source;

	if ((__u8 *)(udp + 1) > end || ethernet->type != KV_ETH_IPV4 || ip->version != 0x45 || ip->protocol != KV_UDP ||
	    udp->destination != port)
		return XDP_PASS;
	link = *ethernet;
	__builtin_memcpy(ethernet->destination, link.source, 6);
	__builtin_memcpy(ethernet->source, link.destination, 6);
	address = ip->source;
	ip->source = ip->destination;
	ip->destination = address;
	source = udp->source;
	udp->source = udp->destination;
	udp->destination = source;
	udp->checksum = 0;
	return XDP_TX;
}

/* For the other end of a veth pair, which takes packets that were sent by XDP only while a program is attached to it. */
SEC("xdp")
int kv_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* Counts what comes, and lets it go no further. */
SEC("xdp")
int kv_sink(struct xdp_md *ctx)
{
	/* One queue, one CPU at a time. */
	counters.packets++;
	counters.bytes += ctx->data_end - ctx->data;
	return XDP_DROP;
}

/*
 * Sends the next request. The test run's packet is one byte longer than that: frames come back from whoever had them last with the length
 * that they had there, and only where the program changes it is it set anew.
 */
SEC("xdp")
int kv_inject(struct xdp_md *ctx)
{
	struct rig_request __arena *request = &requests[counters.next++ % REQUESTS];
	__u8 *data;
	__u32 i;

	if (bpf_xdp_adjust_tail(ctx, -1))
		return XDP_ABORTED;
	data = (__u8 *)(long)ctx->data;
	if (data + FRAME_BYTES > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (i = 0; i < FRAME_BYTES / 8; i++)
		((__u64 *)data)[i] = frame.words[i];
#pragma unroll
	for (i *= 8; i < FRAME_BYTES; i++)
		data[i] = ((__u8 __arena *)frame.words)[i];
	*(__u64 *)(data + KEY_AT) = request->key;
	*(__u16 *)(data + CHECKSUM_AT) = request->checksum;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
