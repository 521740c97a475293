// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A key/value store in the arena, and the programs that user space runs on it. kv_start comes first, then kv_batch as often as there
 * are commands, on any CPU, each with a port of its own. docs/kv-store.md says how it is built.
 */
#include "kv.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 18);
} arena SEC(".maps");

struct kv_settings kv_settings = { .budget_pages = 1 << 14, .ports = 1 };

#include "kv_ops.h"

/* Takes pages for a port's buffers. They are not given back. */
static __always_inline int kv_open_port(__u32 number, __u32 bytes)
{
	struct kv_port __arena *port = &kv.port[number & (KV_PORTS - 1)];

	port->commands = kv_take_pages(bytes / PAGE_SIZE);
	port->results = kv_take_pages(bytes / PAGE_SIZE);
	return port->commands && port->results ? 0 : -ENOMEM;
}

/* Allocates what the settings say. 0; -EINVAL for settings that cannot be, -ENOMEM where the budget does not do. */
SEC("syscall")
int kv_start(void *ctx)
{
	__u32 bytes = kv_settings.buffer_bytes ? kv_settings.buffer_bytes : KV_BUFFER_BYTES;
	__u32 directory = kv_settings.budget_pages / 96 * 4 / PAGE_SIZE + 1, i;
	__u64 segment;

	arena_associate(&arena);
	if (kv_settings.ports < 1 || kv_settings.ports > KV_PORTS || bytes % PAGE_SIZE)
		return -EINVAL;
	kv.budget = kv_settings.budget_pages;
	kv.pages = (sizeof(kv) + PAGE_SIZE - 1) / PAGE_SIZE;
	kv.directory = kv_take_pages(directory);
	segment = kv_take_pages(KV_SEGMENT_PAGES);
	if (!kv.directory || !segment)
		return -ENOMEM;
	kv.upper = segment >> 32 << 32;
	kv_at(__u32, kv.directory)[0] = segment;
	kv.segments = 1;
	kv.state = kv_state(KV_SEGMENT_BUCKETS);
	kv.epoch = 1 << 8;
	kv_make_classes();
	for (i = unknown_zero; i < kv_settings.ports && can_loop; i++)
		if (kv_open_port(i, bytes))
			return -ENOMEM;
	return 0;
}

/* Runs the commands of a port. 0, -EINVAL for a port that there is not. */
SEC("syscall")
int kv_batch(struct kv_run *run)
{
	struct kv_port __arena *port = &kv.port[run->port & (KV_PORTS - 1)];
	__u32 bytes = kv_settings.buffer_bytes ? kv_settings.buffer_bytes : KV_BUFFER_BYTES;
	__u32 at = unknown_zero, to = unknown_zero, done = unknown_zero, end, size, wrote;
	__u64 commands = port->commands, results = port->results, command, result;
	struct kv_command __arena *c;

	arena_associate(&arena);
	if (run->port >= KV_PORTS || !commands || !results)
		return -EINVAL;
	end = port->command_bytes;
	if (end > bytes)
		end = bytes;
	while (at + sizeof(*c) <= end && to + KV_RESULT <= bytes && can_loop) {
		command = commands + at;
		result = results + to;
		c = kv_at(struct kv_command, command);
		size = sizeof(*c) + kv_padded(c->key_bytes) + kv_padded(c->value_bytes);
		if (c->key_bytes < 1 || c->key_bytes > KV_KEY_MAX || c->value_bytes > bytes || at + size > end) {
			/* Where the next one begins is not known either. */
			wrote = kv_answer(result, KV_BAD_COMMAND);
			size = end - at;
		} else if (c->op == KV_GET) {
			wrote = kv_get(command, result, bytes - to);
		} else if (c->op == KV_SET) {
			wrote = kv_store(command, result);
		} else if (c->op == KV_DELETE) {
			wrote = kv_delete(command, result);
		} else {
			wrote = kv_answer(result, KV_BAD_COMMAND);
		}
		/* The first one has to be answered, or nobody would get on. */
		if (!wrote && !done)
			wrote = kv_answer(result, KV_BUSY);
		if (!wrote)
			break;
		at += size;
		to += wrote;
		done++;
	}
	port->done_bytes = at;
	port->done = done;
	port->result_bytes = to;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
