/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Spin locks in the arena, for the programs of several CPUs, for user space, and natively for threads. All-zero is an open
 * lock. By what they cost and promise:
 *
 *	struct arena_spin_lock		4 bytes. Who comes first gets it; nobody's turn is kept. User space can take it:
 *					compare-and-exchange 0 for 1, store 0
 *	struct arena_ticket_lock	8 bytes. First come, first served, up to 31 waiting; all of them watch one word
 *	struct arena_queued_lock	8 bytes, and a node for each that waits, from a pool that any number of locks
 *					share. First come, first served, and each watches a word of its own
 *	struct arena_seqlock		8 bytes. A spin lock for writers; readers take none
 *
 * Waiting runs under the program's loop budget (see can_loop). Where that ends, lock returns -ETIMEDOUT: the caller does
 * not have the lock, its place in the line is given up, and all goes on for the others. A lock that is open is taken even
 * with no budget left. Unlocking neither waits nor fails. So a program that forgot to unlock, or that interrupts the holder
 * on its own CPU, costs the others their budgets and nothing else.
 *
 * Concurrency: all of it, from any number of CPUs. The page of a lock has to be present: on an absent one a cmpxchg looks
 * like a success, so everybody would have the lock. Holders may sleep, but who waits spins: keep it short.
 */
#ifndef ARENA_SPIN_LOCK_H
#define ARENA_SPIN_LOCK_H

#include "bpf_arena.h"

struct arena_spin_lock {
	__u32 locked; /* 1 or 0 */
};

/* Whether the caller has the lock now. */
static inline bool arena_spin_trylock(struct arena_spin_lock __arena *lock)
{
	return cmpxchg(&arena_kern(lock)->locked, 0, 1) == 0;
}

/* 0 or -ETIMEDOUT. */
static inline int arena_spin_lock(struct arena_spin_lock __arena *lock)
{
	do {
		/* Looking first leaves the cache line with the holder. */
		if (!READ_ONCE(arena_kern(lock)->locked) && arena_spin_trylock(lock))
			return 0;
	} while (can_loop);
	return -ETIMEDOUT;
}

static inline void arena_spin_unlock(struct arena_spin_lock __arena *lock)
{
	smp_store_release(&arena_kern(lock)->locked, 0);
}

/*
 * A ticket lock in one word, so that any change is one atomic operation and sees all the rest:
 *
 *	bits 48 to 63	the next ticket to give out
 *	bits 32 to 47	the ticket that is served: its owner holds the lock
 *	bits 0 to 31	tickets whose owners have left: bit n for the one that is n modulo 32
 *
 * Only the holder moves on what is served, past those who have left. Who leaves adds its bit, and learns from the word it
 * added to whether it has been served in that very moment: then it has the lock after all.
 */
struct arena_ticket_lock {
	__u64 word;
};

/* Tickets that are out at most, the holder's among them: as many as there are bits for leaving. */
#define ARENA_TICKETS 32

#define __ARENA_TICKET_NEXT (1ull << 48)
#define __arena_ticket_next(word) ((__u16)((word) >> 48))
#define __arena_ticket_served(word) ((__u16)((word) >> 32))
#define __arena_ticket_left(ticket) (1ull << ((ticket) & (ARENA_TICKETS - 1)))

/* Whether the caller has the lock now. */
static inline bool arena_ticket_trylock(struct arena_ticket_lock __arena *lock)
{
	__u64 word = READ_ONCE(arena_kern(lock)->word);

	return __arena_ticket_next(word) == __arena_ticket_served(word) &&
	       cmpxchg(&arena_kern(lock)->word, word, word + __ARENA_TICKET_NEXT) == word;
}

