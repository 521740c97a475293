/** Flags of BPF_MAP_CREATE (include/uapi/linux/bpf.h), and those of updating an element. */

export const BPF_F_NO_PREALLOC = 1 << 0;
/** LRU: a list of its own for each CPU. */
export const BPF_F_NO_COMMON_LRU = 1 << 1;
export const BPF_F_NUMA_NODE = 1 << 2;
/** User space cannot write. */
export const BPF_F_RDONLY = 1 << 3;
/** User space cannot read. */
export const BPF_F_WRONLY = 1 << 4;
export const BPF_F_ZERO_SEED = 1 << 6;
/** Programs cannot write. */
export const BPF_F_RDONLY_PROG = 1 << 7;
/** Programs cannot read. */
export const BPF_F_WRONLY_PROG = 1 << 8;
/** Local storage of sockets: a new socket gets what the one that it is accepted from has. */
export const BPF_F_CLONE = 1 << 9;
export const BPF_F_MMAPABLE = 1 << 10;
/** Perf event array: an element stays when the file descriptor through which it came is closed. */
export const BPF_F_PRESERVE_ELEMS = 1 << 11;
export const BPF_F_INNER_MAP = 1 << 12;
/** Arena: user space touching an absent page gets SIGSEGV instead of a new page. */
export const BPF_F_SEGV_ON_FAULT = 1 << 17;
/** Arena: cast_user is a 32-bit move. */
export const BPF_F_NO_USER_CONV = 1 << 18;

export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;
/** With the lock in the value held. */
export const BPF_F_LOCK = 4;
