// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: reading and writing bytes in the arena. hash_bytes is FNV-1a, a byte at a time; hash_words the step of XXH64
 * for 8 bytes; varint writes numbers in 7-bit groups, as protobuf does, and reads them back; base64 encodes with its
 * alphabet in .rodata.
 */
#include "bench.h"

#define BYTES (256 * 1024)
#define HASH_BYTES_PASSES 8
#define HASH_WORDS_PASSES 32
#define NUMBERS 32768
#define NUMBERS_PASSES 4
#define BASE64_BYTES (192 * 1024) /* of which it makes BYTES */
#define BASE64_PASSES 8

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
} arena SEC(".maps");

__u8 __arena *input; /* BYTES of anything */
__u8 __arena *output; /* room for BYTES, and for NUMBERS of at most 10 bytes */
__u64 __arena *numbers; /* NUMBERS, of all lengths */

/* 0, -ENOMEM, or -ETIMEDOUT. */
SEC("syscall")
int bytes_setup(void *ctx)
{
	__u64 __arena *words;
	__u32 i;

	input = bpf_arena_alloc_pages(&arena, NULL, BYTES / PAGE_SIZE, NUMA_NO_NODE, 0);
	output = bpf_arena_alloc_pages(&arena, NULL, NUMBERS * 10 / PAGE_SIZE, NUMA_NO_NODE, 0);
	numbers = bpf_arena_alloc_pages(&arena, NULL, NUMBERS * 8 / PAGE_SIZE, NUMA_NO_NODE, 0);
	if (!input || !output || !numbers)
		return -ENOMEM;
	words = (__u64 __arena *)input;
	for (i = unknown_zero; i < BYTES / 8 && can_loop; i++)
		*arena_kern(&words[i]) = bench_mix(i);
	for (i = unknown_zero; i < NUMBERS && can_loop; i++)
		*arena_kern(&numbers[i]) = bench_mix(i) >> (bench_mix(~i) & 63);
	return i < NUMBERS ? -ETIMEDOUT : 0;
}

SEC("syscall")
int hash_bytes(void *ctx)
{
	__u64 hash = 0xcbf29ce484222325ull;
	__u32 pass, i;

	arena_associate(&arena);
	for (pass = unknown_zero; pass < HASH_BYTES_PASSES && can_loop; pass++) {
		for (i = unknown_zero; i < BYTES && can_loop; i++) {
			hash ^= *arena_kern(&input[i]);
			hash *= 0x100000001b3ull;
		}
		if (i < BYTES)
			return -ETIMEDOUT;
	}
	checksum = hash;
	return pass < HASH_BYTES_PASSES ? -ETIMEDOUT : 0;
}

static __always_inline __u64 rotate64(__u64 x, __u32 by)
{
	return x << by | x >> (64 - by);
}

SEC("syscall")
int hash_words(void *ctx)
{
	__u64 __arena *words = (__u64 __arena *)input;
	__u64 hash = BYTES;
	__u32 pass, i;

	arena_associate(&arena);
	for (pass = unknown_zero; pass < HASH_WORDS_PASSES && can_loop; pass++) {
		for (i = unknown_zero; i < BYTES / 8 && can_loop; i++) {
			hash ^= rotate64(*arena_kern(&words[i]) * 0xc2b2ae3d27d4eb4full, 31) * 0x9e3779b185ebca87ull;
			hash = rotate64(hash, 27) * 0x9e3779b185ebca87ull + 0x85ebca77c2b2ae63ull;
		}
		if (i < BYTES / 8)
			return -ETIMEDOUT;
	}
	checksum = hash;
	return pass < HASH_WORDS_PASSES ? -ETIMEDOUT : 0;
}

/* Writes all numbers to output. The number of bytes. */
static __always_inline __u32 varint_write(void)
{
	__u32 i, at = unknown_zero;
	__u64 rest;

	for (i = unknown_zero; i < NUMBERS && can_loop; i++) {
		rest = *arena_kern(&numbers[i]);
		while (rest >= 0x80 && can_loop) {
			*arena_kern(&output[at]) = rest | 0x80;
			at++;
			rest >>= 7;
		}
		*arena_kern(&output[at]) = rest;
		at++;
	}
	return at;
}

/* Reads numbers from the first end bytes of output. Their sum. */
static __always_inline __u64 varint_read(__u32 end)
{
	__u64 number = 0, sum = 0;
	__u32 at, shift = 0;
	__u8 byte;

	for (at = unknown_zero; at < end && can_loop; at++) {
		byte = *arena_kern(&output[at]);
		number |= (__u64)(byte & 0x7f) << (shift & 63);
		shift += 7;
		if (byte < 0x80) {
			sum += number;
			number = 0;
			shift = 0;
		}
	}
	return sum;
}

SEC("syscall")
int varint(void *ctx)
{
	__u64 sum = 0;
	__u32 pass;

	arena_associate(&arena);
	for (pass = unknown_zero; pass < NUMBERS_PASSES && can_loop; pass++)
		sum += varint_read(varint_write());
	checksum = sum;
	return pass < NUMBERS_PASSES ? -ETIMEDOUT : 0;
}

static const char base64_alphabet[] =
	 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

SEC("syscall")
int base64(void *ctx)
{
	__u8 __arena *from;
	__u8 __arena *to;
	__u32 pass, i, bits;

	arena_associate(&arena);
	for (pass = unknown_zero; pass < BASE64_PASSES && can_loop; pass++) {
		from = input;
		to = output;
		for (i = unknown_zero; i < BASE64_BYTES / 3 && can_loop; i++) {
			bits = *arena_kern(&from[0]) << 16 | *arena_kern(&from[1]) << 8 | *arena_kern(&from[2]);
			*arena_kern(&to[0]) = base64_alphabet[bits >> 18];
			*arena_kern(&to[1]) = base64_alphabet[bits >> 12 & 63];
			*arena_kern(&to[2]) = base64_alphabet[bits >> 6 & 63];
			*arena_kern(&to[3]) = base64_alphabet[bits & 63];
			from += 3;
			to += 4;
		}
		if (i < BASE64_BYTES / 3)
			return -ETIMEDOUT;
	}
	checksum = *arena_kern((__u64 __arena *)(output + BYTES - 8));
	return pass < BASE64_PASSES ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(bytes_setup), BENCH_PROGRAM(hash_bytes), BENCH_PROGRAM(hash_words), BENCH_PROGRAM(varint),
	   BENCH_PROGRAM(base64));
