import type { Explanation } from './explain.ts';

/** What rejections of callbacks, iterators, exceptions and functions mean: see explain.ts. */
export const FLOW_EXPLANATIONS: readonly Explanation[] = [
  {
    pattern: /^callback function not static$/,
    why: 'a global function is handed to a helper that calls it back; callbacks are followed with what their caller has',
    fix: 'declare the callback static',
  },
  {
    pattern: /^callback function not allowed for map$/,
    why: 'bpf_for_each_map_elem() cannot walk maps of this type',
    fix: 'it walks arrays, hashes and their per-CPU and LRU kinds',
  },
  {
    pattern: /^(At callback return the register R0 |R0 not a scalar value)/,
    why: 'the callback may return something else than 0 (go on) or 1 (stop)',
    fix: 'return 0 or 1 on every path, as a long',
  },
  {
    pattern: /^At async callback return the register R0 /,
    why: 'a function that a timer, work queue or task work calls may return something else than 0',
    fix: 'return 0 on every path',
  },
  {
    pattern: /^At (?:program|subprogram) exit the register R(\d)/,
    why: 'what the program returns, or throws, in r$1 is not known to be a number that its type allows',
    fix: 'return constants, or bound the value right before',
  },
  {
    pattern: /^bpf_throw kfunc \(insn (\d+)\) cannot be called from callback/,
    why: 'instruction $1 throws where a helper has called back, which could not clean up behind itself',
    fix: 'return a value that tells the caller to throw when the helper is done',
  },
  {
    pattern: /^exception cb only supports single integer argument$/,
    why: 'the function that handles exceptions gets one number, the cookie that was thrown',
    fix: 'declare it as int name(u64 cookie)',
  },
  {
    pattern: /^insn (\d+) cannot call exception cb directly$/,
    why: 'instruction $1 calls the function that handles exceptions',
    fix: 'move what both need into a third function',
  },
  {
    pattern: /^(multiple exception callback tags|exception callback )/,
    why: 'the tag exception_callback: of the program does not name one global function of it',
    fix: 'put __exception_cb(name) once before the program, with a global function of this object',
  },
  {
    pattern: /^expected an initialized (\w+) as arg #\d+$/,
    why: 'the iterator was not made, has ended, or was written over: $1 is not there on some path',
    fix: 'call new once before the loop, also where it may fail, and destroy once behind it',
  },
  {
    pattern: /^expected uninitialized (\w+) as arg #\d+$/,
    why: 'an iterator is made where one is that was not destroyed',
    fix: 'destroy it before it is made again, on every path, or use another variable',
  },
  {
    pattern: /^arg#\d+ expected pointer to an iterator on stack$/,
    why: 'an iterator lives in a local variable, and nowhere else',
    fix: 'pass the address of a local variable of the iterator type',
  },
  {
    pattern: /^expected an RCU CS when using (\w+)$/,
    why: 'what the iterator gives is protected by RCU, and the section in which it was made has ended',
    fix: 'keep one bpf_rcu_read_lock() from new to destroy',
  },
  {
    pattern: /^Caller passes invalid args into func#\d+ \('(.+)'\)$/,
    why: 'the call of the global function $1 does not keep to its prototype ($before)',
    fix: 'pass what the parameter types (of void * nothing is known) and __arg_ tags such as __arg_arena ask for, or make the function static: then it is followed with what is passed',
  },
  {
    pattern: /^Global function (.+)\(\) doesn't return scalar/,
    why: 'the global function $1 returns something else than a number',
    fix: 'return int, write results through a pointer, or make the function static',
  },
  {
    pattern: /^arg#(\d+) (has|type|should|reference type|arena|untrusted)/,
    why: "argument $1 of a global function has a type, or a set of tags, that the verifier cannot make a pointer's rules of",
    fix: 'use pointers to types of known size, __arg_ctx for the context, __arg_arena, __arg_nonnull or __arg_trusted alone',
  },
  {
    pattern: /^(use static function instead|a non-sleepable BPF program context)$/,
    why: 'a global function is called where nobody has looked whether it may be: under a lock, or where it may sleep and must not',
    fix: 'make the function static, or call it outside of the section',
  },
  {
    pattern: /^tail_calls are not allowed when call stack of previous frames is (\d+) bytes/,
    why: '$1 bytes of stack stay in use below a tail call; there may be 240',
    fix: 'use less stack in the functions that lead to the tail call, or make the tail call in the program itself',
  },
  {
    pattern: /^(LD_ABS|tail_call) is (only|not) allowed/,
    why: 'a load from the packet or a tail call may end the function, which must then return a number',
    fix: 'give the function the return type int',
  },
  {
    pattern: /^(last insn is not an exit or jmp|cannot use BPF_LD_\[ABS\|IND\] within callback)/,
    why: 'the function does not end where it may',
    fix: 'return at its end, also behind a call that never comes back, and load packets outside of callbacks',
  },
  {
    pattern: /^(.+) would lead to reference leak$/,
    why: '$1 leaves objects behind that were acquired and not given back',
    fix: 'release, submit or destroy them on every path that leads here',
  },
  {
    pattern: /^(.+) cannot be used inside (\S+)-ed region$/,
    why: '$1 stands where a lock is held, or a region is open ($2)',
    fix: 'end the region on every path that leads here',
  },
  {
    pattern: /^verifier bug: /,
    why: "Linux's verifier stumbles over this program, and refuses it",
    fix: 'remove callbacks that are never called, and exceptions and packet loads from loops, callbacks and functions',
  },
];
