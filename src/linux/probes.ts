import { BtfBuilder, btfInt } from '../btf/index.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { MAP_TYPES } from '../object/map-types.ts';
import { bpf, loadBtf } from './bpf.ts';
import { Fd } from './fd.ts';
import { accepts, loadSnippet } from './snippet.ts';

/**
 * What this kernel can do, found out by trying, once for each process: version numbers say little, since distributions
 * backport. The list and the ways to try are libbpf's (features.c).
 */

/** BTF that uses the feature and nothing else. */
const BTF_PROBES = {
  func: (btf: BtfBuilder) => void btf.func('f', 0, [], 'static'),
  func_global: (btf: BtfBuilder) => void btf.func('f', 0, [], 'global'),
  datasec: (btf: BtfBuilder) => {
    const type = btf.add({ kind: 'var', name: 'x', type: btf.int('int', 4), linkage: 'static' });
    btf.add({ kind: 'datasec', name: '.data', size: 4, variables: [{ type, offset: 0, size: 4 }] });
  },
  float: (btf: BtfBuilder) => void btf.add({ kind: 'float', name: 'float', size: 4 }),
  decl_tag: (btf: BtfBuilder) => {
    const type = btf.add({ kind: 'var', name: 'x', type: btf.int('int', 4), linkage: 'static' });
    btf.declTag('tag', type);
  },
  type_tag: (btf: BtfBuilder) => void btf.ptr(btf.typeTag('tag', btf.int('int', 4))),
  enum64: (btf: BtfBuilder) =>
    void btf.add({ kind: 'enum64', name: 'e', size: 8, signed: false, values: [{ name: 'E', value: 1n }] }),
  /** Tags that are whole attributes (kind_flag). */
  attribute: (btf: BtfBuilder) =>
    void btf.add({ kind: 'type_tag', name: 'tag', type: btf.add(btfInt('int', 4, 1)), attribute: true }),
} as const satisfies Record<string, (btf: BtfBuilder) => void>;

export type BtfFeature = keyof typeof BTF_PROBES;
export const BTF_FEATURES = Object.keys(BTF_PROBES) as BtfFeature[];

const known = new Map<string, boolean>();

function once(name: string, probe: () => boolean): boolean {
  let answer = known.get(name);
  if (answer === undefined) {
    answer = probe();
    known.set(name, answer);
  }
  return answer;
}

/** Whether BPF_BTF_LOAD takes BTF with this in it. */
export function btfHas(feature: BtfFeature): boolean {
  return once(`btf ${feature}`, () => {
    const builder = new BtfBuilder();
    BTF_PROBES[feature](builder);
    const answer = loadBtf(builder.write());
    if (!(answer instanceof Fd)) return false;
    answer.close();
    return true;
  });
}

/**
 * Whether ld_imm64 of a map value takes any 32-bit offset, not only those below 2^29: then arena globals go to the end of
 * the arena, as libbpf puts them there.
 */
export function takesFullRangeOffsets(): boolean {
  return once('ld_imm64 offsets', () => {
    const map = bpf('map_create', { map_type: MAP_TYPES.array, key_size: 4, value_size: 1, max_entries: 1 });
    if (map.result < 0) return false;
    const insns = assembleInstructions(`ld_pseudo r1, 2, ${map.result}\nr0 = 0\nexit`);
    // The second slot's immediate is the offset.
    insns[1].imm = -(2 ** 31);
    const { fd, log } = loadSnippet(insns, 'socket_filter');
    fd?.close();
    new Fd(map.result, 'probe').close();
    return fd !== undefined || !log.includes('direct value offset of');
  });
}

/** Whether programs can ask for the cookie they were attached with (bpf_get_attach_cookie). */
export function hasBpfCookie(): boolean {
  return once('bpf_cookie', () => accepts('call 174\nexit', 'tracepoint'));
}
