/**
 * Contexts of the program types that are about sockets and cgroups, as C, and what the kernel has behind them: programs that include
 * them from its BTF are relocated against these. The former are laid out as in Linux; of the latter only names and types of fields count.
 */
export const SOCKET_TYPES = `
struct bpf_sock_addr {
  __u32 user_family;
  __u32 user_ip4;
  __u32 user_ip6[4];
  __u32 user_port;
  __u32 family;
  __u32 type;
  __u32 protocol;
  __u32 msg_src_ip4;
  __u32 msg_src_ip6[4];
  union { struct bpf_sock *sk; };
};
struct bpf_sockopt {
  union { struct bpf_sock *sk; };
  union { void *optval; };
  union { void *optval_end; };
  __s32 level;
  __s32 optname;
  __s32 optlen;
  __s32 retval;
};
struct bpf_cgroup_dev_ctx { __u32 access_type; __u32 major; __u32 minor; };
struct bpf_sock_ops {
  __u32 op;
  union { __u32 args[4]; __u32 reply; __u32 replylong[4]; };
  __u32 family;
  __u32 remote_ip4;
  __u32 local_ip4;
  __u32 remote_ip6[4];
  __u32 local_ip6[4];
  __u32 remote_port;
  __u32 local_port;
  __u32 is_fullsock;
  __u32 snd_cwnd;
  __u32 srtt_us;
  __u32 bpf_sock_ops_cb_flags;
  __u32 state;
  __u32 rtt_min;
  __u32 snd_ssthresh;
  __u32 rcv_nxt;
  __u32 snd_nxt;
  __u32 snd_una;
  __u32 mss_cache;
  __u32 ecn_flags;
  __u32 rate_delivered;
  __u32 rate_interval_us;
  __u32 packets_out;
  __u32 retrans_out;
  __u32 total_retrans;
  __u32 segs_in;
  __u32 data_segs_in;
  __u32 segs_out;
  __u32 data_segs_out;
  __u32 lost_out;
  __u32 sacked_out;
  __u32 sk_txhash;
  __u64 bytes_received;
  __u64 bytes_acked;
  union { struct bpf_sock *sk; };
  union { void *skb_data; };
  union { void *skb_data_end; };
  __u32 skb_len;
  __u32 skb_tcp_flags;
  __u64 skb_hwtstamp;
};
struct sk_msg_md {
  union { void *data; };
  union { void *data_end; };
  __u32 family;
  __u32 remote_ip4;
  __u32 local_ip4;
  __u32 remote_ip6[4];
  __u32 local_ip6[4];
  __u32 remote_port;
  __u32 local_port;
  __u32 size;
  union { struct bpf_sock *sk; };
};
struct bpf_sk_lookup {
  union { union { struct bpf_sock *sk; }; __u64 cookie; };
  __u32 family;
  __u32 protocol;
  __u32 remote_ip4;
  __u32 remote_ip6[4];
  __be16 remote_port;
  __u32 local_ip4;
  __u32 local_ip6[4];
  __u32 local_port;
  __u32 ingress_ifindex;
};
struct sk_reuseport_md {
  union { void *data; };
  union { void *data_end; };
  __u32 len;
  __u32 eth_protocol;
  __u32 ip_protocol;
  __u32 bind_inany;
  __u32 hash;
  union { struct bpf_sock *sk; };
  union { struct bpf_sock *migrating_sk; };
};
struct bpf_nf_ctx { const struct nf_hook_state *state; struct sk_buff *skb; };
struct nf_hook_state { u8 hook; u8 pf; struct net_device *in; struct net_device *out; struct sock *sk; struct net *net; };
struct sockaddr { unsigned short sa_family; char sa_data_min[14]; };
struct bpf_sock_addr_kern { struct sock *sk; struct sockaddr *uaddr; u64 tmp_reg; void *t_ctx; u32 uaddrlen; };
struct bpf_sockopt_kern { struct sock *sk; u8 *optval; u8 *optval_end; s32 level; s32 optname; s32 optlen; struct task_struct *current_task; u64 tmp_reg; };
struct bpf_sysctl_kern { void *cur_val; size_t cur_len; void *new_val; size_t new_len; int new_updated; int write; u64 tmp_reg; };
struct bpf_sock_ops_kern {
  struct sock *sk;
  union { u32 args[4]; u32 reply; u32 replylong[4]; };
  struct sk_buff *syn_skb;
  struct sk_buff *skb;
  void *skb_data_end;
  u8 op;
  u8 is_fullsock;
  u8 is_locked_tcp_sock;
  u8 remaining_opt_len;
  u64 temp;
};
struct sk_msg { void *data; void *data_end; u32 apply_bytes; u32 cork_bytes; u32 flags; struct sk_buff *skb; struct sock *sk_redir; struct sock *sk; struct list_head list; };
struct bpf_sk_lookup_kern { u16 family; u16 protocol; __be16 sport; u16 dport; struct sock *selected_sk; u32 ingress_ifindex; bool no_reuseport; };
struct sk_reuseport_kern { struct sk_buff *skb; struct sock *sk; struct sock *selected_sk; struct sock *migrating_sk; void *data_end; u32 hash; u32 reuseport_id; bool bind_inany; };
struct bpf_flow_dissector { struct bpf_flow_keys *flow_keys; const struct sk_buff *skb; const void *data; const void *data_end; };
`;
