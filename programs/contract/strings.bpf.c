// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Text and numbers: the string kfuncs, bpf_strncmp, bpf_strtol and bpf_strtoul. */
#include <bpf_arena.h>

#include "check.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
} arena SEC(".maps");

/* Longer than the kfuncs look. */
char endless[70000];
char hello[] = "hello world";
char bytes[] = { 'a', (char)0xe9, 'b', 0 };

SEC("syscall")
int compare(void *ctx)
{
	check(bpf_strcmp(hello, "hello world") == 0);
	check(bpf_strcmp(hello, "hello worle") == -1);
	check(bpf_strcmp(hello, "hello") == 1);
	check(bpf_strcmp("", hello) == -1);
	check(bpf_strcmp("", "") == 0);
	/* A char of the kernel is unsigned. */
	check(bpf_strcmp(bytes, "ab") == 1);
	return 0;
}

SEC("syscall")
int compare_in_any_case(void *ctx)
{
	check(bpf_strcasecmp("HELLO World", hello) == 0);
	check(bpf_strcasecmp("HELLO Worla", hello) == -1);
	check(bpf_strcasecmp("HELLO_World", hello) == 1);
	check(bpf_strcasecmp("_", "A") == -1);
	check(bpf_strcasecmp("\xe9", "\xc9") == 0);
	check(bpf_strcmp("\xe9", "\xc9") == 1);
	return 0;
}

SEC("syscall")
int find_a_character(void *ctx)
{
	check(bpf_strchr(hello, 'o') == 4);
	check(bpf_strchr(hello, 0) == 11);
	check(bpf_strchr(hello, 'x') == -ENOENT);
	check(bpf_strchrnul(hello, 'o') == 4);
	check(bpf_strchrnul(hello, 'x') == 11);
	check(bpf_strnchr(hello, 5, 'o') == 4);
	check(bpf_strnchr(hello, 4, 'o') == -ENOENT);
	check(bpf_strnchr(hello, 100, 0) == 11);
	check(bpf_strnchr(hello, 11, 0) == -ENOENT);
	check(bpf_strrchr(hello, 'o') == 7);
	check(bpf_strrchr(hello, 'x') == -ENOENT);
	check(bpf_strrchr(hello, 0) == 11);
	check(bpf_strchr(bytes, (char)0xe9) == 1);
	check(bpf_strrchr(bytes, 0xe9) == 1);
	/* An int that is none of the kernel's chars is not found. */
	check(bpf_strrchr(bytes, (char)0xe9) == -ENOENT);
	return 0;
}

SEC("syscall")
int measure(void *ctx)
{
	check(bpf_strlen(hello) == 11);
	check(bpf_strlen("") == 0);
	check(bpf_strnlen(hello, 5) == 5);
	check(bpf_strnlen(hello, 50) == 11);
	check(bpf_strnlen(hello, 0) == 0);
	check(bpf_strspn(hello, "hel") == 4);
	check(bpf_strspn(hello, "") == 0);
	check(bpf_strspn("aaa", "a") == 3);
	check(bpf_strcspn(hello, "ow") == 4);
	check(bpf_strcspn(hello, "x") == 11);
	check(bpf_strcspn(hello, "") == 11);
	return 0;
}

SEC("syscall")
int find_text(void *ctx)
{
	check(bpf_strstr(hello, "world") == 6);
	check(bpf_strstr(hello, "") == 0);
	check(bpf_strstr(hello, "worlds") == -ENOENT);
	check(bpf_strstr("", "a") == -ENOENT);
	check(bpf_strstr("aab", "ab") == 1);
	check(bpf_strnstr(hello, "world", 11) == 6);
	check(bpf_strnstr(hello, "world", 10) == -ENOENT);
	check(bpf_strnstr(hello, "hello", 5) == 0);
	check(bpf_strnstr(hello, "", 0) == 0);
	check(bpf_strnstr(hello, "h", 0) == -ENOENT);
	check(bpf_strnstr(hello, "world", 100) == 6);
	return 0;
}

SEC("syscall")
int no_end_is_found(void *ctx)
{
	for (__u32 i = unknown_zero; i < sizeof(endless) && can_loop; i++)
		endless[i] = 'a';
	check(bpf_strlen(endless) == -E2BIG);
	check(bpf_strcmp(endless, endless) == -E2BIG);
	check(bpf_strcasecmp(endless, endless) == -E2BIG);
	check(bpf_strchr(endless, 'b') == -E2BIG);
	check(bpf_strchrnul(endless, 'b') == -E2BIG);
	check(bpf_strrchr(endless, 'a') == -E2BIG);
	check(bpf_strnchr(endless, 70000, 'b') == -E2BIG);
	check(bpf_strnchr(endless, 1000, 'b') == -ENOENT);
	check(bpf_strnlen(endless, 70000) == -E2BIG);
	check(bpf_strnlen(endless, 65536) == -E2BIG);
	check(bpf_strnlen(endless, 65535) == 65535);
	check(bpf_strspn(endless, "a") == -E2BIG);
	check(bpf_strspn("b", endless) == -E2BIG);
	check(bpf_strcspn(endless, "b") == -E2BIG);
	check(bpf_strstr(endless, "b") == -E2BIG);
	check(bpf_strnstr(endless, "b", 70000) == -E2BIG);
	check(bpf_strstr("aaa", endless) == -ENOENT);
	return 0;
}

