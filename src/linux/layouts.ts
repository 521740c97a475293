/**
 * The structs of include/uapi/linux/bpf.h that cross bpf(2), as tables: each field's bytes in the struct's order, offsets
 * following from C's alignment. `encodeStruct` and `decodeStruct` work on any of them; which command takes which is in
 * `bpf.ts`.
 */

/** Bytes of each field, in order. 1, 2, 4 and 8 are integers; other sizes are text, ended by a NUL. */
export type StructLayout = Readonly<Record<string, number>>;

/** A field's value on the way in: integers, text, or memory whose address is meant. */
export type FieldValue = number | bigint | string | ArrayBufferView;

/** The part of `union bpf_attr` that each command takes, with the command's number (`enum bpf_cmd`). */
export const COMMANDS = {
  map_create: [
    0,
    {
      map_type: 4,
      key_size: 4,
      value_size: 4,
      max_entries: 4,
      map_flags: 4,
      inner_map_fd: 4,
      numa_node: 4,
      map_name: 16,
      map_ifindex: 4,
      btf_fd: 4,
      btf_key_type_id: 4,
      btf_value_type_id: 4,
      btf_vmlinux_value_type_id: 4,
      map_extra: 8,
      value_type_btf_obj_fd: 4,
      map_token_fd: 4,
    },
  ],
  map_lookup_elem: [1, { map_fd: 4, key: 8, value: 8, flags: 8 }],
  map_update_elem: [2, { map_fd: 4, key: 8, value: 8, flags: 8 }],
  map_delete_elem: [3, { map_fd: 4, key: 8, value: 8, flags: 8 }],
  map_get_next_key: [4, { map_fd: 4, key: 8, next_key: 8, flags: 8 }],
  prog_load: [
    5,
    {
      prog_type: 4,
      insn_cnt: 4,
      insns: 8,
      license: 8,
      log_level: 4,
      log_size: 4,
      log_buf: 8,
      kern_version: 4,
      prog_flags: 4,
      prog_name: 16,
      prog_ifindex: 4,
      expected_attach_type: 4,
      prog_btf_fd: 4,
      func_info_rec_size: 4,
      func_info: 8,
      func_info_cnt: 4,
      line_info_rec_size: 4,
      line_info: 8,
      line_info_cnt: 4,
      attach_btf_id: 4,
      attach_btf_obj_fd: 4,
      core_relo_cnt: 4,
      fd_array: 8,
      core_relos: 8,
      core_relo_rec_size: 4,
      log_true_size: 4,
      prog_token_fd: 4,
      fd_array_cnt: 4,
    },
  ],
  obj_pin: [6, { pathname: 8, bpf_fd: 4, file_flags: 4, path_fd: 4 }],
  obj_get: [7, { pathname: 8, bpf_fd: 4, file_flags: 4, path_fd: 4 }],
  prog_attach: [8, { target_fd: 4, attach_bpf_fd: 4, attach_type: 4, attach_flags: 4, replace_bpf_fd: 4 }],
  prog_detach: [9, { target_fd: 4, attach_bpf_fd: 4, attach_type: 4 }],
  prog_test_run: [
    10,
    {
      prog_fd: 4,
      retval: 4,
      data_size_in: 4,
      data_size_out: 4,
      data_in: 8,
      data_out: 8,
      repeat: 4,
      duration: 4,
      ctx_size_in: 4,
      ctx_size_out: 4,
      ctx_in: 8,
      ctx_out: 8,
      flags: 4,
      cpu: 4,
      batch_size: 4,
    },
  ],
  prog_get_next_id: [11, { start_id: 4, next_id: 4, open_flags: 4 }],
  map_get_next_id: [12, { start_id: 4, next_id: 4, open_flags: 4 }],
  prog_get_fd_by_id: [13, { id: 4, next_id: 4, open_flags: 4 }],
  map_get_fd_by_id: [14, { id: 4, next_id: 4, open_flags: 4 }],
  obj_get_info_by_fd: [15, { bpf_fd: 4, info_len: 4, info: 8 }],
  raw_tracepoint_open: [17, { name: 8, prog_fd: 4, cookie: 8 }],
  btf_load: [
    18,
    {
      btf: 8,
      btf_log_buf: 8,
      btf_size: 4,
      btf_log_size: 4,
      btf_log_level: 4,
      btf_log_true_size: 4,
    },
  ],
  btf_get_fd_by_id: [19, { id: 4, next_id: 4, open_flags: 4 }],
  map_lookup_and_delete_elem: [21, { map_fd: 4, key: 8, value: 8, flags: 8 }],
  map_freeze: [22, { map_fd: 4 }],
  btf_get_next_id: [23, { start_id: 4, next_id: 4, open_flags: 4 }],
  map_lookup_batch: [
    24,
    { in_batch: 8, out_batch: 8, keys: 8, values: 8, count: 4, map_fd: 4, elem_flags: 8, flags: 8 },
  ],
  map_lookup_and_delete_batch: [
    25,
    { in_batch: 8, out_batch: 8, keys: 8, values: 8, count: 4, map_fd: 4, elem_flags: 8, flags: 8 },
  ],
  map_update_batch: [
    26,
    { in_batch: 8, out_batch: 8, keys: 8, values: 8, count: 4, map_fd: 4, elem_flags: 8, flags: 8 },
  ],
  map_delete_batch: [
    27,
    { in_batch: 8, out_batch: 8, keys: 8, values: 8, count: 4, map_fd: 4, elem_flags: 8, flags: 8 },
  ],
  /** The words behind `flags` depend on the attach type: `target_btf_id`, or for perf events `bpf_cookie`, and so on. */
  link_create: [
    28,
    {
      prog_fd: 4,
      target_fd: 4,
      attach_type: 4,
      flags: 4,
      /** target_btf_id, tcx.relative_fd, netfilter.pf; low half of perf_event.bpf_cookie. */
      extra0: 4,
      /** netfilter.hooknum; high half of the same. */
      extra1: 4,
      /** tracing.cookie, tcx.expected_revision. */
      extra2: 8,
    },
  ],
  /** Likewise, for iterators. */
  link_create_iter: [
    28,
    { prog_fd: 4, target_fd: 4, attach_type: 4, flags: 4, iter_info: 8, iter_info_len: 4 },
  ],
  link_update: [29, { link_fd: 4, new_prog_fd: 4, flags: 4, old_prog_fd: 4 }],
  link_get_fd_by_id: [30, { id: 4, next_id: 4, open_flags: 4 }],
  link_get_next_id: [31, { start_id: 4, next_id: 4, open_flags: 4 }],
  iter_create: [33, { link_fd: 4, flags: 4 }],
  link_detach: [34, { link_fd: 4 }],
  prog_stream_read_by_fd: [37, { stream_buf: 8, stream_buf_len: 4, stream_id: 4, prog_fd: 4 }],
} as const satisfies Record<string, readonly [command: number, layout: StructLayout]>;

