// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A global variable in every place one can lie: .data, .rodata and .bss with and without a name of their own, the
 * arena, kconfig and kernel symbols. One program compares them with their initial values, one changes them, one copies
 * what the loader resolved. The arena ends at a 4 GiB boundary, so the low half of its address is not zero.
 */
#include "bpf_arena.h"

#define ARENA_PAGES 256

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ARENA_PAGES);
	__ulong(map_extra, (6ull << 44) + (1ull << 32) - ARENA_PAGES * PAGE_SIZE);
} arena SEC(".maps");

struct point {
	__s16 x;
	__s16 y;
	__u8 tag;
};

struct item {
	struct item __arena *next;
	struct point at;
	__u32 weight : 20;
	__u32 kind : 12;
	char name[12];
};

/*
 * Static variables are volatile here: clang shrinks one that only ever holds two values to a byte and splits arrays, and
 * the kernel refuses BTF whose types are larger than their variables.
 */

/* .data */
int data_int = 7;
__u64 data_u64 = 0x1122334455667788;
struct point data_struct = { -1, 2, 3 };
char data_text[16] = "data";
static volatile int data_static = -70;
int data_named SEC(".data.named") = 71;

/* .rodata: constant to the verifier once loaded, settable before */
const volatile int rodata_int = 8;
const volatile __s64 rodata_s64 = -8;
const volatile __u16 rodata_array[4] = { 10, 20, 30, 40 };
const volatile int rodata_named SEC(".rodata.named") = 81;

/* .bss */
__u64 bss_u64;
int bss_array[4];
static volatile int bss_static;
int bss_named SEC(".bss.named");

/* The arena. */
__u8 __arena_global arena_u8 = 0x5a;
__s16 __arena_global arena_s16 = -1234;
__u32 __arena_global arena_u32 = 0xdeadbeef;
__u64 __arena_global arena_u64 = 0x0123456789abcdef;
__u64 __arena_global arena_zero;
int __arena_global arena_array[5] = { 1, 2, 3, 4, 5 };
struct item __arena_global arena_item = { .at = { 5, -6, 7 }, .weight = 100000, .kind = 2000, .name = "item" };
struct item __arena_global arena_items[3];
static volatile __u64 __arena_global arena_static = 99;
static volatile int __arena_global arena_static_array[3] = { 7, 8, 9 };
/* A pointer in the arena to the arena. It gets its value from a program: loaders do not relocate data. */
struct item __arena *__arena_global arena_chain;
/* More than a page, so that the globals take several. */
__u8 __arena_global arena_big[PAGE_SIZE + 1];

/*
 * Output of arena_globals_check: bit i of wrong is set when comparison i failed. Volatile, so that the value goes through
 * memory, where the verifier forgets it; it would follow every combination of bits.
 */
volatile __u32 checked;
volatile __u64 wrong;

/* Output of arena_globals_change. */
struct item __arena *chain; /* arena_items, then arena_item */
__u64 user_address; /* of arena_item, after a cast to arena address and back */

static __always_inline void expect(bool right)
{
	if (!right)
		wrong |= 1ull << (checked & 63);
	checked++;
}

/* Compares every global with its initial value. The number of differences. */
SEC("syscall")
int arena_globals_check(void *ctx)
{
	__u64 rest;
	int differences = 0;

	checked = 0;
	wrong = 0;
	expect(data_int == 7);
	expect(data_u64 == 0x1122334455667788);
	expect(data_struct.x == -1 && data_struct.y == 2 && data_struct.tag == 3);
	expect(data_text[0] == 'd' && data_text[3] == 'a' && data_text[4] == 0);
	expect(data_static == -70);
	expect(data_named == 71);

	expect(rodata_int == 8);
	expect(rodata_s64 == -8);
	expect(rodata_array[0] == 10 && rodata_array[3] == 40);
	expect(rodata_named == 81);

	expect(bss_u64 == 0);
	expect(bss_array[0] == 0 && bss_array[3] == 0);
	expect(bss_static == 0);
	expect(bss_named == 0);

	expect(*arena_kern(&arena_u8) == 0x5a);
	expect(*arena_kern(&arena_s16) == -1234);
	expect(*arena_kern(&arena_u32) == 0xdeadbeef);
	expect(*arena_kern(&arena_u64) == 0x0123456789abcdef);
	expect(*arena_kern(&arena_zero) == 0);
	expect(*arena_kern(&arena_array[0]) == 1 && *arena_kern(&arena_array[4]) == 5);
	expect(arena_kern(&arena_item)->next == NULL);
	expect(arena_kern(&arena_item)->at.x == 5 && arena_kern(&arena_item)->at.y == -6);
	expect(arena_kern(&arena_item)->weight == 100000 && arena_kern(&arena_item)->kind == 2000);
	expect(arena_kern(&arena_item)->name[0] == 'i' && arena_kern(&arena_item)->name[3] == 'm');
	expect(arena_kern(&arena_items[2])->weight == 0);
	expect(*arena_kern(&arena_static) == 99);
	expect(*arena_kern(&arena_static_array[2]) == 9);
	expect(*arena_kern(&arena_chain) == NULL);
	expect(*arena_kern(&arena_big[PAGE_SIZE]) == 0);

	for (rest = wrong; rest && can_loop; rest &= rest - 1)
		differences++;
	return differences;
}