/* 0 or -ETIMEDOUT. */
static inline int arena_ticket_lock(struct arena_ticket_lock __arena *lock)
{
	__u64 word, seen;
	__u16 ticket;

	do {
		word = READ_ONCE(arena_kern(lock)->word);
		ticket = __arena_ticket_next(word);
		if ((__u16)(ticket - __arena_ticket_served(word)) >= ARENA_TICKETS)
			continue;
		/* With no budget no place in the line: the holder could be kept busy passing those who leave at once. */
		if (ticket != __arena_ticket_served(word) && !can_loop)
			break;
		seen = cmpxchg(&arena_kern(lock)->word, word, word + __ARENA_TICKET_NEXT);
		if (seen == word)
			goto wait;
	} while (can_loop);
	return -ETIMEDOUT;

wait:
	do {
		if (__arena_ticket_served(smp_load_acquire(&arena_kern(lock)->word)) == ticket)
			return 0;
	} while (can_loop);
	word = fetch_add(&arena_kern(lock)->word, __arena_ticket_left(ticket));
	if (__arena_ticket_served(word) != ticket)
		return -ETIMEDOUT;
	fetch_add(&arena_kern(lock)->word, -__arena_ticket_left(ticket));
	return 0;
}

static inline void arena_ticket_unlock(struct arena_ticket_lock __arena *lock)
{
	__u16 ticket = __arena_ticket_served(READ_ONCE(arena_kern(lock)->word));
	__u64 word, step, left = 0;
	int i;

	/* As often as tickets can be out; without can_loop, for this has to happen. */
	for (i = 0; i < ARENA_TICKETS; i++) {
		/* Its 16 bits start over without a carry into what is next. */
		step = ticket == 0xffff ? -(0xffffull << 32) : 1ull << 32;
		word = fetch_add(&arena_kern(lock)->word, step - left);
		ticket++;
		left = __arena_ticket_left(ticket);
		if (!(word & left))
			break;
	}
}

/*
 * A queued lock. The word says whether it is locked, and which node is last in the line; who finds the whole word zero
 * takes the lock with one cmpxchg and needs no node. Each of the others puts a node at the end, and watches the one ahead
 * of it, until that has passed (its owner has the lock) or left (its owner gave up; it says which is ahead of it). In both
 * cases the watcher, being the only one who looks at that node, frees it. First in the line is who has none ahead: it
 * watches `locked`. Nobody ever waits for somebody behind, which is what makes leaving and unlocking simple.
 */
struct arena_queued_lock {
	union {
		__u64 word;
		struct {
			__u32 locked; /* 1 or 0 */
			__u32 last; /* number of the last node in the line, from 1; 0: nobody waits */
		};
	};
};

enum {
	ARENA_NODE_FREE,
	ARENA_NODE_WAITING,
	ARENA_NODE_PASSED,
	ARENA_NODE_LEFT,
};

struct arena_lock_node {
	__u32 state;
	__u32 ahead; /* of one that has left: the node ahead of it, or 0 */
	__u64 pad[7]; /* a cache line to itself */
};

/* How many can wait at the same time, for all locks together that use the nodes; a power of two. */
#ifndef ARENA_LOCK_NODES
#define ARENA_LOCK_NODES 64
#endif

/* All-zero is its initial state. */
struct arena_lock_nodes {
	struct arena_lock_node node[ARENA_LOCK_NODES];
};

/* Takes a free node; its number from 1, or 0 when the loop budget ends. */
static inline __u32 __arena_lock_node(struct arena_lock_nodes __arena *nodes)
{
	struct arena_lock_node __arena *node;
	__u32 i = bpf_get_smp_processor_id();

	do {
		i &= ARENA_LOCK_NODES - 1;
		node = &nodes->node[i];
		i++;
		if (!READ_ONCE(arena_kern(node)->state) &&
		    cmpxchg(&arena_kern(node)->state, ARENA_NODE_FREE, ARENA_NODE_WAITING) == ARENA_NODE_FREE)
			return i;
	} while (can_loop);
	return 0;
}

/* Whether the caller has the lock now. */
static inline bool arena_queued_trylock(struct arena_queued_lock __arena *lock)
{
	return cmpxchg(&arena_kern(lock)->word, 0, 1) == 0;
}