export type Command = keyof typeof COMMANDS;
/** A command's fields; those left out are 0. */
export type Attributes<Name extends Command> = {
  readonly [Field in keyof (typeof COMMANDS)[Name][1]]?: FieldValue;
};

/** What BPF_OBJ_GET_INFO_BY_FD tells of each kind of object. */
export const INFO = {
  map: {
    type: 4,
    id: 4,
    key_size: 4,
    value_size: 4,
    max_entries: 4,
    map_flags: 4,
    name: 16,
    ifindex: 4,
    btf_vmlinux_value_type_id: 4,
    netns_dev: 8,
    netns_ino: 8,
    btf_id: 4,
    btf_key_type_id: 4,
    btf_value_type_id: 4,
    btf_vmlinux_id: 4,
    map_extra: 8,
  },
  prog: {
    type: 4,
    id: 4,
    tag: 8,
    jited_prog_len: 4,
    xlated_prog_len: 4,
    jited_prog_insns: 8,
    xlated_prog_insns: 8,
    load_time: 8,
    created_by_uid: 4,
    nr_map_ids: 4,
    map_ids: 8,
    name: 16,
    ifindex: 4,
    gpl_compatible: 4,
    netns_dev: 8,
    netns_ino: 8,
    nr_jited_ksyms: 4,
    nr_jited_func_lens: 4,
    jited_ksyms: 8,
    jited_func_lens: 8,
    btf_id: 4,
    func_info_rec_size: 4,
    func_info: 8,
    nr_func_info: 4,
    nr_line_info: 4,
    line_info: 8,
    jited_line_info: 8,
    nr_jited_line_info: 4,
    line_info_rec_size: 4,
    jited_line_info_rec_size: 4,
    nr_prog_tags: 4,
    prog_tags: 8,
    run_time_ns: 8,
    run_cnt: 8,
    recursion_misses: 8,
    verified_insns: 4,
    attach_btf_obj_id: 4,
    attach_btf_id: 4,
  },
  btf: { btf: 8, btf_size: 4, id: 4, name: 8, name_len: 4, kernel_btf: 4 },
  link: { type: 4, id: 4, prog_id: 4, pad: 4, extra0: 8, extra1: 8, extra2: 8, extra3: 8 },
} as const satisfies Record<string, StructLayout>;

