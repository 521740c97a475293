/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The accelerator's detour: requests for several keys, and what is rare in those for one (large flags, long values, packets with
 * padding). The answer is put together in memory of the CPU's own, and goes into the packet when it is whole.
 */
#ifndef KV_XDP_MANY_H
#define KV_XDP_MANY_H

#include "kv_xdp.h"

/* Bytes at an arena address. */
#define kv_byte(address) (*kv_at(__u8, address))
#define kv_word(address) (*kv_at(__u64, address))

/* Copies the request's keys, with what ends them, into cpu->request. */
static __always_inline void kv_take_request(const __u8 *data, const __u8 *end, __u32 keys, __u32 bytes,
					    struct kv_xdp_cpu __arena *cpu)
{
	const __u8 *p = data + keys, *stop = kv_place(data, keys + bytes);
	__u64 __arena *to = cpu->request;
	__u32 rest = bytes & 7, i;

	for (i = 0; i < KV_XDP_PAYLOAD / 8; i++) {
		if (p + 8 > stop || p + 8 > end)
			break;
		*to++ = kv_u64(p);
		p += 8;
	}
	p = kv_place(data, keys + bytes - 8);
	if (rest && p + 8 <= end)
		*to = kv_u64(p) >> (64 - 8 * rest);
}

/* Writes a number's digits. Where they end. */
static __always_inline __u64 kv_put_number(__u64 to, __u32 number)
{
	__u32 left = number, i;
	__u64 end = to;

	for (i = 0; i < 10; i++) {
		end++;
		left /= 10;
		if (!left)
			break;
	}
	for (i = 0; i < 10; i++) {
		to = end - 1 - i;
		kv_byte(to) = '0' + number % 10;
		number /= 10;
		if (!number)
			break;
	}
	return end;
}

/* Where the key at `at` ends: at a byte below 0x21, or at `end`. */
static __always_inline __u64 kv_key_end(__u64 at, __u64 end)
{
	while (at + 8 <= end && !kv_low_bytes(kv_word(at)) && can_loop)
		at += 8;
	while (at < end && kv_byte(at) > ' ' && can_loop)
		at++;
	return at;
}

/*
 * Adds to the answer at `to` what is said of the key from `at` to `end`. Where the answer goes on; below KV_XDP_COUNTS why it
 * cannot be given.
 */
static __noinline __u64 kv_add_answer(__u64 cpu_address, __u64 at, __u64 end, __u64 to)
{
	struct kv_xdp_cpu __arena *cpu = kv_at(struct kv_xdp_cpu, cpu_address);
	__u32 key_bytes = end - at, value_bytes, flags, i;
	__u64 key = (__u64)cpu->key, limit = (__u64)cpu->answer + KV_ANSWER_FRONT + KV_XDP_PAYLOAD - 8;
	struct kv_found found;
	int err;

	if (key_bytes - 1 >= KV_KEY_MAX)
		return KV_XDP_REQUEST;
	for (i = unknown_zero; i < key_bytes && can_loop; i += 8)
		kv_word(key + i) = kv_word(at + i);
	if (key_bytes & 7)
		kv_word(key + (key_bytes & ~7u)) &= ~(~0ull << 8 * (key_bytes & 7));
	err = kv_find(key, key_bytes, kv_hash(key, key_bytes), &found, false);
	if (err)
		return err == -ENOENT ? KV_XDP_MISS : KV_XDP_BUSY;
	if (!kv_may_answer(found.item))
		return KV_XDP_MISS;
	flags = kv_at(struct kv_item, found.item)->flags;
	value_bytes = kv_at(struct kv_item, found.item)->value_bytes;
	/* "VALUE ", " 4294967295 ", four digits and twice a line's end; and "END\r\n" will have to follow. */
	if (value_bytes > KV_XDP_PAYLOAD || to + 6 + key_bytes + 12 + 4 + 2 + value_bytes + 2 + 5 > limit + 16)
		return kv_is_valid(&found) ? KV_XDP_LARGE : KV_XDP_BUSY;
	kv_word(to) = kv_text4('V', 'A', 'L', 'U') | (__u64)kv_text2('E', ' ') << 32;
	to += 6;
	for (i = unknown_zero; i < key_bytes && can_loop; i += 8)
		kv_word(to + i) = kv_word(key + i);
	to += key_bytes;
	kv_byte(to) = ' ';
	to = kv_put_number(to + 1, flags);
	kv_byte(to) = ' ';
	to = kv_put_number(to + 1, value_bytes);
	kv_byte(to) = '\r';
	kv_byte(to + 1) = '\n';
	to += 2;
	if (kv_copy(to, kv_value_of(found.item, key_bytes), value_bytes) || !kv_is_valid(&found))
		return KV_XDP_BUSY;
	to += value_bytes;
	kv_byte(to) = '\r';
	kv_byte(to + 1) = '\n';
	to += 2;
	if (to + 5 > limit)
		return KV_XDP_LARGE;
	kv_mark_used(&found);
	return to;
}

/*
 * Answers a request. The packet is changed only when all is well. where: struct kv_request's ip, udp, keys and version, a byte each.
 * @returns enum kv_xdp_count
 */
