/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the store's programs and user space have in common: commands, results, and where both are put. A port is a pair of
 * buffers in the arena. User space writes commands into one, back to back, runs kv_batch on any CPU, and finds as many results
 * in the other. One run serves all that a client sent at once, so its cost is shared by all of them, and values are copied
 * once in and once out. Ports are independent of each other: one for each CPU that shall run batches.
 *
 * Times are seconds since 1970. User space keeps kv.now up to date, once a second; programs have no other wall clock.
 */
#ifndef KV_H
#define KV_H

#include "bpf_arena.h"

#define KV_KEY_MAX 250
#define KV_VALUE_MAX (1u << 20)
#define KV_PORTS 16
/* Bytes of a port's buffers: room for a command, and for a result, with the largest value. */
#define KV_BUFFER_BYTES (2u << 20)

/* kv_command.op. Those that store take KV_RESERVED. */
enum kv_op { /* KV_IF_CAS: for KV_SET, KV_APPEND, KV_PREPEND, KV_INCR, KV_DECR, KV_DELETE */
	KV_GET = 1, /* options: KV_VALUE, KV_TOUCH, KV_QUIET, KV_VIVIFY, KV_RECACHE; what it finds counts as used */
	KV_SET, /* where it ends in KV_TOO_LARGE or KV_NO_MEMORY the key's old item is gone, as with memcached */
	KV_ADD, /* only where there is none */
	KV_REPLACE, /* only where there is one */
	KV_APPEND, /* with KV_VIVIFY: sets where there is none */
	KV_PREPEND,
	KV_INCR, /* by number; with KV_VIVIFY: where there is none, sets initial. The result carries the new digits */
	KV_DECR, /* not below 0 */
	KV_TOUCH_ONLY, /* sets expires */
	KV_DELETE, /* KV_INVALIDATE: marks it stale instead, and with KV_TOUCH sets expires */
	KV_FLUSH, /* no key; what was stored before `expires` (0: before now) is gone */
	KV_RESERVE, /* memory for a value that is written piece by piece: key, value_bytes, flags, expires as for KV_SET */
	KV_RELEASE, /* gives it back unused: key as for KV_RESERVE, number is the address it answered */
};

/* kv_command.options. */
enum kv_option {
	KV_VALUE = 1 << 0, /* the result carries the value */
	KV_TOUCH = 1 << 1, /* sets expires on what is there */
	KV_IF_CAS = 1 << 2, /* only where the item's cas is `cas`, else KV_EXISTS */
	KV_NEW_CAS = 1 << 3, /* the item's cas becomes new_cas */
	KV_VIVIFY = 1 << 4, /* on a miss: makes an empty item that expires at vivify_expires; the caller has won it */
	KV_RECACHE = 1 << 5, /* wins the item where it is stale, or expires before recache_before */
	KV_INVALIDATE = 1 << 6, /* KV_DELETE, and stores whose cas is older than the item's: mark stale */
	KV_QUIET = 1 << 7, /* KV_GET: neither counts as a use nor as a fetch (meta's no-LRU-bump) */
	KV_RESERVED = 1 << 8, /* stores: the value is in the memory at `number` (from KV_RESERVE), which is given back or becomes the item */
	KV_DROP_VALUE = 1 << 9, /* KV_DELETE: keeps the item, with an empty value and flags 0 (meta delete x) */
	KV_TOUCH_FIRST = 1 << 10, /* KV_RECACHE looks at the time that KV_TOUCH sets, not at the one before */
};

/* kv_result.status. */
enum kv_status {
	KV_OK,
	KV_NOT_FOUND,
	KV_NOT_STORED, /* add where there is one, replace, append, prepend where there is none */
	KV_EXISTS, /* another cas */
	KV_NOT_A_NUMBER, /* incr, decr of what is no decimal number of 64 bits */
	KV_TOO_LARGE,
	KV_NO_MEMORY,
	KV_BUSY, /* a lock or the loop budget could not be had, and nothing was changed: send it again. Always alone in its batch */
	KV_BAD_COMMAND, /* an op, a length, an address that cannot be */
};

/* kv_result.item: what is to be said of the item, as before this command. */
enum kv_item_bits {
	KV_WON = 1 << 0, /* this caller is the one who shall store anew */
	KV_STALE = 1 << 1,
	KV_WIN_SENT = 1 << 2, /* another caller has won already */
	KV_FETCHED = 1 << 3, /* was hit before */
};

/*
 * A command. Behind it the key, then the value, each followed by zero bytes up to a multiple of 8: programs hash, compare and copy
 * eight bytes at a time. With KV_RESERVED, and for KV_RESERVE and KV_RELEASE, the key alone follows.
 */
struct kv_command {
	__u8 op;
	__u8 key_bytes;
	__u16 options;
	__u32 value_bytes;
	__u32 flags; /* the client's own */
	__u32 expires; /* 0: never; what is not after kv.now has expired already */
	__u64 cas;
	__u64 new_cas;
	__u64 number; /* what to add; the address of reserved memory */
	__u64 initial; /* KV_INCR, KV_DECR with KV_VIVIFY */
	__u32 vivify_expires;
	__u32 recache_before;
};

