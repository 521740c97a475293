/**
 * What the kernel keeps of its own objects, programs and links, and of an iteration, as C: what iterators over them see. Fields that
 * nobody would fill in here are left out: a program that wants one is told so when it is judged.
 */
export const OBJECT_TYPES = `
typedef long long loff_t;
enum bpf_link_type {
  BPF_LINK_TYPE_UNSPEC = 0, BPF_LINK_TYPE_RAW_TRACEPOINT = 1, BPF_LINK_TYPE_TRACING = 2, BPF_LINK_TYPE_CGROUP = 3, BPF_LINK_TYPE_ITER = 4,
  BPF_LINK_TYPE_NETNS = 5, BPF_LINK_TYPE_XDP = 6, BPF_LINK_TYPE_PERF_EVENT = 7, BPF_LINK_TYPE_KPROBE_MULTI = 8
};
struct btf_type { __u32 name_off; __u32 info; union { __u32 size; __u32 type; }; };
struct btf_header { __u16 magic; __u8 version; __u8 flags; __u32 hdr_len; __u32 type_off; __u32 type_len; __u32 str_off; __u32 str_len; };
struct btf { void *data; struct btf_type **types; const char *strings; struct btf_header hdr; u32 nr_types; u32 id; struct btf *base_btf; bool kernel_btf; };
struct bpf_func_info { __u32 insn_off; __u32 type_id; };
struct bpf_prog_aux {
  u32 used_map_cnt;
  u32 id;
  u32 func_cnt;
  struct bpf_prog *dst_prog;
  const char *attach_func_name;
  struct bpf_prog *prog;
  char name[16];
  struct btf *btf;
  struct bpf_func_info *func_info;
};
struct bpf_prog {
  u16 jited;
  u16 sleepable;
  enum bpf_prog_type type;
  enum bpf_attach_type expected_attach_type;
  u32 len;
  struct bpf_prog_aux *aux;
};
struct bpf_link { u32 id; enum bpf_link_type type; struct bpf_prog *prog; enum bpf_attach_type attach_type; };
struct seq_file { char *buf; size_t size; size_t from; size_t count; size_t pad_until; loff_t index; loff_t read_pos; void *private; };
struct bpf_iter_meta { union { struct seq_file *seq; }; u64 session_id; u64 seq_num; };
struct btf_ptr { void *ptr; __u32 type_id; __u32 flags; };
`;
