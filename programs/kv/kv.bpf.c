// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A key/value store in the arena, and the programs that user space runs on it. kv_start comes first, then kv_batch as often as there
 * are commands, on any CPU, each with a port of its own. docs/kv-store.md says how it is built.
 */
#include "bpf_kfuncs.h"
#include "kv.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 18);
} arena SEC(".maps");

struct kv_settings kv_settings = { .budget_pages = 1 << 14, .ports = 1 };

#include "kv_change.h"
#include "kv_crawl.h"
#include "kv_get.h"
#include "kv_look.h"
#include "kv_number.h"
#include "kv_store.h"
#include "kv_xdp_many.h"

/* Takes pages for a port's buffers. They are not given back. */
static __always_inline int kv_open_port(__u32 number)
{
	struct kv_port __arena *port = &kv.port[number & (KV_PORTS - 1)];

	port->commands = kv_take_pages(kv.buffer_bytes / PAGE_SIZE);
	port->results = kv_take_pages(kv.buffer_bytes / PAGE_SIZE);
	kv.port_pages += kv.buffer_bytes / PAGE_SIZE * 2;
	return port->commands && port->results ? 0 : -ENOMEM;
}

/* Random odd numbers, from the seed (splitmix64): all of them, whatever is left of the loop budget. */
static __always_inline void kv_make_factors(void)
{
	__u64 state = kv_settings.seed, factor;
	__u32 i;

	for (i = 0; i < KV_KEY_WORDS; i++) {
		state += 0x9e3779b97f4a7c15ull;
		factor = (state ^ state >> 30) * 0xbf58476d1ce4e5b9ull;
		factor = (factor ^ factor >> 27) * 0x94d049bb133111ebull;
		kv.factor[i] = (factor ^ factor >> 31) | 1;
	}
}

/*
 * Allocates what the settings say. 0; -EINVAL for settings that cannot be, -ENOMEM where the budget or the arena does not do, -EBUSY
 * where it was started before, -EAGAIN where the loop budget has ended: run it again.
 */
SEC("syscall")
int kv_start(struct kv_run *run)
{
	__u32 bytes = kv_settings.buffer_bytes ? kv_settings.buffer_bytes : KV_BUFFER_BYTES, port;
	/* As many segments as could be of use, were all items of the smallest size. */
	__u32 directory = kv_settings.budget_pages / 96 * 4 / PAGE_SIZE + 1;
	__u64 segment;

	arena_associate(&arena);
	if (kv.state)
		return -EBUSY;
	if (kv_settings.ports < 1 || kv_settings.ports > KV_PORTS || bytes % PAGE_SIZE || bytes > KV_BUFFER_BYTES)
		return -EINVAL;
	if (!kv.segments) {
		kv.budget = kv_settings.budget_pages;
		kv.buffer_bytes = bytes;
		kv.pages = (sizeof(kv) + PAGE_SIZE - 1) / PAGE_SIZE;
		kv.directory = kv_take_pages(directory);
		segment = kv_take_pages(KV_SEGMENT_PAGES);
		if (!kv.directory || !segment)
			return -ENOMEM;
		kv.upper = segment >> 32 << 32;
		kv.directory_pages = directory;
		kv_at(__u32, kv.directory)[0] = segment;
		kv.segments_max = directory * PAGE_SIZE / 4;
		kv.epoch = 1 << 8;
		kv_make_factors();
		kv.segments = 1;
	}
	for (port = kv.started; port < kv_settings.ports && can_loop; port++) {
		if (kv_open_port(port))
			return -ENOMEM;
		kv.started++;
	}
	if (kv.started < kv_settings.ports || !kv_make_classes())
		return -EAGAIN;
	kv.state = kv_state(KV_SEGMENT_BUCKETS);
	return 0;
}

/* One command, of which is known that it lies in the buffer as a whole. Bytes of results; 0: not now. */
static __always_inline __u32 kv_command(__u64 command, __u64 result, __u32 room, __u32 who, __u32 hash)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 op = c->op, wrote;

	switch (op) {
	case KV_GET:
		wrote = kv_get(command, result, room, who, hash);
		return wrote == KV_NOTHING_YET ? kv_get_miss(command, result, who) : wrote;
	case KV_SET:
	case KV_ADD:
	case KV_REPLACE:
		kv_counts(who)->all.sets++;
		return kv_store(command, result, who, op);
	case KV_APPEND:
	case KV_PREPEND:
		kv_counts(who)->all.sets++;
		wrote = kv_concatenate(command, result, who);
		return wrote == KV_NOTHING_YET ? kv_store(command, result, who, KV_ADD) : wrote;
	case KV_INCR:
	case KV_DECR:
		wrote = kv_arithmetic(command, result, who);
		return wrote == KV_NOTHING_YET ? kv_first_number(command, result, who) : wrote;
	case KV_DELETE:
		if (c->options & KV_DROP_VALUE)
			return kv_drop_value(command, result, who);
		return kv_change(command, result, who);
	case KV_TOUCH_ONLY:
		return kv_change(command, result, who);
	case KV_FLUSH:
		kv_counts(who)->all.flushes++;
		kv_flush(c->expires);
		return kv_answer(result, KV_OK);
	case KV_RESERVE:
		return kv_reserve(command, result, who);
	case KV_RELEASE:
		return kv_release(command, result);
	default:
		return kv_answer(result, KV_BAD_COMMAND);
	}
}