__noinline int kv_answer_many(struct xdp_md *ctx, __u32 where, __u32 request_end, __u32 frame_end)
{
	const __u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;
	struct kv_request request = kv_request_at(where);
	struct kv_xdp_cpu __arena *cpu = kv_xdp_cpu();
	__u32 bytes = kv_opaque(request_end - request.keys), count = 0;
	int why;
	__u64 at, to, stop_at, next;

	if (!cpu || bytes < 2 || bytes > KV_XDP_PAYLOAD || request.keys < KV_ETHERNET_BYTES + 40)
		return KV_XDP_REQUEST;
	kv_take_request(data, end, request.keys, bytes, cpu);
	at = (__u64)cpu->request;
	stop_at = at + bytes - 1;
	if (kv_byte(stop_at) != '\n')
		return KV_XDP_REQUEST;
	if (kv_byte(stop_at - 1) == '\r')
		stop_at--;
	to = (__u64)cpu->answer;
	kv_word(to) = 0;
	to += KV_ANSWER_FRONT;
	do {
		next = kv_key_end(at, stop_at);
		if (next < stop_at && kv_byte(next) != ' ')
			return KV_XDP_REQUEST;
		to = kv_add_answer((__u64)cpu, at, next, to);
		if (to < KV_XDP_COUNTS)
			return to;
		count++;
		at = next + 1;
		if (next >= stop_at)
			goto all;
	} while (can_loop);
	return KV_XDP_BUSY;

all:
	kv_word(to) = kv_text4('E', 'N', 'D', '\r') | (__u64)'\n' << 32;
	bytes = to + 5 - (__u64)cpu->answer;
	why = kv_put_answer(ctx, where, frame_end, (__u64)cpu->answer, bytes);
	return kv_count_keys(cpu, count, request.keys - 6 + bytes, why);
}

/* Answers, or passes: whatever the request is. */
__noinline int kv_answer_any(struct xdp_md *ctx)
{
	struct kv_xdp_cpu __arena *cpu = kv_xdp_cpu();
	struct kv_request request;
	int why;

	if (!cpu)
		return XDP_PASS;
	why = kv_parse(ctx, &request);
	if (why == KV_XDP_HIT) {
		why = kv_answer_one(ctx, &request, cpu);
		if (why == -EAGAIN && request.checksum && !kv_is_checked(&request, kv_sum_packet(ctx, request.keys, request.end)))
			why = KV_XDP_HEADERS;
		if (why == -EAGAIN)
			why = kv_answer_many(ctx, kv_where(&request), request.end, request.frame_end);
	}
	cpu->count[why & 15]++;
	return why == KV_XDP_HIT ? XDP_TX : XDP_PASS;
}

#ifdef __bpf__

/* Answers, or passes. Not loaded unless it is wanted (autoload), since the verifier takes its time. */
SEC("?xdp")
int kv_xdp_answer(struct xdp_md *ctx)
{
	struct kv_xdp_cpu __arena *cpu = kv_xdp_cpu();

	if (!cpu || !kv_xdp.port)
		return XDP_PASS;
	return kv_answer_hot(ctx, cpu) ? XDP_TX : kv_answer_any(ctx);
}

/* Gives each CPU slots for hot answers, as many as there is memory for: with less than a page each has none. */
static __always_inline void kv_make_slots(__u32 cpus)
{
	__u32 slots = KV_HOT_MOST, share = kv.budget / KV_HOT_SHARE, cpu;
	struct kv_xdp_cpu __arena *of;

	for (; slots >= KV_HOT_FEWEST && can_loop; slots /= 2) {
		kv_xdp.hot_pages = (slots * sizeof(struct kv_hot) + PAGE_SIZE - 1) / PAGE_SIZE * cpus;
		if (kv_xdp.hot_pages > share)
			continue;
		kv_xdp.hot = kv_take_pages(kv_xdp.hot_pages);
		if (kv_xdp.hot)
			break;
	}
	if (!kv_xdp.hot) {
		kv_xdp.hot_pages = 0;
		return;
	}
	for (cpu = unknown_zero; cpu < cpus && can_loop; cpu++) {
		of = kv_at(struct kv_xdp_cpu, kv_xdp.cpu + cpu * PAGE_SIZE);
		of->hot = kv_xdp.hot + (__u64)cpu * (kv_xdp.hot_pages / cpus) * PAGE_SIZE;
		of->hot_slots = slots;
	}
}

/*
 * Makes what each CPU needs; run->argument is their number. 0, -EINVAL, -ENOMEM. Before it has run, all packets pass; nothing of it is in a
 * snapshot.
 */
SEC("syscall")
int kv_xdp_start(struct kv_run *run)
{
	__u32 cpus = run->argument;

	arena_associate(&arena);
	if (cpus < 1 || cpus > 4096)
		return -EINVAL;
	if (kv_xdp.cpu && cpus <= kv_xdp.cpus)
		return 0;
	if (kv_xdp.cpu)
		kv_give_pages(kv_xdp.cpu, kv_xdp.cpus);
	if (kv_xdp.hot)
		kv_give_pages(kv_xdp.hot, kv_xdp.hot_pages);
	kv_xdp.hot = 0;
	kv_xdp.cpu = kv_take_pages(cpus);
	kv_xdp.cpus = cpus;
	if (!kv_xdp.cpu)
		return -ENOMEM;
	kv_make_slots(cpus);
	return 0;
}

#endif

#endif /* KV_XDP_MANY_H */