/* 0 or -ETIMEDOUT. */
static inline int arena_queued_lock(struct arena_queued_lock __arena *lock, struct arena_lock_nodes __arena *nodes)
{
	struct arena_lock_node __arena *node, *other;
	__u32 me, ahead, state;

	if (arena_queued_trylock(lock))
		return 0;
	me = can_loop ? __arena_lock_node(nodes) : 0;
	if (!me)
		return -ETIMEDOUT;
	node = &nodes->node[me - 1];
	ahead = xchg(&arena_kern(lock)->last, me);
	do {
		if (!ahead) {
			if (!smp_load_acquire(&arena_kern(lock)->locked))
				goto first;
			continue;
		}
		other = &nodes->node[ahead - 1];
		state = smp_load_acquire(&arena_kern(other)->state);
		if (state == ARENA_NODE_WAITING)
			continue;
		ahead = state == ARENA_NODE_LEFT ? arena_kern(other)->ahead : 0;
		smp_store_release(&arena_kern(other)->state, ARENA_NODE_FREE);
	} while (can_loop);

	/* Leaves without a trace when nobody stands behind. */
	if (cmpxchg(&arena_kern(lock)->last, me, ahead) == me) {
		smp_store_release(&arena_kern(node)->state, ARENA_NODE_FREE);
	} else {
		arena_kern(node)->ahead = ahead;
		smp_store_release(&arena_kern(node)->state, ARENA_NODE_LEFT);
	}
	return -ETIMEDOUT;

first:
	/* The first in the line alone may do this: for the others the word is not zero. */
	WRITE_ONCE(arena_kern(lock)->locked, 1);
	state = cmpxchg(&arena_kern(lock)->last, me, 0) == me ? ARENA_NODE_FREE : ARENA_NODE_PASSED;
	smp_store_release(&arena_kern(node)->state, state);
	return 0;
}

static inline void arena_queued_unlock(struct arena_queued_lock __arena *lock)
{
	smp_store_release(&arena_kern(lock)->locked, 0);
}

/*
 * A sequence lock: writers exclude each other, readers take no lock. The sequence is even while what it guards is at rest and
 * odd while a writer changes it. A reader notes it, reads, and looks whether it is still the same; else it reads again:
 *
 *	do {
 *		sequence = arena_read_seqbegin(&lock);
 *		...
 *	} while (arena_read_seqretry(&lock, sequence) && can_loop);
 *
 * What it reads in between must be loaded by smp_load_acquire(), so that the last look comes last, and may be nonsense: it may even
 * follow a pointer to what was freed, for in the arena a load never faults.
 */
struct arena_seqlock {
	__u64 sequence;
};

/* 0 or -ETIMEDOUT. */
static inline int arena_write_seqlock(struct arena_seqlock __arena *lock)
{
	__u64 sequence;

	do {
		sequence = READ_ONCE(arena_kern(lock)->sequence);
		if (!(sequence & 1) && cmpxchg(&arena_kern(lock)->sequence, sequence, sequence + 1) == sequence)
			return 0;
	} while (can_loop);
	return -ETIMEDOUT;
}

static inline void arena_write_sequnlock(struct arena_seqlock __arena *lock)
{
	/* Only the holder changes an odd one. */
	smp_store_release(&arena_kern(lock)->sequence, READ_ONCE(arena_kern(lock)->sequence) + 1);
}

#ifdef __bpf__

/* The sequence; while it is odd, arena_read_seqretry() says that it has changed. */
static inline __u64 arena_read_seqbegin(struct arena_seqlock __arena *lock)
{
	return smp_load_acquire(&arena_kern(lock)->sequence);
}

/* Whether what was read since is worth nothing. */
static inline bool arena_read_seqretry(struct arena_seqlock __arena *lock, __u64 sequence)
{
	return sequence & 1 || READ_ONCE(arena_kern(lock)->sequence) != sequence;
}

#else /* native: nonsense may be an address that cannot be loaded from, so readers exclude writers */

static inline __u64 arena_read_seqbegin(struct arena_seqlock *lock)
{
	__u64 sequence;

	do
		sequence = READ_ONCE(lock->sequence) & ~1ull;
	while (cmpxchg(&lock->sequence, sequence, sequence + 1) != sequence);
	return sequence;
}

static inline bool arena_read_seqretry(struct arena_seqlock *lock, __u64 sequence)
{
	smp_store_release(&lock->sequence, sequence + 2);
	return false;
}

#endif

#endif /* ARENA_SPIN_LOCK_H */
