// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The locks of arena_spin_lock.h. The programs of one CPU return 0, or the number of the step that went wrong. Those that
 * end in _contend count to `rounds` under a lock, each round in two words: the one that the lock protects, and one that
 * needs no protection. Where two CPUs are ever inside together, the first falls behind.
 */
#include "contend.h"

#include "arena_spin_lock.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

/* A lock to itself in each cache line. */
struct counter {
	struct arena_spin_lock spin;
	struct arena_ticket_lock ticket;
	struct arena_queued_lock queued;
	__u64 counted; /* by plain loads and stores */
	__u64 entered; /* by atomic ones */
	__u64 pad[3];
};

struct arena_lock_nodes __arena_global nodes;
struct counter __arena_global spin;
struct counter __arena_global ticket;
struct counter __arena_global queued;

/* Input. */
__u64 rounds = 20000;

/* Output: of each lock, what was counted and how often it was held. */
__u64 spin_counted, spin_entered;
__u64 ticket_counted, ticket_entered;
__u64 queued_counted, queued_entered;
/* Attempts that timed out: on one CPU none. */
__u64 timeouts;

/* Open locks are taken, taken ones are not, and unlocked ones are open again. */
SEC("syscall")
int locks_on_one_cpu(void *ctx)
{
	struct counter __arena *c = &spin;
	int i;

	for (i = 0; i < 3; i++) {
		if (arena_spin_lock(&c->spin) || arena_spin_trylock(&c->spin))
			return 1;
		arena_spin_unlock(&c->spin);
		if (!arena_spin_trylock(&c->spin))
			return 2;
		arena_spin_unlock(&c->spin);
		if (arena_ticket_lock(&c->ticket) || arena_ticket_trylock(&c->ticket))
			return 3;
		arena_ticket_unlock(&c->ticket);
		if (!arena_ticket_trylock(&c->ticket))
			return 4;
		arena_ticket_unlock(&c->ticket);
		if (arena_queued_lock(&c->queued, &nodes) || arena_queued_trylock(&c->queued))
			return 5;
		arena_queued_unlock(&c->queued);
		if (!arena_queued_trylock(&c->queued))
			return 6;
		arena_queued_unlock(&c->queued);
	}
	return arena_kern(c)->spin.locked || arena_kern(c)->queued.word ? 7 : 0;
}

/* Tickets start over after 65,536, and what is next goes on as it was. */
SEC("syscall")
int ticket_starts_over(void *ctx)
{
	struct counter __arena *c = &ticket;

	arena_kern(c)->ticket.word = 0xffffffffull << 32;
	if (arena_ticket_lock(&c->ticket) || arena_kern(c)->ticket.word != 0xffffull << 32)
		return 1;
	arena_ticket_unlock(&c->ticket);
	return arena_kern(c)->ticket.word ? 2 : 0;
}

/*
 * Waiting for a lock that is not given back ends with the loop budget, and leaves the lock as it was but for that: once it
 * is given back, it can be taken, even with no budget left.
 */
SEC("syscall")
int spin_times_out(void *ctx)
{
	struct counter __arena *c = &spin;

	if (arena_spin_lock(&c->spin) || arena_spin_lock(&c->spin) != -ETIMEDOUT)
		return 1;
	arena_spin_unlock(&c->spin);
	if (arena_spin_lock(&c->spin))
		return 2;
	arena_spin_unlock(&c->spin);
	return 0;
}

SEC("syscall")
int ticket_times_out(void *ctx)
{
	struct counter __arena *c = &ticket;

	if (arena_ticket_lock(&c->ticket) || arena_ticket_lock(&c->ticket) != -ETIMEDOUT)
		return 1;
	if (arena_ticket_lock(&c->ticket) != -ETIMEDOUT)
		return 2;
	/* The holder, and one who left; the other had no budget to wait at all. */
	if (arena_kern(c)->ticket.word != (2ull << 48 | 2))
		return 3;
	arena_ticket_unlock(&c->ticket);
	if (arena_kern(c)->ticket.word != (2ull << 48 | 2ull << 32))
		return 4;
	if (arena_ticket_lock(&c->ticket))
		return 5;
	arena_ticket_unlock(&c->ticket);
	return 0;
}

