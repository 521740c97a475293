import { ATTACH_TYPES } from '../../object/program-types.ts';
import { bpf } from '../bpf.ts';
import { Fd } from '../fd.ts';
import { type LinkKind, refusal } from './link.ts';

/**
 * Iterators: a link says over what, and each iteration of it is a file of its own (../iteration.ts). A link that is pinned can be read
 * like a file by anyone.
 */

export interface IteratorTarget {
  kind: 'iter';
  /** Of iterators over elements: the map whose. */
  map?: { readonly name: string; readonly fdNumber: number };
}

const REFUSALS = {
  reasons: {
    EBADF: 'it iterates over elements: say of which map',
    EINVAL: 'nobody iterates over this type of map, or the program sleeps where it cannot',
    EACCES: "it reaches beyond the map's keys or values",
    ENOENT: 'this kernel has nothing of the kind',
  },
  config: ['CONFIG_BPF_SYSCALL'],
} as const;

export const iterator: LinkKind<IteratorTarget> = {
  programTypes: ['tracing'],
  attach(program, { map }) {
    const where = map === undefined ? 'what it iterates over' : `map '${map.name}'`;
    // union bpf_iter_link_info, of which the descriptor of the map is the first word.
    const info = map && Uint32Array.of(map.fdNumber, 0, 0, 0);
    const { result } = bpf('link_create_iter', {
      prog_fd: program.fdNumber,
      attach_type: ATTACH_TYPES.trace_iter,
      ...(info && { iter_info: info, iter_info_len: info.byteLength }),
    });
    if (result < 0) throw refusal(result, program, where, REFUSALS);
    return { fd: new Fd(result, `the link of program '${program.name}'`), where };
  },
};
