/**
 * What programs of tracepoints and of perf events get, as C: the records of the tracepoints that programs ask for most, and the
 * registers and times of a sample. A program that includes them from the kernel's BTF is relocated against these; their offsets
 * are Linux's, for whoever runs such a program here hands it such a record as its context.
 */
export const TRACE_TYPES = `
struct trace_entry { unsigned short type; unsigned char flags; unsigned char preempt_count; int pid; };
struct trace_event_raw_sys_enter { struct trace_entry ent; long id; unsigned long args[6]; char __data[0]; };
struct trace_event_raw_sys_exit { struct trace_entry ent; long id; long ret; char __data[0]; };
struct trace_event_raw_sched_switch {
  struct trace_entry ent;
  char prev_comm[16];
  pid_t prev_pid;
  int prev_prio;
  long prev_state;
  char next_comm[16];
  pid_t next_pid;
  int next_prio;
  char __data[0];
};
struct trace_event_raw_sched_wakeup_template { struct trace_entry ent; char comm[16]; pid_t pid; int prio; int target_cpu; char __data[0]; };
struct trace_event_raw_sched_process_template { struct trace_entry ent; u32 __data_loc_comm; pid_t pid; int prio; char __data[0]; };
struct trace_event_raw_sched_process_fork { struct trace_entry ent; u32 __data_loc_parent_comm; pid_t parent_pid; u32 __data_loc_child_comm; pid_t child_pid; char __data[0]; };
struct trace_event_raw_sched_process_exec { struct trace_entry ent; u32 __data_loc_filename; pid_t pid; pid_t old_pid; char __data[0]; };
struct trace_event_raw_sched_process_exit { struct trace_entry ent; char comm[16]; pid_t pid; int prio; bool group_dead; char __data[0]; };
struct trace_event_raw_sched_stat_runtime { struct trace_entry ent; u32 __data_loc_comm; pid_t pid; u64 runtime; char __data[0]; };
struct trace_event_raw_sched_migrate_task { struct trace_entry ent; u32 __data_loc_comm; pid_t pid; int prio; int orig_cpu; int dest_cpu; char __data[0]; };
struct trace_event_raw_task_rename { struct trace_entry ent; pid_t pid; char oldcomm[16]; char newcomm[16]; short oom_score_adj; char __data[0]; };
struct trace_event_raw_signal_generate { struct trace_entry ent; int sig; int errno; int code; char comm[16]; pid_t pid; int group; int result; char __data[0]; };
struct trace_event_raw_irq_handler_entry { struct trace_entry ent; int irq; u32 __data_loc_name; char __data[0]; };
struct trace_event_raw_softirq { struct trace_entry ent; unsigned int vec; char __data[0]; };
struct trace_event_raw_exceptions { struct trace_entry ent; unsigned long address; unsigned long ip; unsigned long error_code; char __data[0]; };
struct trace_event_raw_kmalloc { struct trace_entry ent; unsigned long call_site; const void *ptr; size_t bytes_req; size_t bytes_alloc; unsigned long gfp_flags; int node; char __data[0]; };
struct trace_event_raw_kfree { struct trace_entry ent; unsigned long call_site; const void *ptr; char __data[0]; };
struct trace_event_raw_mm_page_alloc { struct trace_entry ent; unsigned long pfn; unsigned int order; unsigned long gfp_flags; int migratetype; char __data[0]; };
struct trace_event_raw_net_dev_template { struct trace_entry ent; void *skbaddr; unsigned int len; u32 __data_loc_name; char __data[0]; };
struct trace_event_raw_inet_sock_set_state {
  struct trace_entry ent;
  const void *skaddr;
  int oldstate;
  int newstate;
  __u16 sport;
  __u16 dport;
  __u16 family;
  __u16 protocol;
  __u8 saddr[4];
  __u8 daddr[4];
  __u8 saddr_v6[16];
  __u8 daddr_v6[16];
  char __data[0];
};
typedef struct pt_regs bpf_user_pt_regs_t;
struct bpf_perf_event_data { bpf_user_pt_regs_t regs; __u64 sample_period; __u64 addr; };
struct perf_event;
struct perf_sample_data { u64 sample_flags; u64 period; u64 dyn_size; u64 type; u64 time; u64 id; u64 ip; u64 addr; u64 phys_addr; u64 cgroup; };
struct bpf_perf_event_data_kern { bpf_user_pt_regs_t *regs; struct perf_sample_data *data; struct perf_event *event; };
`;