SEC("syscall")
int queued_times_out(void *ctx)
{
	struct counter __arena *c = &queued;
	struct arena_lock_nodes __arena *n = &nodes;

	if (arena_queued_lock(&c->queued, n) || arena_queued_lock(&c->queued, n) != -ETIMEDOUT)
		return 1;
	if (arena_queued_lock(&c->queued, n) != -ETIMEDOUT || arena_kern(c)->queued.word != 1)
		return 2;
	arena_queued_unlock(&c->queued);
	if (arena_queued_lock(&c->queued, n))
		return 3;
	arena_queued_unlock(&c->queued);
	return 0;
}

/* What is done while the lock is held. Whether the work goes on. */
static __always_inline bool count(struct counter __arena *c)
{
	__u64 counted = READ_ONCE(arena_kern(c)->counted);

	if (counted >= rounds)
		return false;
	fetch_add(&arena_kern(c)->entered, 1);
	WRITE_ONCE(arena_kern(c)->counted, counted + 1);
	return true;
}

/* Counts under a lock until `rounds` is reached. */
#define COUNT(counter, lock, unlock)                                                                                   \
	do {                                                                                                           \
		bool __more = true;                                                                                    \
                                                                                                                       \
		while (__more && can_loop) {                                                                           \
			if (lock) {                                                                                    \
				fetch_add(&timeouts, 1);                                                               \
				break;                                                                                 \
			}                                                                                              \
			__more = count(&counter);                                                                      \
			unlock;                                                                                        \
		}                                                                                                      \
		counter##_counted = arena_kern(&counter)->counted;                                                     \
		counter##_entered = arena_kern(&counter)->entered;                                                     \
		if (__more)                                                                                            \
			return -EAGAIN;                                                                                \
	} while (0)

SEC("syscall")
int spin_contend(void *ctx)
{
	COUNT(spin, arena_spin_lock(&spin.spin), arena_spin_unlock(&spin.spin));
	return 0;
}

SEC("syscall")
int ticket_contend(void *ctx)
{
	COUNT(ticket, arena_ticket_lock(&ticket.ticket), arena_ticket_unlock(&ticket.ticket));
	return 0;
}

SEC("syscall")
int queued_contend(void *ctx)
{
	COUNT(queued, arena_queued_lock(&queued.queued, &nodes), arena_queued_unlock(&queued.queued));
	return 0;
}

/* Afterwards nobody has a lock, nobody stands in a line, and all nodes are free. */
SEC("syscall")
int locks_are_open(void *ctx)
{
	__u64 word = arena_kern(&ticket)->ticket.word;
	__u32 i, taken = unknown_zero;

	for (i = unknown_zero; i < ARENA_LOCK_NODES && can_loop; i++)
		taken += arena_kern(&nodes.node[i])->state != ARENA_NODE_FREE;
	if (arena_kern(&spin)->spin.locked)
		return 1;
	if (__arena_ticket_next(word) != __arena_ticket_served(word) || (__u32)word)
		return 2;
	if (arena_kern(&queued)->queued.word || taken)
		return 3;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef __bpf__

/* Runs the programs in their order, those that contend on four threads; `arena_locks ROUNDS`. */
int main(int argc, char **argv)
{
	if (bpf_arena_native_open(&arena))
		return 1;
	if (argc > 1)
		rounds = atoi(argv[1]);
	print_run(locks_on_one_cpu);
	print_run(ticket_starts_over);
	print_run(spin_times_out);
	print_run(ticket_times_out);
	print_run(queued_times_out);
	print_run_on_all(spin_contend);
	print_run_on_all(ticket_contend);
	print_run_on_all(queued_contend);
	print_run(locks_are_open);
	print_global(spin_counted);
	print_global(spin_entered);
	print_global(ticket_counted);
	print_global(ticket_entered);
	print_global(queued_counted);
	print_global(queued_entered);
	return 0;
}
#endif
