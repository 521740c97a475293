import type { Explanation } from './explain.ts';

/** What a rejection of a helper's call means: see explain.ts. */
export const CALL_EXPLANATIONS: readonly Explanation[] = [
  {
    pattern: /^cannot pass map_type (\d+) into func (\w+)#/,
    why: '$2 does not take maps of this type ($1)',
    fix: 'use the helper that belongs to the map type, or a map type that the helper takes',
  },
  {
    pattern: /^expected prog array map for tail call/,
    why: 'a tail call goes through a map that is no prog_array',
    fix: 'pass the prog_array as the second argument of bpf_tail_call()',
  },
  {
    pattern: /^write into map forbidden/,
    why: 'the map is read-only for programs',
    fix: 'create it without BPF_F_RDONLY_PROG; what is const in C lies in such a map',
  },
  {
    pattern: /^read from map forbidden/,
    why: 'the map is write-only for programs',
    fix: 'create it without BPF_F_WRONLY_PROG',
  },
  {
    pattern: /^only read from (\w+) is supported/,
    why: 'the map itself ($1) is written, not one of its values',
    fix: 'look a value up first, and write that',
  },
  {
    pattern: /^Sleepable programs can only use/,
    why: 'the program may sleep, and uses a map that may change under a program that does',
    fix: 'use an array, hash, ring buffer or storage map, or a program that does not sleep',
  },
  {
    pattern: /^(?:R(\d+) )?invalid zero-sized read/,
    why: 'the size of the memory may be 0, which this helper does not take',
    fix: 'compare the size with 0 before the call',
  },
  {
    pattern: /^helper access to the packet is not allowed/,
    why: 'the helper does not take packet data as memory',
    fix: 'copy the bytes to the stack first',
  },
  {
    pattern: /^cannot write into packet/,
    why: 'programs of this type may read the packet, and not write it',
    fix: 'use bpf_skb_store_bytes() where the program type has it',
  },
  {
    pattern: /^R(\d+) cannot write into (\w+)/,
    why: 'r$1 points to $2, which is read-only',
    fix: 'write to a map, the stack or the arena; a helper of its own changes what sockets hold',
  },
  {
    pattern: /^R(\d+) invalid (\w+) access off=(-?\d+) size=(\d+)/,
    why: 'no field of $2 is $4 bytes at offset $3, or it may not be read so',
    fix: 'read the field whole; of a socket that may be any kind only what all kinds have, until bpf_sk_fullsock() or bpf_tcp_sock() was asked',
  },
  {
    pattern: /^R(\d+) must be referenced when passed to release function/,
    why: 'r$1 is given back, but nothing of it was acquired',
    fix: 'give back only what a lookup returned, not what the context or a cast of it gave',
  },
  {
    pattern: /^R(\d+) must have zero offset when passed to release/,
    why: 'r$1 was moved since it was acquired',
    fix: 'keep the pointer as it was returned and give that back',
  },
  {
    pattern: /^arg \d+ is an unacquired reference|^Expected an initialized dynptr/,
    why: 'no dynptr that could be used here lies at the address: it was never made, was overwritten, or was given back',
    fix: 'pass the address of the dynptr itself, and use it only between making it and giving it back',
  },
  {
    pattern: /^Dynptr has to be an uninitialized dynptr|^cannot pass in dynptr at an offset/,
    why: 'a dynptr must lie on the stack, whole, aligned and at a place that is known',
    fix: 'declare it as a local variable of its own',
  },
  {
    pattern: /^cannot overwrite referenced dynptr|^potential write to dynptr/,
    why: 'a dynptr on the stack would be overwritten',
    fix: 'submit or discard it first; do not reuse its variable',
  },
  {
    pattern: /^R(\d+) is not a known constant/,
    why: 'the size in r$1 must be one number, known when the program is loaded',
    fix: 'pass a constant; for records whose size varies use bpf_ringbuf_output() or a dynptr',
  },
  {
    pattern: /^R(\d+) does not point to a readonly map|^R(\d+) is not a constant address/,
    why: 'the text must be a constant of the program',
    fix: 'declare it static const char[]',
  },
  {
    pattern: /^string is not zero-terminated|^Invalid format string/,
    why: 'the text has no end, or a format has a conversion that is not known or without an argument',
    fix: 'end it in a 0, and pass one 64-bit number for each conversion',
  },
  {
    pattern: /BPF_LD_\[ABS\|IND\] instructions not allowed|^at the time of BPF_LD_ABS\|IND R6/,
    why: 'the old loads from a packet are for programs on a socket buffer, with the context in r6',
    fix: 'use bpf_skb_load_bytes(), or read through data and data_end',
  },
  {
    pattern: /is only allowed in functions that return 'int'/,
    why: 'the function may end where a tail call fails or a packet is too short, and returns nothing then',
    fix: 'let it return int',
  },
  {
    pattern: /^variable (\w+) access var_off=/,
    why: 'a pointer ($1) was moved by an amount that is not known, and is then used where only the pointer itself may be',
    fix: 'keep an unmoved copy of the pointer and use constant offsets with it',
  },
  {
    pattern: /^helper call is not allowed in probe|^func \w+#\d+ not supported for program type/,
    why: 'the helper needs a program that is attached to a certain kind of function',
    fix: 'attach the program as fentry, fexit or kprobe, as the helper asks',
  },
  {
    pattern: /^invalid func unknown#/,
    why: 'the number in the call is no helper of this kernel',
    fix: 'the program was built for a newer kernel, or the instruction is damaged',
  },
  {
    pattern:
      /^kernel function (\w+) args#(\d+) expected pointer to STRUCT (\w+) but R(\d+) has a pointer to STRUCT (\w+)/,
    why: '$1 takes a pointer to struct $3, and r$4 points to struct $5',
    fix: 'pass the object that the kfunc is for; a cast in C does not change what the verifier knows',
  },
  {
    pattern: /^kernel func (\w+) is sleepable within|^sleepable helper (\w+)#\d+ in /,
    why: 'what may sleep is called inside a region that does not allow it',
    fix: 'leave the RCU, preemption or interrupt region first',
  },
  {
    pattern: /kptr|doesn't point to kptr/,
    why: 'a kernel pointer in a map is not used as one, or is not of the type that the map declares',
    fix: 'read it by bpf_kptr_xchg() or, under RCU, by a whole load; store it by bpf_kptr_xchg() alone',
  },
  {
    pattern: /has to have BTF in order to use|has no valid bpf_(\w+)|doesn't point to 'struct (\w+)'/,
    why: 'no such field is at this place of the map value, as far as the map types say',
    fix: 'declare the map with __type(value, struct …), and pass the address of the field itself',
  },
  {
    pattern: /^tracing progs cannot use (\S+) yet|^socket filter progs cannot use (\S+) yet/,
    why: 'programs of this type may not use maps whose values hold such fields',
    fix: 'keep them in a map that this program does not name',
  },
  {
    pattern: /^(?:timer|workqueue) pointer in R1/,
    why: 'the timer or work queue lies in another map than the one that is passed',
    fix: 'pass the map that the value was looked up in',
  },
  {
    pattern: /^direct access to (bpf_\w+) is disallowed/,
    why: "$1 is the kernel's, and programs may not load or store its bytes",
    fix: 'use the kfuncs that belong to it',
  },
  {
    pattern: /^(bpf_\w+) not found at offset=|^operation on (bpf_\w+) expects/,
    why: 'no list, tree or node of the right kind is at this place of the object',
    fix: 'pass the address of the field itself, and declare what a list or tree holds with __contains()',
  },
  {
    pattern:
      /^arg#(\d+) expected pointer to|^arg(\d+) expected pointer to|^pointer in R(\d+) isn't map pointer/,
    why: 'an argument is a pointer of another kind than the call takes',
    fix: 'pass what the prototype names',
  },
  {
    pattern: /memory, len pair leads to invalid memory access/,
    why: 'the memory that is passed is smaller than the size that is passed with it, or the size is not bounded',
    fix: 'bound the size, and pass the size of the buffer itself',
  },
  {
    pattern: /^R(\d+) (?:must be a known constant|is not a scalar)|^R(\d+) must have const size/,
    why: 'r$1 must be a number here, one that is known when the program is loaded where the call says so',
    fix: 'pass a constant',
  },
  {
    pattern: /^Possibly NULL pointer passed to (?:trusted|helper) arg(\d+)/,
    why: 'an argument may be NULL',
    fix: 'compare it with NULL before the call',
  },
  {
    pattern: /^cannot access ptr member (\w+) with|^access beyond (?:struct|the end of member)/,
    why: 'the load does not fit a field of the structure',
    fix: 'read fields whole, through BPF_CORE_READ() or a structure of the kernel it runs on',
  },
  {
    pattern: /irq (?:flag|state)|enable preemption/,
    why: 'interrupts or preemption are not put back as they were turned off',
    fix: 'pair each save with one restore, in reverse order, on every path',
  },
  {
    pattern: /exception c|bpf_throw/,
    why: 'exceptions may not be used so',
    fix: 'one exception callback a program, with one integer argument, called by nobody else, and no bpf_throw() in callbacks',
  },
  {
    pattern: /^At async callback return/,
    why: 'a callback that runs later must return 0',
    fix: 'return 0 on every path',
  },
  {
    pattern: /^invalid size of register (?:spill|fill)|^cannot spill pointers to stack/,
    why: 'a pointer is stored or loaded in parts, or into the stack of a caller',
    fix: 'store and load pointers whole, in 8 bytes that are aligned',
  },
  {
    pattern: /^invalid shift|^div by zero/,
    why: 'the arithmetic has no result: a shift wider than the register, or a division by the constant 0',
    fix: 'correct the constant',
  },
];
