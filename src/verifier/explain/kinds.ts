import type { Explanation } from './explain.ts';

/** What rejections mean that are about kinds of things: types of arguments, program types, map values of a kind. See explain.ts. */
export const KIND_EXPLANATIONS: readonly Explanation[] = [
  {
    pattern: /^arg#(\d+) reference type\('(\w+) ?(\S*)'\) size cannot be determined/,
    why: 'argument $1 of a global function (0 is the first) points to what has no known size: void, or a type that is only declared',
    fix: 'point to a type with a size, tag an arena pointer `arg:arena` (__arg_arena) or the context `arg:ctx` (__arg_ctx), or make the function static',
  },
  {
    pattern: /^R(\d+) tried to subtract pointer from scalar/,
    why: 'in r$1 a number would have a pointer subtracted from it, which gives no pointer',
    fix: 'subtract numbers from pointers, or two pointers into the same packet or arena from each other',
  },
  {
    pattern: /^negative offset (\w+) ptr R(\d+) off=(-?\d+) disallowed/,
    why: 'r$2 was moved $3 bytes, to before what it points to ($1)',
    fix: 'pass the pointer as it was given',
  },
  {
    pattern: /^get_local_storage\(\) doesn't support non-zero flags/,
    why: 'the second argument of bpf_get_local_storage() is not 0, or not known to be',
    fix: 'pass 0',
  },
  {
    pattern: /^only one cgroup storage of each type is allowed/,
    why: 'the program uses two maps of the same kind of cgroup storage, and a cgroup has room for one',
    fix: 'put both values into one map, as a struct',
  },
  {
    pattern: /^metadata kfuncs require device-bound program/,
    why: "what the network card knows of a packet (bpf_xdp_metadata_…) is there only for a program that is loaded for one card's driver",
    fix: 'load it for a device (BPF_F_XDP_DEV_BOUND_ONLY with its ifindex); no other program may call this',
  },
  {
    pattern: /^the prog does not allow writes to packet data/,
    why: 'a part of the packet is asked for writing, and programs of this type may only read it',
    fix: 'use bpf_dynptr_slice() and a const pointer',
  },
  {
    pattern: /^R(\d+) invalid variable buffer offset/,
    why: 'the buffer in r$1 is read or written at a place that is not known when the program is loaded',
    fix: 'use constant offsets into the context of a writable tracepoint, and into what iterators give',
  },
  {
    pattern: /^R(\d+) invalid (\w+) buffer access: off=(-?\d+), size=(\d+)/,
    why: '$4 bytes at offset $3 are not within the buffer that r$1 points to',
    fix: 'stay behind its start, and within the size that whoever runs the program gives it',
  },
  {
    pattern: /^write to change key R(\d+) not allowed/,
    why: 'r$1 is the key of a map element in a callback, which may be read only: changed, nobody would find the element',
    fix: 'copy the key to the stack and change the copy',
  },
  {
    pattern: /^R(\d+) is of type (\w+) but (\w+) is expected/,
    why: 'r$1 points to struct $2, and the call takes the start of a struct $3 of the kernel',
    fix: 'pass the object itself, with no offset; a cast in C does not change what the verifier knows',
  },
  {
    pattern: /^func (\w+)#\d+ supported only for (\S+) programs/,
    why: '$1() is for programs of type $2',
    fix: 'attach the program so, or leave the call out',
  },
  {
    pattern: /^unexpected __bpf_trap\(\) due to uninitialized variable/,
    why: 'clang put a trap here, as the C code has no meaning: a variable is read that nothing was written to, or a function ends without return',
    fix: 'compile with -Wall, initialise the variable, and return on every path',
  },
  {
    pattern: /^css_task_iter is only allowed in/,
    why: 'the iterator over tasks may sleep, and this program may not',
    fix: 'use it in lsm, iter or sleepable programs: SEC("….s/…")',
  },
  {
    pattern: /^bpf_percpu_obj_new type ID argument must/,
    why: 'an object that exists once for each CPU holds numbers alone: no pointers, locks, lists or timers',
    fix: 'keep those in an object of their own, from bpf_obj_new()',
  },
];
