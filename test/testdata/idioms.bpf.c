// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What people write in BPF C, in one program: constants in tables and string literals, functions of every linkage,
 * variables of every section and of more than a page. Each part adds to a sum that does not depend on the compiler.
 */
#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define barrier() asm volatile("" ::: "memory")

char LICENSE[] SEC("license") = "GPL";

static const int table[8] = { 1, 2, 4, 8, 16, 32, 64, 128 };
static const short pairs[4][2] = { { 1, 10 }, { 2, 20 }, { 3, 30 }, { 4, 40 } };
const volatile int limit = 1000;
static volatile const char name[] = "idioms";
volatile int counter = 3;
static volatile long hidden_counter;
unsigned char large[10000];
volatile int named SEC(".data.named") = 5;

/* A literal that code walks ends up in .rodata.str1.1. */
static __noinline int letter(unsigned int i)
{
	const char *text = "abcdefgh";

	return text[i & 7];
}

__noinline int global_function(int x)
{
	barrier();
	return x * 3;
}

__hidden __noinline int hidden_function(int x)
{
	barrier();
	return x + limit;
}

__weak __noinline int weak_function(int x)
{
	barrier();
	return x - 1;
}

static __noinline int recursive_looking(int x)
{
	return global_function(x) + hidden_function(x);
}

static __attribute__((always_inline)) int choose(int x)
{
	switch (x & 7) {
	case 0:
		return 11;
	case 1:
		return 7;
	case 2:
		return 5;
	case 3:
		return 19;
	case 5:
		return 2;
	default:
		return 1;
	}
}

/* 3 + 5 is what counter and named hold at first. */
SEC("syscall") int sum(void *ctx)
{
	int result = counter + named;
	unsigned int i = counter;

	result += table[i & 7]; /* 8 */
	result += pairs[i & 3][1]; /* 40 */
	result += letter(i); /* 'd', 100 */
	result += name[1]; /* 'd', 100 */
	result += recursive_looking(counter); /* 9 + 1003 */
	result += weak_function(counter); /* 2 */
	result += choose(counter); /* 19 */
	hidden_counter += result;
	large[9000 + (counter & 7)] = 7;
	return result + large[9003]; /* 7 */
}

/* A second program in the section, which shares functions with the first. */
SEC("syscall") int product(void *ctx)
{
	return global_function(counter) * weak_function(counter);
}
