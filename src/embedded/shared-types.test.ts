import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { Btf, type BtfMember } from '../btf/index.ts';
import { embeddedBtf } from './btf.ts';
import { PACKET_TYPES } from './packet-types.ts';
import { SOCKET_TYPES } from './socket-types.ts';
import { TRACE_TYPES } from './trace-types.ts';
import { UAPI_ENUMS } from './uapi-enums.ts';

/** Structures that programs share with user space or with the wire: their layout is no business of a kernel's. */

const VMLINUX = '/sys/kernel/btf/vmlinux';
/** Of the kernel's own making: only the names of fields count there. */
const INSIDE = /_kern$|^(perf_sample_data|vxlan_metadata|sk_msg|nf_hook_state|bpf_flow_dissector)$/;

/** Where each field is, in bits from the start; those of unnamed parts, too. */
function fieldsOf(btf: Btf, members: readonly BtfMember[], base = 0): Map<string, number> {
  const fields = new Map<string, number>();
  for (const { name, type, bitOffset } of members) {
    const at = base + bitOffset;
    const inner = btf.type(btf.resolve(type));
    if (name !== '') fields.set(name, at);
    else if (inner.kind === 'struct' || inner.kind === 'union')
      for (const [each, offset] of fieldsOf(btf, inner.members, at)) fields.set(each, offset);
  }
  return fields;
}

const missing = existsSync(VMLINUX) ? undefined : `there is no ${VMLINUX} here`;

it('structures that programs share with others are laid out as in Linux', { skip: missing }, () => {
  const ours = embeddedBtf();
  const theirs = Btf.read(readFileSync(VMLINUX));
  let compared = 0;
  for (const [, name] of `${TRACE_TYPES}${PACKET_TYPES}${SOCKET_TYPES}`.matchAll(/^struct (\w+) \{/gm)) {
    const [a, b] = [ours, theirs].map((btf) => {
      const type = btf.type(btf.idOf(name, 'struct') ?? 0);
      return type.kind === 'struct' ? fieldsOf(btf, type.members) : undefined;
    });
    assert.ok(a !== undefined, name);
    // What a module would bring, or this configuration leaves out.
    if (b === undefined || INSIDE.test(name)) continue;
    compared++;
    for (const [field, offset] of a) assert.equal(offset, b.get(field), `${name}.${field}`);
  }
  assert.ok(compared > 40, `${compared}`);
});

it('enumerations that programs share with others have the values of Linux', { skip: missing }, () => {
  const [ours, theirs] = [embeddedBtf(), Btf.read(readFileSync(VMLINUX))].map((btf) => (name: string) => {
    const type = btf.type(btf.idOf(name, 'enum') ?? 0);
    return new Map(type.kind === 'enum' ? type.values.map((each) => [each.name, each.value]) : []);
  });
  for (const [, name] of UAPI_ENUMS.matchAll(/^enum (\w+)/gm)) {
    const known = theirs(name);
    for (const [value, number] of ours(name)) assert.equal(number, known.get(value), value);
  }
  assert.equal(ours('bpf_func_id').get('BPF_FUNC_loop'), 181);
});
