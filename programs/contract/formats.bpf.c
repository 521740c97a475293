// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Formatted text. */
#include <bpf_arena.h>

#include "check.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
} arena SEC(".maps");

char buf[64];
char hello[] = "hello";
char bytes[20] = { 127, 0, 0, 1, 10, 20, 30, 40, 0, 0, 0, 0, 0, 0, 0, 1 };
char ipv6[16] = { 0x20, 0x01, 0x0d, (char)0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
char odd[] = { 'a', 1, (char)0xe9, 'b', 0 };
char large[3000];

/* Addresses must not be constants: no relocation is done there. */
#define addr(of) hidden((__u64)(of))

/* What a format makes of its arguments, and how long that is with its 0. */
#define PRINTS(expected, format, ...)                                                                                  \
	({                                                                                                             \
		static const char __format[] = format;                                                                 \
		__u64 __args[] = { __VA_ARGS__ };                                                                      \
		long __length = bpf_snprintf(buf, sizeof(buf), __format, __args, sizeof(__args));                      \
		__length == sizeof(expected) && bpf_strcmp(buf, expected) == 0;                                        \
	})

SEC("syscall")
int integers(void *ctx)
{
	check(PRINTS("-5", "%d", -5));
	check(PRINTS("-5 4294967291", "%i %u", -5, -5));
	check(PRINTS("1 0", "%d %d", 0x100000001, 0x100000000));
	check(PRINTS("4294967297", "%ld", 0x100000001));
	check(PRINTS("-1 18446744073709551615", "%lld %llu", -1, -1));
	check(PRINTS("ff FF ffffffffffffffff", "%x %X %lx", 255, 255, -1));
	check(PRINTS("100%", "%d%%", 100));
	check(PRINTS("a", "%c", 'a'));
	return 0;
}

SEC("syscall")
int widths_and_flags(void *ctx)
{
	check(PRINTS("|   42|", "|%5d|", 42));
	check(PRINTS("|42   |", "|%-5d|", 42));
	check(PRINTS("|00042|", "|%05d|", 42));
	check(PRINTS("|-0042|", "|%05d|", -42));
	check(PRINTS("|+42|", "|%+d|", 42));
	check(PRINTS("| 42|", "|% d|", 42));
	check(PRINTS("|42   |", "|%-05d|", 42));
	check(PRINTS("|+0042|", "|%+05d|", 42));
	check(PRINTS("|  ff|", "|%4x|", 255));
	check(PRINTS("|    a|", "|%5c|", 'a'));
	check(PRINTS("|a    |", "|%-5c|", 'a'));
	check(PRINTS("|  hello|", "|%7s|", addr(hello)));
	check(PRINTS("|hello  |", "|%-7s|", addr(hello)));
	check(PRINTS("|  hello|", "|%07s|", addr(hello)));
	return 0;
}

SEC("syscall")
int text(void *ctx)
{
	char on_stack[8] = "stack";

	check(PRINTS("hello stack", "%s %s", addr(hello), addr(on_stack)));
	check(PRINTS("hello", "%pks", addr(hello)));
	check(PRINTS("<>", "<%s>", 0));
	check(PRINTS("<>", "<%s>", hidden(-16UL)));
	check(PRINTS("<>", "<%s>", hidden(0x1000UL)));
	check(PRINTS("<>", "<%pus>", addr(hello)));
	check(PRINTS("a\1\xe9""b", "%s", addr(odd)));
	return 0;
}

SEC("syscall")
int text_of_user_space(void *ctx)
{
	char __arena *page = bpf_arena_alloc_pages(&arena, 0, 1, NUMA_NO_NODE, 0);
	void *address;
	int failed = 0;

	check(page);
	page[0] = 'h';
	page[1] = 'i';
	address = (void *)hidden((__u64)page);
	/* Linux reads only what the process has touched. */
	expect(bpf_copy_from_user(buf, 4, address) == 0);
	expect(PRINTS("hi hi", "%s %pus", addr(address), addr(address)));
	expect(PRINTS("<>", "<%pks>", addr(address)));
	bpf_arena_free_pages(&arena, page, 1);
	return failed;
}

SEC("syscall")
int addresses(void *ctx)
{
	check(PRINTS("127.0.0.1 127.000.000.001", "%pI4 %pi4", addr(bytes), addr(bytes)));
	check(PRINTS("10.20.30.40", "%pI4", addr(bytes + 4)));
	check(PRINTS("2001:0db8:0000:0000:0000:0000:0000:0001", "%pI6", addr(ipv6)));
	check(PRINTS("20010db8000000000000000000000001", "%pi6", addr(ipv6)));
	check(PRINTS("0.0.0.0", "%pI4", hidden(0x1000UL)));
	/* Their width is not heeded. */
	check(PRINTS("|127.0.0.1|", "|%14pI4|", addr(bytes)));
	/* Only hashes of other pointers are shown, but for NULL. */
	check(PRINTS("0000000000000000", "%p", 0));
	check(PRINTS("0000000000001234", "%px", 0x1234));
	return 0;
}

#define FAILS(format, size)                                                                                            \
	({                                                                                                             \
		static const char __format[] = format;                                                                 \
		__u64 __args[13] = {};                                                                                 \
		bpf_trace_vprintk(__format, sizeof(__format), __args, size) == -EINVAL;                                \
	})

SEC("syscall")
int what_is_no_format_is_refused(void *ctx)
{
	check(FAILS("%d", 0));
	check(FAILS("%d %d", 8));
	check(FAILS("%", 8));
	check(FAILS("%y", 8));
	check(FAILS("%lld %", 8));
	check(FAILS("%lllx", 8));
	check(FAILS("%ls", 8));
	check(FAILS("%lc", 8));
	check(FAILS("%o", 8));
	check(FAILS("%hd", 8));
	check(FAILS("%zd", 8));
	check(FAILS("%.3d", 8));
	check(FAILS("%#x", 8));
	check(FAILS("%*d", 8));
	check(FAILS("%pI5", 8));
	check(FAILS("%pI", 8));
	check(FAILS("%pku", 8));
	check(FAILS("%pM", 8));
	check(FAILS("\1", 8));
	check(FAILS("%d", 7));
	check(FAILS("%d", 104));
	return 0;
}

SEC("syscall")
int long_text_is_cut(void *ctx)
{
	static const char one[] = "%s|", two[] = "%s|%s", number[] = "%s%d", character[] = "%s%c";
	__u64 args[] = { addr(large), addr(large) };
	__u32 i;

	for (i = unknown_zero; i < sizeof(large) - 1 && can_loop; i++)
		large[i] = 'a' + i % 26;
	buf[5] = buf[6] = 'x';
	check(bpf_snprintf(buf, 6, one, args, sizeof(args)) == 511 + 2);
	check(buf[4] == 'e' && !buf[5] && buf[6] == 'x');
	check(bpf_snprintf(0, 0, one, args, sizeof(args)) == 511 + 2);
	/* All arguments share 512 bytes. */
	check(bpf_snprintf(buf, 6, two, args, sizeof(args)) == -ENOSPC);
	args[0] = addr(large + sizeof(large) - 1 - 504);
	check(bpf_snprintf(buf, 6, two, args, sizeof(args)) == 504 + 1 + 6 + 1);
	check(bpf_snprintf(buf, 6, number, args, sizeof(args)) > 0);
	args[0] = addr(large + sizeof(large) - 1 - 508);
	check(bpf_snprintf(buf, 6, number, args, sizeof(args)) == -ENOSPC);
	check(bpf_snprintf(buf, 6, character, args, sizeof(args)) == 508 + 1 + 1);
	args[0] = addr(large + sizeof(large) - 1 - 511);
	check(bpf_snprintf(buf, 6, character, args, sizeof(args)) == -ENOSPC);
	return 0;
}

SEC("syscall")
int twelve_arguments_are_printed(void *ctx)
{
	check(PRINTS("1 2 3 4 5 6 7 8 9 10 11 12", "%d %d %d %d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
		     11, 12));
	check(PRINTS("1", "%d", 1, 2, 3));
	return 0;
}
