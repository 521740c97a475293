// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmarks: programs that live on their stack. sha256 (FIPS 180-4) has its message schedule there, indexed by a loop;
 * chacha20 (RFC 8439) more words of state than there are registers, at fixed places.
 */
#include "bench.h"

#define BYTES (256 * 1024)
#define BLOCK 64 /* bytes, of both */

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
} arena SEC(".maps");

__u32 __arena *message; /* BYTES */

/* 0, -ENOMEM, or -ETIMEDOUT. */
SEC("syscall")
int crypto_setup(void *ctx)
{
	__u32 i;

	message = bpf_arena_alloc_pages(&arena, NULL, BYTES / PAGE_SIZE, NUMA_NO_NODE, 0);
	if (!message)
		return -ENOMEM;
	for (i = unknown_zero; i < BYTES / 4 && can_loop; i++)
		*arena_kern(&message[i]) = bench_mix(i);
	return i < BYTES / 4 ? -ETIMEDOUT : 0;
}

static __always_inline __u32 rotate_right(__u32 x, __u32 by)
{
	return x >> by | x << (32 - by);
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const __u32 sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static __always_inline void sha256_block(__u32 *state, __u32 __arena *block)
{
	__u32 a = state[0], b = state[1], c = state[2], d = state[3];
	__u32 e = state[4], f = state[5], g = state[6], h = state[7];
	__u32 w[64], i, s0, s1, t1, t2;

	for (i = 0; i < 16; i++)
		w[i] = __builtin_bswap32(*arena_kern(&block[i]));
	for (i = 16; i < 64; i++) {
		s0 = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ w[i - 15] >> 3;
		s1 = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (i = 0; i < 64; i++) {
		s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
		t1 = h + s1 + ((e & f) ^ (~e & g)) + sha256_k[i] + w[i];
		s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
		t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

SEC("syscall")
int sha256(void *ctx)
{
	__u32 state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	__u32 at;

	arena_associate(&arena);
	for (at = unknown_zero; at < BYTES / 4 && can_loop; at += BLOCK / 4)
		sha256_block(state, &message[at]);
	checksum = (__u64)state[0] << 32 | state[7];
	return at < BYTES / 4 ? -ETIMEDOUT : 0;
}

#define QUARTER_ROUND(a, b, c, d)                                                                                      \
	do {                                                                                                           \
		a += b;                                                                                                \
		d = rotate_right(d ^ a, 16);                                                                           \
		c += d;                                                                                                \
		b = rotate_right(b ^ c, 20);                                                                           \
		a += b;                                                                                                \
		d = rotate_right(d ^ a, 24);                                                                           \
		c += d;                                                                                                \
		b = rotate_right(b ^ c, 25);                                                                           \
	} while (0)

static __always_inline void chacha20_block(const __u32 *input, __u32 __arena *block)
{
	__u32 x[16], i;

	for (i = 0; i < 16; i++)
		x[i] = input[i];
	for (i = 0; i < 10; i++) {
		QUARTER_ROUND(x[0], x[4], x[8], x[12]);
		QUARTER_ROUND(x[1], x[5], x[9], x[13]);
		QUARTER_ROUND(x[2], x[6], x[10], x[14]);
		QUARTER_ROUND(x[3], x[7], x[11], x[15]);
		QUARTER_ROUND(x[0], x[5], x[10], x[15]);
		QUARTER_ROUND(x[1], x[6], x[11], x[12]);
		QUARTER_ROUND(x[2], x[7], x[8], x[13]);
		QUARTER_ROUND(x[3], x[4], x[9], x[14]);
	}
	for (i = 0; i < 16; i++)
		*arena_kern(&block[i]) ^= x[i] + input[i];
}

/* Encrypts the message in place, and again, which gives it back. */
SEC("syscall")
int chacha20(void *ctx)
{
	/* "expand 32-byte k", a key, the block's number, a nonce. */
	__u32 input[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
	__u32 pass, at, i;
	__u64 sum = 0;

	arena_associate(&arena);
	for (i = 4; i < 16; i++)
		input[i] = i * 0x01010101;
	for (pass = unknown_zero; pass < 2 && can_loop; pass++) {
		for (at = unknown_zero; at < BYTES / 4 && can_loop; at += BLOCK / 4) {
			input[12] = at;
			chacha20_block(input, &message[at]);
			sum = sum * 31 + *arena_kern(&message[at]);
		}
		if (at < BYTES / 4)
			return -ETIMEDOUT;
	}
	checksum = sum;
	return pass < 2 ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(crypto_setup), BENCH_PROGRAM(sha256), BENCH_PROGRAM(chacha20));