/* Bytes of a command with what follows it; 0: it cannot be. */
static __always_inline __u32 kv_command_bytes(__u64 command)
{
	struct kv_command __arena *c = kv_at(struct kv_command, command);
	__u32 key_bytes = c->key_bytes, value_bytes = c->value_bytes, op = c->op;

	if (key_bytes > KV_KEY_MAX || (!key_bytes && op != KV_FLUSH))
		return 0;
	if (op == KV_RESERVE || op == KV_RELEASE || c->options & KV_RESERVED)
		value_bytes = 0;
	if (value_bytes > KV_BUFFER_BYTES)
		return 0;
	return sizeof(*c) + kv_padded(key_bytes) + kv_padded(value_bytes);
}

/*
 * Hashes the keys of the next commands, and then looks at what they will look at, each kind of thing for all of them before the next. These
 * loads do not wait for each other, so the machine has them all under way at once: of a large table little is in its caches. How
 * many commands.
 */
__noinline __u32 kv_look_ahead(__u64 commands, __u32 bytes, __u32 who)
{
	struct kv_ahead __arena *ahead = &kv.ahead[who & (KV_PORTS - 1)];
	__u64 state = READ_ONCE(kv.state), found = unknown_zero, item;
	__u32 at = unknown_zero, count = unknown_zero, i, size;

	while (count < KV_AHEAD && at + sizeof(struct kv_command) <= bytes && can_loop) {
		size = kv_command_bytes(commands + at);
		if (!size)
			break;
		ahead->hash[count & (KV_AHEAD - 1)] =
			kv_hash(kv_command_key(commands + at), kv_at(struct kv_command, commands + at)->key_bytes);
		at += size;
		count++;
	}
	for (i = unknown_zero; i < count && can_loop; i++)
		ahead->item[i & (KV_AHEAD - 1)] =
			kv_at(struct kv_bucket, kv_bucket_of(state, ahead->hash[i & (KV_AHEAD - 1)]))->first;
	for (i = unknown_zero; i < count && can_loop; i++) {
		item = ahead->item[i & (KV_AHEAD - 1)];
		/* Within its page: Linux takes long to find out that there is no page behind it. */
		if (item && item % PAGE_SIZE < PAGE_SIZE - 2 * 64)
			found += *kv_at(__u64, item) + *kv_at(__u64, item + 64) + *kv_at(__u64, item + 128);
	}
	ahead->found = found;
	return count;
}

/* Runs the commands of a port. 0; -EINVAL for a port that there is not. */
SEC("syscall")
int kv_batch(struct kv_run *run)
{
	__u32 who = run->port, bytes = kv.buffer_bytes;
	__u32 at = unknown_zero, to = unknown_zero, done = unknown_zero, end, size, wrote, hash;
	__u32 ahead = unknown_zero, hashed = unknown_zero;
	struct kv_port __arena *port = &kv.port[who & (KV_PORTS - 1)];
	__u64 commands = port->commands, results = port->results;

	arena_associate(&arena);
	if (who >= KV_PORTS || !commands || !results)
		return -EINVAL;
	kv_flush_when_due();
	end = port->command_bytes;
	if (end > bytes)
		end = bytes;
	while (at + sizeof(struct kv_command) <= end && to + KV_RESULT + KV_NUMBER_BYTES <= bytes && can_loop) {
		if (ahead >= hashed) {
			hashed = kv_look_ahead(commands + at, end - at, who);
			ahead = 0;
			/* Not one: it has no budget, or there is no such command. */
			if (!hashed)
				break;
		}
		hash = kv.ahead[who & (KV_PORTS - 1)].hash[ahead & (KV_AHEAD - 1)];
		ahead++;
		size = kv_command_bytes(commands + at);
		if (!size || at + size > end) {
			wrote = kv_answer(results + to, KV_BAD_COMMAND);
			size = end - at;
		} else {
			wrote = kv_command(commands + at, results + to, bytes - to, who, hash);
		}
		if (!wrote)
			break;
		at += size;
		to += wrote;
		done++;
	}
	/* The first one has to be answered, or nobody would get on. */
	if (!done && at + sizeof(struct kv_command) <= end) {
		size = kv_command_bytes(commands);
		to = kv_answer(results, size ? KV_BUSY : KV_BAD_COMMAND);
		/* Of a bad one it is not known where the next begins. */
		at = size && size <= end ? size : end;
		done = 1;
		kv_counts(who)->all.busy += size != 0;
	}
	port->done_bytes = at;
	port->done = done;
	port->result_bytes = to;
	return 0;
}

