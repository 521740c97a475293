// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands around the store's XDP program when it is measured: the program that does least of all that answer (it swaps
 * addresses and sends the packet back), whose rate is the ceiling of the set-up; and a source and a sink of packets that need no
 * sockets. The source runs as a test run with live frames: each repetition is a packet that the interface sends.
 */
#include "bpf_arena.h"
#include "bpf_helper_defs.h"
#include "kv_packet.h"

/* The frames that kv_inject sends, in turn. All are of one length. */
#define FRAMES 65536
#define FRAME_BYTES 128
#define FRAME_PAGES (FRAMES / (PAGE_SIZE / FRAME_BYTES))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FRAME_PAGES + 1);
} arena SEC(".maps");

struct rig_frame {
	__u64 words[FRAME_BYTES / 8];
};

struct rig_counters {
	__u64 next;
	__u64 packets;
	__u64 bytes;
};

/* FRAMES of them, where kv_frames has run. */
struct rig_frame __arena *__arena_global frames;
struct rig_counters __arena_global counters;

/* Network order: the port that echo answers. */
const volatile __u16 port = __builtin_bswap16(11211);

/* Makes room for frames, which user space then fills. */
SEC("syscall")
int kv_frames(void *ctx)
{
	frames = bpf_arena_alloc_pages(&arena, NULL, FRAME_PAGES, NUMA_NO_NODE, 0);
	return frames ? 0 : -ENOMEM;
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
 * Sends the next frame. The test run's packet is one byte longer than that: frames come back from whoever had them last with the length
 * that they had there, and only where the program changes it is it set anew.
 */
SEC("xdp")
int kv_inject(struct xdp_md *ctx)
{
	__u8 *data;
	const __u8 *end;
	struct rig_frame __arena *frame = &frames[counters.next++ % FRAMES];
	__u64 *words;
	__u32 i, done;

	if (bpf_xdp_adjust_tail(ctx, -1))
		return XDP_ABORTED;
	data = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	words = (__u64 *)data;
	for (i = 0; i < FRAME_BYTES / 8; i++) {
		if ((__u8 *)&words[i + 1] > end)
			break;
		words[i] = frame->words[i];
	}
	/* What is left of a multiple of 8. */
	data = (__u8 *)&words[i];
	done = 8 * i;
	for (i = 0; i < 7 && data + i + 1 <= end; i++)
		data[i] = ((__u8 __arena *)frame)[done + i];
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
