import type { Explanation } from './explain.ts';

/** What rejections of accesses, arithmetic and structure mean, and what is left of others: see explain.ts. */
export const ACCESS_EXPLANATIONS: readonly Explanation[] = [
  {
    pattern: /^R(\d+) invalid mem access 'scalar'$/,
    why: 'r$1 is dereferenced, but to the verifier it is a number, not a pointer',
    fix: 'an arena pointer must go through cast_kern() first (clang does it for __arena pointers), and a pointer that was computed with, truncated to 32 bits or read back from memory in parts is a number from then on',
  },
  {
    pattern: /^R(\d+) invalid mem access 'mem_or_null'$/,
    why: 'r$1 may be NULL where it is dereferenced',
    fix: 'compare it with NULL before; a parameter of a global function may be NULL unless it says __arg_nonnull, or the function is static',
  },
  {
    pattern: /^R(\d+) invalid mem access '(\w+)_or_null'$/,
    why: 'r$1 may be NULL where it is dereferenced',
    fix: 'compare it with NULL before, on every path that leads here',
  },
  {
    pattern: /^R(\d+) invalid mem access '(.+)'$/,
    why: 'r$1 points to $2, which programs may not read or write directly',
    fix: 'use the helper or kfunc that reads it, or copy it with bpf_probe_read_kernel()',
  },
  {
    pattern: /^R(\d+) !read_ok$/,
    why: 'r$1 is read, but on some path nothing was written to it since the program, or the last call, began',
    fix: 'set it on every path; calls leave nothing in r1 to r5',
  },
  {
    pattern: /^R(\d+) min value is negative/,
    why: 'the offset in r$1 may be negative',
    fix: 'make the index unsigned, mask it, or compare it with 0 before it is added to the pointer',
  },
  {
    pattern: /^R(\d+) unbounded memory access/,
    why: 'nothing bounds the offset in r$1 from above',
    fix: 'mask the index or compare it with the size before the access; the compiler must not move the comparison to another register',
  },
  {
    pattern: /^R(\d+) (min|max) value is outside of the allowed memory range$/,
    why: 'an access through r$1 may lie outside the memory that it points to',
    fix: 'compare the index with the size of the value less the size of the access, right before it',
  },
  {
    pattern: /^R(\d+) offset is outside of the packet$/,
    why: 'no comparison shows that the packet reaches as far as this access through r$1',
    fix: 'compare pointer + size with data_end first, with the pointer that is then used; calls that change the packet undo it',
  },
  {
    pattern: /^invalid bpf_context access off=(-?\d+) size=(\d+)$/,
    why: 'programs of this type may not access $2 bytes of the context at offset $1',
    fix: 'read the field whole and aligned as its type says, and only what this program type has',
  },
  {
    pattern: /^dereference of modified (\w+) ptr R(\d+)/,
    why: 'r$2 ($1) was moved, and is then used where only the pointer itself may be',
    fix: 'keep an unmoved copy of the pointer and use constant offsets with it',
  },
  {
    pattern: /^invalid(?: variable-offset| unbounded variable-offset)?(?: read from| write to)? stack R(\d+)/,
    why: 'an access through r$1 may lie outside the 512 bytes of stack',
    fix: 'bound the index before it is added to the address of the array, or the size that a helper is given; keep large data in a map or in the arena',
  },
  {
    pattern: /^invalid read from stack/,
    why: 'bytes of the stack are read that hold something else than plain data, or were never written',
    fix: 'initialise the variable whole ({} or memset) before its address is passed on',
  },
  {
    pattern: /^combined stack size of (\d+) calls is (\d+)/,
    why: 'the functions that call each other need $2 bytes of stack together, and have 512',
    fix: 'move large local variables into a map, per-CPU data or the arena, or let the compiler inline less',
  },
  {
    pattern: /^the call stack of \d+ frames is too deep/,
    why: 'functions call each other deeper than 8 frames, or call themselves',
    fix: 'turn the recursion into a loop with a stack of its own, in the arena for example',
  },
  {
    pattern: /^infinite loop detected at insn (\d+)/,
    why: 'the loop at instruction $1 can come back to the state it was in, so it may never end',
    fix: 'bound it: for with a constant, bpf_for(), bpf_loop(), or can_loop (may_goto) in its condition',
  },
  {
    pattern: /^BPF program is too large. Processed (\d+) insn/,
    why: 'after a million instructions on its paths the verifier gives up',
    fix: 'loops over counters that are compared with each other are followed round by round: use bpf_for(), can_loop or bpf_loop(), start counters from a variable the compiler cannot see through, and put repeated work into global functions',
  },
  {
    pattern: /^The sequence of \d+ jumps is too complex/,
    why: 'too many branches wait to be followed at once',
    fix: 'split the function: global functions are verified by themselves',
  },
  {
    pattern: /^back-edge|^unreachable insn (\d+)/,
    why: 'an instruction is never reached',
    fix: 'remove it; the compiler leaves none behind unless assembly does',
  },
  {
    pattern: /^addr_space_cast insn can only be used in a program that has an associated arena/,
    why: 'the program casts arena pointers, but refers to no arena map',
    fix: 'name the map in the program: arena_associate(&arena) of bpf_arena.h, asm volatile ("" :: "r"(&arena)), or a call of bpf_arena_alloc_pages()',
  },
  {
    pattern: /^BPF_ATOMIC stores into R(\d+) arena is not allowed/,
    why: 'atomic and, or and xor that give the old value back are not there for arena memory',
    fix: 'use compare-and-exchange in a loop, or the form without the old value',
  },
  {
    pattern: /^BPF_ATOMIC (?:loads from|stores into) R(\d+) (\w+) is not allowed/,
    why: 'r$1 points to $2, where atomic operations are not allowed',
    fix: 'use memory of a map, of the stack or of the arena',
  },
  {
    pattern: /^same insn cannot be used with different pointers/,
    why: 'one instruction reaches memory of two kinds, depending on the path (arena and stack, for example)',
    fix: 'access each in a branch of its own; the compiler may have merged two accesses: a barrier() between keeps them apart',
  },
  {
    pattern: /^Only one arena per program/,
    why: 'the program refers to two arena maps',
    fix: 'put both structures into one arena',
  },
  {
    pattern: /^R(\d+) pointer arithmetic on (\w+) prohibited, null-check it first/,
    why: 'r$1 may be NULL where something is added to it',
    fix: 'compare it with NULL first',
  },
  {
    pattern: /^R(\d+) .*pointer.*prohibited/,
    why: 'the arithmetic would turn r$1 into a pointer of which nothing is known',
    fix: 'only add and subtract 64-bit offsets; arena pointers may be computed with freely',
  },
  {
    pattern:
      /^math between (\S+) pointer and .* is not allowed|^value .* makes (\S+) pointer be out of bounds/,
    why: 'the offset that is added to a pointer has no sensible bounds',
    fix: 'mask the offset or compare it on both sides before it is added',
  },
  {
    pattern: /^R(\d+) type=(\S+) expected=map_ptr$/,
    why: 'r$1 is passed as $2, where a map is expected',
    fix: 'pass the address of a map; its definition stands in SEC(".maps")',
  },
  {
    pattern: /^R(\d+) type=(\S+) expected=(.+)$/,
    why: 'r$1 is passed as $2, where $3 is expected',
    fix: 'pass what the helper takes; what lies in the arena must be copied to the stack or a map value first',
  },
  {
    pattern: /^Unreleased reference id=\d+ alloc_insn=(\d+)|reference leak$/,
    why: 'what was acquired is not given back on a path that ends here',
    fix: 'release it on every path, also those that leave early',
  },
  {
    pattern: /^program must be sleepable to call sleepable kfunc (\w+)/,
    why: '$1 may sleep, and this program may not',
    fix: 'call it from a sleepable program: syscall, or a section with .s; programs such as xdp work on pages that were allocated before',
  },
  {
    pattern: /may sleep|sleepable .* inside|non-sleepable|in (?:a )?non-?sleepable/,
    why: 'something that may sleep is called where the program may not sleep',
    fix: 'leave the lock, RCU, preemption or interrupt region first, or do it in a sleepable program',
  },
  {
    pattern: /cannot call GPL-restricted function|non-GPL compatible program/,
    why: 'what is called is for programs under a licence compatible with the GPL',
    fix: 'say so: char LICENSE[] SEC("license") = "GPL";',
  },
  {
    pattern: /^program of this type cannot use helper (\w+)/,
    why: 'programs of this type have no helper $1',
    fix: 'bpf-arena features lists what each kernel has; another helper or kfunc often does the same',
  },
  {
    pattern: /^calling kernel function (\w+) is not allowed/,
    why: 'programs of this type may not call the kfunc $1',
    fix: 'call it from a program type that may, such as syscall',
  },
  {
    pattern: /^At (?:program|subprogram|callback) (?:exit|return) the register R0/,
    why: 'what the function returns is not, or may not be, one of the values that are allowed',
    fix: 'return one of the constants of this program type on every path',
  },
  {
    pattern: /^R0 !read_ok|^cannot return stack pointer/,
    why: 'the function ends without a value that may be returned',
    fix: 'set the return value on every path, and return nothing that points to its stack',
  },
  {
    pattern: /^misaligned/,
    why: 'the access is not aligned to its size',
    fix: 'align the structure, or copy it with memcpy; the stack wants natural alignment everywhere',
  },
  {
    pattern: /^Possibly NULL pointer passed to (?:trusted|helper) arg(\d+)/,
    why: 'argument $1 may be NULL, and must not be',
    fix: 'compare it with NULL before the call',
  },
  {
    pattern:
      /expected pointer to (?:STRUCT )?(\w+),? but (?:R\d+ has a pointer to (?:STRUCT )?(\w+)|got (\w+))/,
    why: 'the call takes a pointer to $1, and gets $2$3',
    fix: 'pass an object of that type, as the kfunc or helper that made it gave it',
  },
  {
    pattern: /^arg#\d+ arg#\d+ memory, len pair leads to invalid memory access|^invalid access to/,
    why: 'memory and length that are passed together reach beyond the memory',
    fix: 'pass the size of the buffer, or bound the length before the call',
  },
  {
    pattern: /must be a known constant|doesn't have constant offset|variable offset|must be a constant/,
    why: 'something must be known while verifying, and is only known when the program runs',
    fix: 'pass a constant; the compiler may have merged two calls with different ones',
  },
  {
    pattern: /kptr/,
    why: 'a kernel pointer in a map value is not read or written as such',
    fix: 'load it with a plain 64-bit load, store and exchange it with bpf_kptr_xchg(), and keep its type',
  },
  {
    pattern: /^direct access to (\w+) is disallowed|^(\w+) cannot be accessed directly by load\/store/,
    why: 'a field that the kernel looks after ($1$2) is read or written directly',
    fix: 'leave it to its helpers and kfuncs; copy the fields around it one by one instead of the whole structure',
  },
  {
    pattern: /bpf_list|bpf_rb|owning|refcount|bpf_obj_|local type ID/,
    why: 'an object of a list or tree, or the memory for one, is not used as its owner may',
    fix: 'objects come from bpf_obj_new(), belong to a list or tree once they are added (also in its lock), and to you once they are taken out',
  },
  {
    pattern: /map '(\w+)' (?:has to have BTF|has no valid) ?(?:in order to use )?(\w+)?/,
    why: 'values of the map $1 have no such field as far as the kernel can tell',
    fix: 'declare the map with __type(value, struct …) with the field in it, and keep BTF (-g)',
  },
  {
    pattern: /must be (?:referenced or trusted|a rcu pointer)/,
    why: 'the object may be gone by the time it is used',
    fix: 'take a reference (…_acquire()), or use it inside bpf_rcu_read_lock() where it came from an RCU-protected field',
  },
  {
    pattern: /-ed region|region|IRQ|irq|preempt/,
    why: 'a lock, RCU, preemption or interrupt region is entered, left or used in a way that is not allowed',
    fix: 'leave each region on every path, in the reverse order, and do nothing in it that may sleep or throw',
  },
  {
    pattern: /bpf_throw|exception c(?:all)?b/,
    why: 'an exception is thrown, or caught, where that is not allowed',
    fix: 'throw only outside of callbacks and regions, with everything released; an exception callback takes one integer',
  },
  {
    pattern: /callback|pointer to func/,
    why: 'what is passed as a callback is not one',
    fix: 'pass a static function of this program with the arguments that the helper documents, and return 0 or 1',
  },
  {
    pattern: /^R(\d+) is not a scalar$/,
    why: 'r$1 is a pointer where a number is expected',
    fix: 'check the order of the arguments against the prototype',
  },
  {
    pattern: /^frame pointer is read only$/,
    why: 'r10 is written, and always points to the top of the stack',
    fix: 'copy it to another register first',
  },
  {
    pattern: /^invalid size of register (spill|fill)|^cannot spill pointers/,
    why: 'a pointer is put on the stack, or taken from it, in a way that would break it',
    fix: 'spill and fill pointers whole, 8 bytes aligned, on the stack of their own function',
  },
  {
    pattern: /^div by zero$|^invalid shift/,
    why: 'the constant operand can never be right: a division by zero, or a shift beyond the width',
    fix: 'correct the constant',
  },
  {
    pattern:
      /access beyond|invalid negative access|cannot access ptr member|only read is supported|percpu memory/,
    why: 'an access to a kernel structure does not match one of its fields',
    fix: 'read whole fields at their offsets (BPF_CORE_READ finds them), and use bpf_this_cpu_ptr() for per-CPU data',
  },
  {
    pattern: /^tracing progs cannot use/,
    why: 'programs of this type may not use maps with such fields',
    fix: 'keep locks, timers, lists and trees in maps that other program types use',
  },
  {
    pattern: /^(?:arg#?\d+|off|timer|workqueue|bpf_task_work) .*(?:doesn't|expected|must point)/,
    why: 'an argument does not point to what the call needs',
    fix: 'pass the address of the field itself, in a value of the map that is passed with it',
  },
  {
    pattern: /^(?:tail_call|LD_ABS)|^tail_calls/,
    why: 'a tail call or packet load stands in a function where it is not allowed',
    fix: 'do it in the program itself or in a function that returns int, with less stack in its callers',
  },
  {
    pattern: /offset -?\d+ is not allowed/,
    why: 'a pointer is moved further than any memory reaches',
    fix: 'check the arithmetic that leads to the offset',
  },
  {
    pattern: /^jump out of range|^last insn is not an exit or jmp|^call to invalid destination/,
    why: 'control flow leaves the function',
    fix: 'end every function with exit or a jump, and jump only inside it',
  },
  {
    pattern: /^R(\d+) is invalid|uses reserved fields|^unknown opcode|^unrecognized|^invalid/,
    why: 'an instruction has a form that no BPF processor knows',
    fix: 'compilers do not make such instructions: look at the assembly, or at what wrote the object',
  },
  {
    pattern: /lock/,
    why: 'a lock is not taken, held or given back as it must be',
    fix: 'one lock at a time, unlocked on every path, and no calls while it is held but those that are allowed',
  },
  {
    pattern: /dynptr/,
    why: 'a dynptr is not used as one',
    fix: 'initialise it once, pass its own address, release it on every path, and do not touch its bytes',
  },
  {
    pattern: /iter_/,
    why: 'an iterator is not used as one',
    fix: 'new, next until NULL, destroy: each on every path, on the same variable',
  },
];
