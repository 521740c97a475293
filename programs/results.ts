/**
 * What the programs give, whatever runs them. The native forms print these as `name=value` lines; the objects leave the
 * same values in return values and globals (a program's name stands for its return value). Numbers follow from the
 * arguments: sums of 0 … n-1, words in a page. Checksums are of a seeded sequence and have no closed form.
 */

/** A native form's arguments and all it prints. */
export interface NativeRun {
  readonly args: readonly string[];
  readonly prints: Readonly<Record<string, string>>;
}

export const NATIVE_RUNS = {
  // cnt: values 0 … 99,999.
  arena_list: {
    args: ['100000'],
    prints: {
      arena_list_add: '0',
      list_sum: '4999950000',
      list_cnt: '100000',
      user_sum: '4999950000',
      arena_list_sum: '0',
      walk_sum: '4999950000',
      walk_cnt: '100000',
      arena_list_del: '0',
      del_sum: '4999950000',
      del_cnt: '100000',
      left_sum: '0',
      left_cnt: '0',
    },
  },
  // cnt: keys 0 … 999 with 2 * key, then 3 * key + 1.
  arena_htab: {
    args: ['1000'],
    prints: {
      arena_htab_insert: '0',
      inserted: '1000',
      insert_count: '1000',
      insert_elements: '1000',
      insert_sum: '999000',
      arena_htab_overwrite: '0',
      overwritten: '1000',
      overwrite_count: '1000',
      overwrite_elements: '1000',
      overwrite_sum: '1499500',
      arena_htab_lookup: '0',
      found: '1000',
      missing: '1000',
      value_sum: '1499500',
      arena_htab_delete: '0',
      deleted: '1000',
      delete_count: '0',
      delete_elements: '0',
      delete_sum: '0',
    },
  },
  // 29 comparisons. The change leaves .rodata as it was (bits 6 to 9), and arena_item's next and name (20 and 23).
  arena_globals: {
    args: [],
    prints: {
      arena_globals_check: '0',
      checked: '29',
      wrong: '0',
      arena_globals_change: '0',
      data_u64: '17212138457273043063',
      bss_u64: '101',
      chain_weight: '100006',
      changed_check: '23',
      changed_wrong: '527432767',
    },
  },
  // 256 pages in 4 chunks, each without the two words of its header. Churn: seed 42; 10,000 rounds of up to 16 pages,
  // 50,000 rounds of up to 500 bytes.
  arena_heap: {
    args: ['256'],
    prints: {
      heap_fill: '0',
      pages_filled: '256',
      words_filled: '131064',
      heap_check: '0',
      pages_checked: '256',
      words_checked: '131064',
      words_bad: '0',
      heap_free: '0',
      pages_freed: '256',
      heap_churn: '0',
      heap_churn_allocs: '5066',
      heap_churn_frees: '5066',
      heap_churn_failed: '0',
      heap_churn_bad: '0',
      heap_churn_checksum: '12355163645375871349',
      heap_frag_churn: '0',
      heap_frag_churn_allocs: '25064',
      heap_frag_churn_frees: '25064',
      heap_frag_churn_failed: '0',
      heap_frag_churn_bad: '0',
      heap_frag_churn_checksum: '12157510116301209847',
      heap_frag_drain: '0',
      heap_reserve: '0',
      pages_left: '0',
    },
  },
  // rounds, under each lock.
  arena_locks: {
    args: ['200000'],
    prints: {
      locks_on_one_cpu: '0',
      ticket_starts_over: '0',
      spin_times_out: '0',
      ticket_times_out: '0',
      queued_times_out: '0',
      spin_contend: '0',
      ticket_contend: '0',
      queued_contend: '0',
      locks_are_open: '0',
      spin_counted: '200000',
      spin_entered: '200000',
      ticket_counted: '200000',
      ticket_entered: '200000',
      queued_counted: '200000',
      queued_entered: '200000',
    },
  },
  // rounds: an object in each, and all freed in the end.
  arena_slab: {
    args: ['100000'],
    prints: {
      slab_on_one_cpu: '0',
      slab_contend: '0',
      slab_empty: '0',
      done: '100000',
      allocated: '100000',
      freed: '100000',
      bad: '0',
      objects_left: '0',
      pages_left: '0',
    },
  },
  // rounds: the numbers from 1 on, their sum and the sum of their squares.
  arena_ring: {
    args: ['100000'],
    prints: {
      ring_on_one_cpu: '0',
      spsc_on_one_cpu: '0',
      ring_contend: '0',
      spsc_contend: '0',
      ring_lost: '0',
      popped: '100000',
      popped_sum: '5000050000',
      popped_squares: '333338333350000',
      doubles: '0',
      spsc_popped: '100000',
      disorder: '0',
    },
  },
  // There are 6,542 primes below 65,536. rounds: slots that are claimed, and given back.
  arena_bitmap: {
    args: ['100000'],
    prints: {
      bitmap_on_one_cpu: '0',
      bitmap_primes: '0',
      primes: '6542',
      largest: '65521',
      bitmap_contend: '0',
      bitmap_left: '0',
      claims: '100000',
      releases: '100000',
      bad: '0',
      left: '0',
    },
  },
  // rounds: random inserts, lookups and removes.
  arena_shared: {
    args: ['20000'],
    prints: {
      shared_on_one_cpu: '0',
      htab_contend: '0',
      tree_contend: '0',
      shared_empty: '0',
      htab_rounds: '20000',
      tree_rounds: '20000',
      bad: '0',
      htab_lost: '0',
      tree_lost: '0',
      objects_left: '0',
    },
  },
  // rounds: words that are put in, read and taken out.
  arena_radix: {
    args: ['20000'],
    prints: {
      radix_on_one_cpu: '0',
      radix_contend: '0',
      radix_empty: '0',
      done: '20000',
      bad: '0',
      lost: '0',
      pages_left: '0',
    },
  },
} as const satisfies Readonly<Record<string, NativeRun>>;

/** Of programs that want a packet: a kernel has to be given what the native form makes itself. */
export const PACKET_RUNS = {
  // The same 47 bytes twice: to the echo port, and, answered (XDP_TX 3), back from it (XDP_PASS 2).
  xdp_counter: {
    args: [],
    prints: {
      echo: '3',
      destination: '4000',
      other: '2',
      packets: '2',
      bytes: '94',
      answered: '1',
      sequence: '4',
      length: '47',
      last: 'hello',
    },
  },
} as const satisfies Readonly<Record<string, NativeRun>>;