/* Gives back what is free in all classes; `keep`: but for one slab of each. */
static __always_inline void kv_settle_all(int keep)
{
	__u32 i;

	for (i = unknown_zero; i < KV_CLASSES && can_loop; i++)
		kv_settle(i, keep);
}

/* Takes out what has expired, in as many buckets as the argument says, from where it was left. One CPU at a time. */
SEC("syscall")
int kv_expire(struct kv_run *run)
{
	arena_associate(&arena);
	kv_flush_when_due();
	kv_crawl(run->argument, KV_CRAWLER, true);
	kv_settle_all(1);
	return 0;
}

/* Gives back slabs that are kept though they are empty. */
SEC("syscall")
int kv_trim(struct kv_run *run)
{
	__u32 i, slab;

	arena_associate(&arena);
	kv_settle_all(0);
	for (i = unknown_zero; i < KV_LARGE && can_loop; i++) {
		slab = kv_take_empty(i);
		if (slab)
			kv_give_pages(slab, KV_SLAB_PAGES);
	}
	return 0;
}

/* Fills kv.statistics. One CPU at a time. 0, or -EAGAIN where the loop budget has ended: run it again. */
SEC("syscall")
int kv_statistics(struct kv_run *run)
{
	arena_associate(&arena);
	return kv_sum();
}

/* Writes what there is to say of items into the port's results: struct kv_run says more. 0; -EINVAL. */
SEC("syscall")
int kv_walk(struct kv_run *run)
{
	__u32 index = run->argument, to = unknown_zero, bytes = kv.buffer_bytes;
	struct kv_port __arena *port = &kv.port[run->port & (KV_PORTS - 1)];
	__u64 results = port->results;
	int wrote;

	arena_associate(&arena);
	if (run->port >= KV_PORTS || !results)
		return -EINVAL;
	/* Up to an item's worth is left, so that no bucket is written in part, unless it alone fills the buffer. */
	while (index < (__u32)kv.state && to < bytes / 2 && can_loop) {
		wrote = kv_walk_bucket(index, results + to, bytes - to);
		if (wrote < 0)
			continue;
		to += wrote;
		index++;
	}
	port->result_bytes = to;
	run->argument = index < (__u32)kv.state ? index : 0;
	return 0;
}

/*
 * Takes pages where a store had them that is being restored: from the arena address in `port` on, as many as `argument` says. kv_start
 * is not run then: user space writes the pages, and `kv` itself. 0, -ENOMEM where one is taken.
 */
SEC("syscall")
int kv_claim(struct kv_run *run)
{
	__u64 address = run->port;

	arena_associate(&arena);
	return bpf_arena_alloc_pages(&arena, (void __arena *)address, run->argument, NUMA_NO_NODE, 0) ? 0 : -ENOMEM;
}

#define CLOCK_MONOTONIC 1
#define KV_MS_IN_NS 1000000ull
/* Buckets that the timer looks at each time. */
#define KV_TIMER_BUCKETS 4096

struct kv_timer {
	struct bpf_timer timer;
	__u64 interval; /* ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kv_timer);
} kv_timers SEC(".maps");

static int kv_on_timer(void *map, __u32 *key, struct kv_timer *timer)
{
	kv_crawl(KV_TIMER_BUCKETS, KV_TIMER, false);
	bpf_timer_start(&timer->timer, timer->interval, 0);
	return 0;
}

/* Has a timer crawl, each so many milliseconds as the argument says. 0; -EINVAL without; -EBUSY: it does already. */
SEC("syscall")
int kv_start_timer(struct kv_run *run)
{
	__u32 key = 0;
	struct kv_timer *timer = bpf_map_lookup_elem(&kv_timers, &key);
	int err;

	arena_associate(&arena);
	if (!timer || !run->argument)
		return -EINVAL;
	err = bpf_timer_init(&timer->timer, &kv_timers, CLOCK_MONOTONIC);
	if (!err)
		err = bpf_timer_set_callback(&timer->timer, kv_on_timer);
	if (err)
		return err;
	timer->interval = run->argument * KV_MS_IN_NS;
	return bpf_timer_start(&timer->timer, timer->interval, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
