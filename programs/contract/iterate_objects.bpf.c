// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Iterators over the kernel's own objects; test/contract/iterator-programs.test.ts reads what they write. */
#include <bpf_iter.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 5);
	__type(key, __u64);
	__type(value, __u32);
} second SEC(".maps");

/* Others are on the machine, too: only these are shown. Set by user space. */
__u32 first_id, second_id;
__u32 own_program;
/* Words that are written of each. */
__u32 words;
/* How often the second map is to be shown again. */
__u32 retries;

/* What was seen of the second map. */
__u32 times;
__u64 first_seq, last_seq, ends;
__u64 session;

SEC("iter/bpf_map")
int dump_maps(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;

	session = ctx->meta->session_id;
	if (!map) {
		ends++;
		BPF_SEQ_PRINTF(seq, "end\n");
		return 0;
	}
	if (map->id != first_id && map->id != second_id)
		return 0;
	BPF_SEQ_PRINTF(seq, "%s %u: %u, %u\n", map->name, map->max_entries, map->key_size, map->value_size);
	return 0;
}

/* Writes as much as it is told to, and is shown an object again as often as it is told to. */
SEC("iter/bpf_map")
int writes_much(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	__u64 word;
	__u32 i;

	if (!map || (map->id != first_id && map->id != second_id))
		return 0;
	word = map->id == first_id ? 1 : 2;
	for (i = 0; i < words && can_loop; i++)
		bpf_seq_write(seq, &word, sizeof(word));
	if (map->id == first_id)
		return 0;
	if (times++ == 0)
		first_seq = ctx->meta->seq_num;
	last_seq = ctx->meta->seq_num;
	return times <= retries;
}

/* What does not fit is told of, again and again. */
long results[4];

SEC("iter/bpf_map")
int overflows(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	static char block[8192];

	if (!map || map->id != first_id)
		return 0;
	bpf_seq_write(seq, block, sizeof(block));
	bpf_seq_write(seq, block, sizeof(block));
	bpf_seq_write(seq, block, sizeof(block));
	results[0] = bpf_seq_write(seq, block, sizeof(block));
	results[1] = bpf_seq_write(seq, block, 0);
	results[2] = BPF_SEQ_PRINTF(seq, "x");
	results[3] = bpf_seq_printf(seq, "%d", 3, NULL, 0);
	return 0;
}

SEC("iter/bpf_map")
int formats(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	__u64 args[13] = {};

	if (ctx->map)
		return 0;
	results[0] = bpf_seq_printf(seq, "%d", 3, args, 4);
	results[1] = bpf_seq_printf(seq, "%d", 3, args, sizeof(args));
	results[2] = bpf_seq_printf(seq, "no end", 6, args, 0);
	results[3] = BPF_SEQ_PRINTF(seq, "%s %5d|%-5u|%llx %%\n", "text", -3, 7, 0x123456789aULL);
	return 0;
}

SEC("iter/bpf_prog")
int dump_programs(struct bpf_iter__bpf_prog *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_prog *prog = ctx->prog;

	if (!prog || prog->aux->id != own_program)
		return 0;
	BPF_SEQ_PRINTF(seq, "%s %s %u\n", prog->aux->name, prog->aux->attach_func_name, prog->type);
	return 0;
}

/* An iteration is a link, too. */
SEC("iter/bpf_link")
int dump_links(struct bpf_iter__bpf_link *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_link *link = ctx->link;

	if (!link || link->prog->aux->id != own_program)
		return 0;
	BPF_SEQ_PRINTF(seq, "type %u\n", link->type);
	return 0;
}

/* None of these may sleep. */
SEC("iter.s/bpf_map")
int sleeps(struct bpf_iter__bpf_map *ctx)
{
	return 0;
}

SEC("syscall")
int is_none(void *ctx)
{
	return 0;
}
