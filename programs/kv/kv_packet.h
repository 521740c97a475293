/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Headers of packets as they lie there, byte for byte: every field has an address that is a multiple of 2 only, so they are packed,
 * and fields are in network order. Also memcached's header of UDP datagrams.
 */
#ifndef KV_PACKET_H
#define KV_PACKET_H

#include "bpf_types.h"

#define kv_be16(number) ((__u16)__builtin_bswap16(number))

#define KV_ETH_IPV4 kv_be16(0x0800)
#define KV_ETH_IPV6 kv_be16(0x86dd)
#define KV_ETH_VLAN kv_be16(0x8100)
#define KV_ETH_VLAN_SERVICE kv_be16(0x88a8)
#define KV_UDP 17

#define KV_PACKED __attribute__((packed, aligned(2)))

struct kv_ethernet {
	__u8 destination[6];
	__u8 source[6];
	__u16 type;
} KV_PACKED;

/* What a tag puts between: the type behind it is that of what follows. */
struct kv_vlan {
	__u16 tag;
	__u16 type;
} KV_PACKED;

struct kv_ipv4 {
	__u8 version; /* and the header's length in words: 0x45 without options */
	__u8 service;
	__u16 total_bytes;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
} KV_PACKED;

struct kv_ipv6 {
	__u32 version; /* class, flow label */
	__u16 payload_bytes;
	__u8 next_header;
	__u8 hop_limit;
	__u64 source[2];
	__u64 destination[2];
} KV_PACKED;

struct kv_udp {
	__u16 source;
	__u16 destination;
	__u16 bytes; /* with this header */
	__u16 checksum;
} KV_PACKED;

/* What memcached puts before a command or an answer. */
struct kv_datagram {
	__u16 request;
	__u16 sequence; /* of this datagram in the message, from 0 */
	__u16 total; /* datagrams of the message */
	__u16 reserved; /* 0 */
} KV_PACKED;

#endif /* KV_PACKET_H */