/* A result. Behind it the value, where it was asked for, then zero bytes up to a multiple of 8. */
struct kv_result {
	__u32 status;
	__u32 value_bytes; /* of the item's value, also where it does not follow */
	__u32 carried; /* bytes that follow, without the padding: value_bytes or 0 */
	__u32 flags;
	__u32 expires; /* after the command; the rest is as it was before it */
	__u32 accessed; /* when it was last used before */
	__u32 item; /* kv_item_bits */
	__u32 expires_before;
	__u64 cas;
	__u64 address; /* KV_RESERVE: of the value's memory, a user address; it goes back with a store or KV_RELEASE */
};

/*
 * What user space says before load: object.globals.kv_settings. Pages are counted all together: table, items, ports, and the
 * store's own globals. The arena itself (object.maps.arena.maxEntries) should have twice as many, for runs of pages to be found.
 */
struct kv_settings {
	__u32 budget_pages;
	__u32 ports; /* 1 to KV_PORTS */
	__u32 buffer_bytes; /* of each buffer of a port, a multiple of PAGE_SIZE; 0: KV_BUFFER_BYTES. Values that are larger go by KV_RESERVE */
	__u32 seed; /* of the hash: random, so that nobody can send keys that share a bucket */
};

/*
 * Besides, object.globals.kv_weakly_ordered = 1 on machines other than x86-64, whose loads and stores may overtake each other.
 */

/* One pair of buffers: loaded.globals.kv.port[number], once kv_start has run. */
struct kv_port {
	__u64 commands; /* user addresses */
	__u64 results;
	__u32 command_bytes; /* in: of all commands */
	__u32 pad;
	/* Out. Fewer bytes done than there are: run again for the rest, which did not fit the results or the loop budget. */
	__u32 done_bytes; /* of commands */
	__u32 done; /* commands */
	__u32 result_bytes;
	__u32 pad2;
};

#define KV_CLASSES 32

/* What has happened so far, and what is there. User space reads the sums: loaded.globals.kv.statistics, after kv_statistics. */
struct kv_counters {
	__u64 items; /* in the table */
	__u64 bytes; /* of them: headers, keys, values */
	__u64 stored; /* items, so far */
	__u64 gets, get_hits, get_misses; /* KV_GET without KV_TOUCH */
	__u64 get_expired, get_flushed; /* misses that found what is gone */
	__u64 sets; /* KV_SET to KV_PREPEND */
	__u64 touches, touch_hits, touch_misses; /* KV_TOUCH_ONLY, KV_GET with KV_TOUCH */
	__u64 delete_hits, delete_misses;
	__u64 incr_hits, incr_misses, decr_hits, decr_misses;
	__u64 cas_hits, cas_misses, cas_badval; /* KV_SET with KV_IF_CAS */
	__u64 flushes;
	__u64 too_large, no_memory;
	__u64 evictions, evicted_unfetched; /* items that made room; those that were never hit */
	__u64 reclaimed, expired_unfetched; /* items that were gone when they were taken out */
	__u64 crawler_reclaimed; /* those that kv_expire or the timer found */
	__u64 slabs_moved; /* from one class to another */
	__u64 busy;
};

struct kv_class_counters {
	__u64 items;
	__u64 bytes;
	__u64 hits;
	__u64 evictions, evicted_unfetched;
	__u64 reclaimed;
	__u64 last_evicted_age; /* seconds since it had been used */
	__u64 no_memory;
};

struct kv_statistics {
	struct kv_counters all;
	__u64 pages; /* of all: never more than the budget */
	__u64 budget_pages;
	__u64 pages_table; /* segments and directory */
	__u64 pages_ports;
	__u64 buckets;
	struct {
		struct kv_class_counters counters;
		__u32 size; /* bytes of a slot; 0: there is no such class. The last class's items have pages of their own */
		__u32 slots; /* of a slab */
		__u32 slabs;
		__u32 pages;
		__u64 used_slots;
	} class[KV_CLASSES];
};

/* What kv_walk writes of each item, from the start of the port's results; the key behind it, and zero bytes up to a multiple of 8. */
struct kv_walked {
	__u64 cas;
	__u32 flags;
	__u32 expires;
	__u32 accessed;
	__u32 value_bytes;
	__u32 key_bytes;
	__u32 item; /* kv_item_bits */
	__u32 class;
	__u32 pad;
};

/* The context of kv_batch and of the other programs that user space runs. */
struct kv_run {
	__u32 port;
	/*
	 * kv_expire: buckets to look at. kv_start_timer: milliseconds between its looks at 4096 buckets. kv_walk: the bucket to go on with, 0
	 * at first; afterwards the one to go on with next, or 0 at the end. It walks from the first bucket to the last, so that what stays in
	 * the table is seen once, or twice where it grows.
	 */
	__u32 argument;
};

/*
 * Programs: kv_start once; kv_batch; kv_expire (now and then, so that what has expired gives its memory back), kv_start_timer once (does
 * the same by itself, but gives no pages back); kv_statistics; kv_walk; kv_trim (gives back slabs that are kept empty).
 * All take struct kv_run and return 0 or an errno.
 */

#endif /* KV_H */