SEC("syscall")
int nothing_is_there(void *ctx)
{
	char *null = (char *)hidden(0UL);
	char *user = (char *)hidden(0x1000UL);
	char *odd = (char *)hidden(0x1234567890abcdefUL);
	char *wild = (char *)hidden(-1UL);

	check(bpf_strlen(null) == -ERANGE);
	check(bpf_strlen(user) == -ERANGE);
	check(bpf_strlen(odd) == -ERANGE);
	check(bpf_strlen(wild) == -EFAULT);
	check(bpf_strcmp(hello, user) == -ERANGE);
	check(bpf_strcmp(user, hello) == -ERANGE);
	check(bpf_strcmp(hello, wild) == -EFAULT);
	check(bpf_strcasecmp(wild, hello) == -EFAULT);
	check(bpf_strchr(wild, 'a') == -EFAULT);
	check(bpf_strchrnul(user, 'a') == -ERANGE);
	check(bpf_strrchr(wild, 'a') == -EFAULT);
	check(bpf_strnchr(wild, 0, 'a') == -ENOENT);
	check(bpf_strnchr(user, 0, 'a') == -ERANGE);
	check(bpf_strnlen(wild, 0) == 0);
	check(bpf_strnlen(user, 0) == -ERANGE);
	check(bpf_strspn(hello, wild) == -EFAULT);
	check(bpf_strspn("", wild) == 0);
	check(bpf_strcspn(user, hello) == -ERANGE);
	check(bpf_strcspn(hello, user) == -ERANGE);
	check(bpf_strstr(hello, wild) == -EFAULT);
	check(bpf_strnstr(wild, hello, 1) == -EFAULT);
	check(bpf_strnstr(hello, user, 0) == -ERANGE);
	return 0;
}

SEC("syscall")
int the_arena_is_user_space(void *ctx)
{
	char __arena *page = bpf_arena_alloc_pages(&arena, 0, 1, NUMA_NO_NODE, 0);
	__u64 address;

	check(page);
	page[0] = 'x';
	address = (__u64)page;
	check(bpf_strlen((char *)hidden(address)) == -ERANGE);
	bpf_arena_free_pages(&arena, page, 1);
	return 0;
}

SEC("syscall")
int compare_with_a_constant(void *ctx)
{
	check(bpf_strncmp(hello, sizeof(hello), "hello world") == 0);
	check(bpf_strncmp(hello, 5, "hello") == 0);
	check(bpf_strncmp(hello, 6, "hello") == 1);
	check(bpf_strncmp(hello, 6, "hello!") < 0);
	check(bpf_strncmp(bytes, 2, "ab") > 0);
	return 0;
}

#define CONVERTS(helper, type, text, flags, length, value)                                                             \
	({                                                                                                             \
		static char __text[] = text;                                                                           \
		type __value = 0x55;                                                                                   \
		long __length = helper(__text, sizeof(__text) - 1, flags, &__value);                                   \
		__length == (length) && __value == (value);                                                            \
	})
#define TO_LONG(...) CONVERTS(bpf_strtol, long, __VA_ARGS__)
#define TO_ULONG(...) CONVERTS(bpf_strtoul, unsigned long, __VA_ARGS__)

SEC("syscall")
int text_to_a_signed_number(void *ctx)
{
	check(TO_LONG("123", 0, 3, 123));
	check(TO_LONG("  -123x", 0, 6, -123));
	check(TO_LONG("0x1f", 0, 4, 31));
	check(TO_LONG("017", 0, 3, 15));
	check(TO_LONG("089", 0, 1, 0));
	check(TO_LONG("08", 10, 2, 8));
	check(TO_LONG("0x1f", 16, 4, 31));
	check(TO_LONG("0x1f", 10, 1, 0));
	check(TO_LONG("1f", 16, 2, 31));
	check(TO_LONG("\t\n\v 7", 0, 5, 7));
	check(TO_LONG("-0x8000000000000000", 0, 19, (-0x7fffffffffffffff - 1)));
	check(TO_LONG("9223372036854775807", 0, 19, 0x7fffffffffffffff));
	check(TO_LONG("9223372036854775808", 0, -ERANGE, 0));
	check(TO_LONG("-9223372036854775809", 0, -ERANGE, 0));
	check(TO_LONG("18446744073709551616", 0, -ERANGE, 0));
	check(TO_LONG("+1", 0, -EINVAL, 0));
	check(TO_LONG("--1", 0, -EINVAL, 0));
	check(TO_LONG("- 1", 0, -EINVAL, 0));
	check(TO_LONG("x", 0, -EINVAL, 0));
	check(TO_LONG("   ", 0, -EINVAL, 0));
	check(TO_LONG("0x", 0, 1, 0));
	check(TO_LONG("0x", 16, -EINVAL, 0));
	check(TO_LONG("12", 8, 2, 10));
	check(TO_LONG("12", 2, -EINVAL, 0));
	check(TO_LONG("12", 0x100, -EINVAL, 0));
	/* No more than 63 characters are looked at. */
	check(TO_LONG("000000000000000000000000000000000000000000000000000000000000000000009", 10, 63, 0));
	return 0;
}

SEC("syscall")
int text_to_an_unsigned_number(void *ctx)
{
	check(TO_ULONG("123", 0, 3, 123));
	check(TO_ULONG("18446744073709551615 ", 0, 20, ~0UL));
	check(TO_ULONG("18446744073709551616", 0, -ERANGE, 0));
	check(TO_ULONG("-1", 0, -EINVAL, 0));
	check(TO_ULONG("-0", 0, -EINVAL, 0));
	check(TO_ULONG(" 0xFFFFFFFFFFFFFFFF", 0, 19, ~0UL));
	check(TO_ULONG("0xg", 0, 1, 0));
	check(TO_ULONG("0xg", 16, -EINVAL, 0));
	return 0;
}