export type InfoKind = keyof typeof INFO;
type Decoded<Layout extends StructLayout> = {
  readonly [Field in keyof Layout]: Layout[Field] extends 8
    ? bigint
    : Layout[Field] extends 16
      ? string
      : number;
};
export type Info<Kind extends InfoKind> = Decoded<(typeof INFO)[Kind]>;

interface Placed {
  readonly fields: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
  readonly size: number;
}

const placed = new WeakMap<StructLayout, Placed>();

/** Where each field is, by C's rules. */
function place(layout: StructLayout): Placed {
  let known = placed.get(layout);
  if (known !== undefined) return known;
  const fields = new Map<string, { offset: number; size: number }>();
  let end = 0;
  for (const [name, size] of Object.entries(layout)) {
    const alignment = size <= 8 ? size : 1;
    const offset = Math.ceil(end / alignment) * alignment;
    fields.set(name, { offset, size });
    end = offset + size;
  }
  known = { fields, size: Math.ceil(end / 8) * 8 };
  placed.set(layout, known);
  return known;
}

/** Bytes of a struct, its end padded to 8. */
export function structSize(layout: StructLayout): number {
  return place(layout).size;
}

/** Writes a struct. @param addressOf gives the address of memory that stays referenced while the struct is used. */
export function encodeStruct(
  layout: StructLayout,
  values: Readonly<Record<string, FieldValue | undefined>>,
  addressOf: (memory: ArrayBufferView) => bigint,
): Uint8Array {
  const { fields, size } = place(layout);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const field = fields.get(name);
    if (field === undefined || value === undefined) continue;
    if (typeof value === 'string') {
      bytes.set(new TextEncoder().encode(value).subarray(0, field.size - 1), field.offset);
    } else if (field.size === 8) {
      const wide = typeof value === 'object' ? addressOf(value) : BigInt(value);
      view.setBigUint64(field.offset, BigInt.asUintN(64, wide), true);
    } else {
      view.setUint32(field.offset, Number(value), true);
    }
  }
  return bytes;
}

/** Reads one integer field of a struct. */
export function readField<Layout extends StructLayout>(
  layout: Layout,
  bytes: Uint8Array,
  name: keyof Layout & string,
): number {
  const { offset = 0, size = 4 } = place(layout).fields.get(name) ?? {};
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return size === 8 ? Number(view.getBigUint64(offset, true)) : view.getUint32(offset, true);
}

/** Reads all of a struct. */
export function decodeStruct<Layout extends StructLayout>(
  layout: Layout,
  bytes: Uint8Array,
): Decoded<Layout> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const values: Record<string, number | bigint | string> = {};
  for (const [name, { offset, size }] of place(layout).fields) {
    if (size === 4) values[name] = view.getUint32(offset, true);
    else if (size === 8) values[name] = view.getBigUint64(offset, true);
    else {
      const text = bytes.subarray(offset, offset + size);
      const end = text.indexOf(0);
      values[name] = new TextDecoder().decode(text.subarray(0, end < 0 ? size : end));
    }
  }
  return values as Decoded<Layout>;
}