/* Gives every global that can change another value, and links arena_items and arena_item to a chain. 0. */
SEC("syscall")
int arena_globals_change(void *ctx)
{
	struct item __arena *item = &arena_item;
	int i;

	data_int = 17;
	data_u64 = ~data_u64;
	data_struct.x = 11;
	data_struct.tag = 13;
	data_text[0] = 'D';
	data_static = 170;
	data_named = 171;

	bss_u64 = rodata_int + rodata_s64 + rodata_array[1] + rodata_named;
	bss_array[3] = 33;
	bss_static = 44;
	bss_named = 55;

	*arena_kern(&arena_u8) = 0xa5;
	*arena_kern(&arena_s16) = 4321;
	*arena_kern(&arena_u32) = 0xfeedface;
	*arena_kern(&arena_u64) = 0xfedcba9876543210;
	*arena_kern(&arena_zero) = 1;
	for (i = 0; i < 5; i++)
		*arena_kern(&arena_array[i]) *= 10;
	*arena_kern(&arena_static) = 199;
	*arena_kern(&arena_static_array[2]) = 19;
	*arena_kern(&arena_big[PAGE_SIZE]) = 77;

	for (i = 0; i < 3; i++) {
		arena_kern(&arena_items[i])->next = i < 2 ? &arena_items[i + 1] : &arena_item;
		arena_kern(&arena_items[i])->weight = i + 1;
	}
	*arena_kern(&arena_chain) = &arena_items[0];
	chain = &arena_items[0];

	cast_kern(item);
	item->at.x++;
	item->kind++;
	cast_user(item);
	user_address = (__u64)item;
	return user_address == (__u64)&arena_item ? 0 : -EINVAL;
}

#ifdef __bpf__

extern int LINUX_KERNEL_VERSION __kconfig;
extern int CONFIG_HZ __kconfig __weak;
extern bool CONFIG_BPF_JIT __kconfig __weak;
extern enum libbpf_tristate CONFIG_IPV6 __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[64] __kconfig __weak;
extern int CONFIG_BPF_ARENA_NO_SUCH_OPTION __kconfig __weak;

extern void bpf_arena_no_such_kfunc(void) __ksym __weak;
extern const void bpf_arena_no_such_symbol __ksym __weak;

/* Output of arena_globals_externs. */
int kernel_version; /* major << 16 | minor << 8 | patch */
int hz;
bool jit;
int ipv6; /* enum libbpf_tristate */
char hostname_first;
int missing_option = -1; /* these three become 0 */
int has_missing_kfunc = -1;
int has_missing_symbol = -1;
int has_alloc = -1; /* this one 1 */

/* Copies what the loader resolved. 0. */
SEC("syscall")
int arena_globals_externs(void *ctx)
{
	kernel_version = LINUX_KERNEL_VERSION;
	hz = CONFIG_HZ;
	jit = CONFIG_BPF_JIT;
	ipv6 = CONFIG_IPV6;
	hostname_first = CONFIG_DEFAULT_HOSTNAME[0];
	missing_option = CONFIG_BPF_ARENA_NO_SUCH_OPTION;
	has_missing_kfunc = bpf_ksym_exists(bpf_arena_no_such_kfunc);
	if (has_missing_kfunc)
		bpf_arena_no_such_kfunc();
	has_missing_symbol = bpf_ksym_exists(&bpf_arena_no_such_symbol);
	has_alloc = bpf_ksym_exists(bpf_arena_alloc_pages);
	return 0;
}

#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__
#include <stdio.h>

/* Checks, changes, checks again. Prints a line for each result. */
int main(void)
{
	struct item *item;
	__u64 weight = 0;

	if (bpf_arena_native_open(&arena))
		return 1;
	printf("arena_globals_check=%d\n", arena_globals_check(NULL));
	printf("checked=%u\nwrong=%llu\n", checked, wrong);
	printf("arena_globals_change=%d\n", arena_globals_change(NULL));
	printf("data_u64=%llu\nbss_u64=%llu\n", data_u64, bss_u64);
	for (item = chain; item; item = item->next)
		weight += item->weight;
	printf("chain_weight=%llu\n", weight);
	printf("changed_check=%d\n", arena_globals_check(NULL));
	printf("changed_wrong=%llu\n", wrong);
	return 0;
}
#endif
