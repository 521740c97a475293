import { ATTACH_TYPES, PROGRAM_TYPES } from '../../object/program-types.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import type { EmbeddedKernel } from '../kernel.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import { KERNEL_HIGH, type KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { EmbeddedProgram } from '../program.ts';
import { type StructLayout, structLayout } from '../struct-layout.ts';
import type { EmbeddedIteration } from './iteration.ts';

/**
 * The kernel's objects as iterators see them: structures of its BTF (object-types.ts) in kernel memory, filled in when one is first
 * shown. Their memory belongs to the object, and goes with it.
 */

/** Writes a pointer. */
export function setPointer({ view }: KernelMemory, at: number, to: KernelOffset): void {
  view.setUint32(at, to, true);
  view.setInt32(at + 4, to === 0 ? 0 : KERNEL_HIGH, true);
}

/** A map's own header is what programs see of it. */
export function mapRecord({ view }: KernelMemory, map: EmbeddedMap): KernelOffset {
  const users = map.closed ? 0 : 1;
  view.setBigInt64(map.header + BPF_MAP_LAYOUT.refcnt, BigInt(map.holders + users), true);
  view.setBigInt64(map.header + BPF_MAP_LAYOUT.usercnt, BigInt(users), true);
  return map.header;
}

/** Linux: BPF_OBJ_NAME_LEN. */
const NAME_BYTES = 16;
const LINK_TYPE_ITER = 4;

/** Bytes of kernel memory that a program's record takes; its parts stand behind each other. */
function programBytes(name: string): number {
  return structLayout('bpf_prog').size + structLayout('bpf_prog_aux').size + name.length + 1;
}

/** Linux: attach_func_name. */
const attachedName = ({ attachTo }: EmbeddedProgram) =>
  attachTo === undefined ? '' : `bpf_iter_${attachTo}`;

export function programRecord(kernel: EmbeddedKernel, program: EmbeddedProgram): KernelOffset {
  if (program.record !== 0) return program.record;
  const { memory } = kernel;
  const attached = attachedName(program);
  const at = memory.heap.allocate(programBytes(attached));
  if (at === 0) return at;
  program.record = at;
  const prog = structLayout('bpf_prog');
  const aux = structLayout('bpf_prog_aux');
  const auxAt = (at + prog.size) as KernelOffset;
  const nameAt = (auxAt + aux.size) as KernelOffset;
  const { view, bytes } = memory;
  const { subprograms } = program.verified;
  const word = (layout: StructLayout, base: number, field: string, value: number) =>
    view.setUint32(base + layout.at(field), value, true);
  view.setUint16(at + prog.at('jited'), program.engine === 'jit' ? 1 : 0, true);
  view.setUint16(at + prog.at('sleepable'), program.sleepable ? 1 : 0, true);
  word(prog, at, 'type', PROGRAM_TYPES[program.type]);
  word(prog, at, 'expected_attach_type', program.attachType ? ATTACH_TYPES[program.attachType] : 0);
  word(prog, at, 'len', program.insnCount);
  setPointer(memory, at + prog.at('aux'), auxAt);
  word(aux, auxAt, 'id', program.id);
  word(aux, auxAt, 'func_cnt', subprograms.length > 1 ? subprograms.length : 0);
  setPointer(memory, auxAt + aux.at('prog'), at);
  bytes.set(new TextEncoder().encode(program.name).subarray(0, NAME_BYTES - 1), auxAt + aux.at('name'));
  if (attached === '') return at;
  bytes.set(new TextEncoder().encode(attached), nameAt);
  setPointer(memory, auxAt + aux.at('attach_func_name'), nameAt);
  return at;
}

/** A program is closed. */
export function dropProgramRecord({ memory }: EmbeddedKernel, program: EmbeddedProgram): void {
  if (program.record === 0) return;
  memory.heap.free(program.record, programBytes(attachedName(program)));
  program.record = 0 as KernelOffset;
}

/** An iteration that is open counts as a link, the only kind that there is. */
export function linkRecord(kernel: EmbeddedKernel, { id, program, linkAt }: EmbeddedIteration): KernelOffset {
  const { view } = kernel.memory;
  const link = structLayout('bpf_link');
  view.setUint32(linkAt + link.at('id'), id, true);
  view.setUint32(linkAt + link.at('type'), LINK_TYPE_ITER, true);
  view.setUint32(linkAt + link.at('attach_type'), ATTACH_TYPES.trace_iter, true);
  setPointer(kernel.memory, linkAt + link.at('prog'), programRecord(kernel, program));
  return linkAt;
}
