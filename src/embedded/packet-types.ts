/**
 * Headers of packets, and the structures by which programs and helpers speak of packets and sockets, as C: the kernel's BTF
 * has them, so that programs which include them from it are relocated against what they mean here.
 */
export const PACKET_TYPES = `
typedef __u16 __sum16;
typedef __u32 __le32;
struct ethhdr { unsigned char h_dest[6]; unsigned char h_source[6]; __be16 h_proto; };
struct iphdr {
  __u8 ihl: 4;
  __u8 version: 4;
  __u8 tos;
  __be16 tot_len;
  __be16 id;
  __be16 frag_off;
  __u8 ttl;
  __u8 protocol;
  __sum16 check;
  union {
    struct {
      __be32 saddr;
      __be32 daddr;
    };
    struct {
      __be32 saddr;
      __be32 daddr;
    } addrs;
  };
};
struct ipv6hdr {
  __u8 priority: 4;
  __u8 version: 4;
  __u8 flow_lbl[3];
  __be16 payload_len;
  __u8 nexthdr;
  __u8 hop_limit;
  union {
    struct {
      struct in6_addr saddr;
      struct in6_addr daddr;
    };
    struct {
      struct in6_addr saddr;
      struct in6_addr daddr;
    } addrs;
  };
};
struct udphdr { __be16 source; __be16 dest; __be16 len; __sum16 check; };
struct tcphdr {
  __be16 source;
  __be16 dest;
  __be32 seq;
  __be32 ack_seq;
  __u16 ae: 1;
  __u16 res1: 3;
  __u16 doff: 4;
  __u16 fin: 1;
  __u16 syn: 1;
  __u16 rst: 1;
  __u16 psh: 1;
  __u16 ack: 1;
  __u16 urg: 1;
  __u16 ece: 1;
  __u16 cwr: 1;
  __be16 window;
  __sum16 check;
  __be16 urg_ptr;
};
struct icmphdr {
  __u8 type;
  __u8 code;
  __sum16 checksum;
  union {
    struct {
      __be16 id;
      __be16 sequence;
    } echo;
    __be32 gateway;
    struct {
      __be16 __unused;
      __be16 mtu;
    } frag;
    __u8 reserved[4];
  } un;
};
struct bpf_sock {
  __u32 bound_dev_if;
  __u32 family;
  __u32 type;
  __u32 protocol;
  __u32 mark;
  __u32 priority;
  __u32 src_ip4;
  __u32 src_ip6[4];
  __u32 src_port;
  __be16 dst_port;
  __u32 dst_ip4;
  __u32 dst_ip6[4];
  __u32 state;
  __s32 rx_queue_mapping;
};
struct bpf_tcp_sock {
  __u32 snd_cwnd;
  __u32 srtt_us;
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
  __u64 bytes_received;
  __u64 bytes_acked;
  __u32 dsack_dups;
  __u32 delivered;
  __u32 delivered_ce;
  __u32 icsk_retransmits;
};
struct bpf_flow_keys {
  __u16 nhoff;
  __u16 thoff;
  __u16 addr_proto;
  __u8 is_frag;
  __u8 is_first_frag;
  __u8 is_encap;
  __u8 ip_proto;
  __be16 n_proto;
  __be16 sport;
  __be16 dport;
  union {
    struct {
      __be32 ipv4_src;
      __be32 ipv4_dst;
    };
    struct {
      __u32 ipv6_src[4];
      __u32 ipv6_dst[4];
    };
  };
  __u32 flags;
  __be32 flow_label;
};
struct vlan_hdr { __be16 h_vlan_TCI; __be16 h_vlan_encapsulated_proto; };
struct vlan_ethhdr {
  union {
    struct {
      unsigned char h_dest[6];
      unsigned char h_source[6];
    };
    struct {
      unsigned char h_dest[6];
      unsigned char h_source[6];
    } addrs;
  };
  __be16 h_vlan_proto;
  __be16 h_vlan_TCI;
  __be16 h_vlan_encapsulated_proto;
};
struct bpf_fib_lookup {
  __u8 family;
  __u8 l4_protocol;
  __be16 sport;
  __be16 dport;
  union {
    __u16 tot_len;
    __u16 mtu_result;
  };
  __u32 ifindex;
  union {
    __u8 tos;
    __be32 flowinfo;
    __u32 rt_metric;
  };
  union {
    __be32 ipv4_src;
    __u32 ipv6_src[4];
  };
  union {
    __be32 ipv4_dst;
    __u32 ipv6_dst[4];
  };
  union {
    struct {
      __be16 h_vlan_proto;
      __be16 h_vlan_TCI;
    };
    __u32 tbid;
  };
  union {
    struct {
      __u32 mark;
    };
    struct {
      __u8 smac[6];
      __u8 dmac[6];
    };
  };
};
struct bpf_xdp_sock { __u32 queue_id; };
struct bpf_tunnel_key {
  __u32 tunnel_id;
  union {
    __u32 remote_ipv4;
    __u32 remote_ipv6[4];
  };
  __u8 tunnel_tos;
  __u8 tunnel_ttl;
  union {
    __u16 tunnel_ext;
    __be16 tunnel_flags;
  };
  __u32 tunnel_label;
  union {
    __u32 local_ipv4;
    __u32 local_ipv6[4];
  };
};
struct bpf_redir_neigh { __u32 nh_family; union { __be32 ipv4_nh; __u32 ipv6_nh[4]; }; };
struct arphdr { __be16 ar_hrd; __be16 ar_pro; unsigned char ar_hln; unsigned char ar_pln; __be16 ar_op; };
struct bpf_sysctl { __u32 write; __u32 file_pos; };
struct bpf_perf_event_value { __u64 counter; __u64 enabled; __u64 running; };
struct bpf_pidns_info { __u32 pid; __u32 tgid; };
struct frag_hdr { __u8 nexthdr; __u8 reserved; __be16 frag_off; __be32 identification; };
struct gre_base_hdr { __be16 flags; __be16 protocol; };
struct sctphdr { __be16 source; __be16 dest; __be32 vtag; __le32 checksum; };
struct bpf_devmap_val { __u32 ifindex; union { int fd; __u32 id; } bpf_prog; };
struct bpf_cpumap_val { __u32 qsize; union { int fd; __u32 id; } bpf_prog; };
union tcp_word_hdr { struct tcphdr hdr; __be32 words[5]; };
struct icmp6hdr {
  __u8 icmp6_type;
  __u8 icmp6_code;
  __sum16 icmp6_cksum;
  union { __be32 un_data32[1]; __be16 un_data16[2]; __u8 un_data8[4]; } icmp6_dataun;
};
struct sockaddr_in6 {
  unsigned short sin6_family;
  __be16 sin6_port;
  __be32 sin6_flowinfo;
  struct in6_addr sin6_addr;
  __u32 sin6_scope_id;
};
struct vxlan_metadata { u32 gbp; };
struct geneve_opt { __be16 opt_class; u8 type; u8 length : 5; u8 r3 : 1; u8 r2 : 1; u8 r1 : 1; u8 opt_data[0]; };
struct erspan_md2 {
  __be32 timestamp;
  __be16 sgt;
  __u8 hwid_upper : 2;
  __u8 ft : 5;
  __u8 p : 1;
  __u8 o : 1;
  __u8 gra : 2;
  __u8 dir : 1;
  __u8 hwid : 4;
};
struct erspan_metadata { int version; union { __be32 index; struct erspan_md2 md2; } u; };
struct ip_esp_hdr { __be32 spi; __be32 seq_no; __u8 enc_data[0]; };
struct bpf_xfrm_state { __u32 reqid; __u32 spi; __u16 family; __u16 ext; union { __u32 remote_ipv4; __u32 remote_ipv6[4]; }; };
`;
