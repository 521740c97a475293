import { attachToInterface, type InterfaceTarget } from './interface.ts';
import { createLink, type LinkKind } from './link.ts';

/** tcx: a traffic control program that sees each packet an interface receives or sends, with its socket buffer. */

export interface TcxTarget extends InterfaceTarget {
  kind: 'tcx';
  /** Default: what the program's section says (`tcx/egress`). */
  direction?: 'ingress' | 'egress';
  /** Before all that are attached already, or after them (default). */
  place?: keyof typeof PLACES;
}

/** BPF_F_BEFORE, BPF_F_AFTER: without another program named, of all. */
const PLACES = { first: 1 << 3, last: 1 << 4 } as const;

const REFUSALS = {
  reasons: {
    EEXIST: 'this program is attached there already',
    EBUSY: 'the interface is claimed by something else',
    EINVAL: 'the kernel takes no such program there, or is older than tcx (Linux 6.6)',
    ERANGE: 'as many programs as there may be (64) are attached already',
    ENODEV: 'the interface is gone',
    ENETDOWN: 'the interface is down',
    EPERM: 'not permitted: it takes root, or CAP_BPF and CAP_NET_ADMIN in the network namespace',
  },
  config: ['CONFIG_NET_XGRESS'],
} as const;

export const tcx: LinkKind<TcxTarget> = {
  programTypes: ['sched_cls'],
  attach(program, target) {
    const said = program.spec?.attachType === 'tcx_egress' ? 'egress' : 'ingress';
    const { direction = said, place } = target;
    return attachToInterface(target, `tcx ${direction}`, ({ index }, where) =>
      createLink(
        program,
        { target_fd: index, flags: place === undefined ? 0 : PLACES[place] },
        `tcx_${direction}`,
        where,
        REFUSALS,
      ),
    );
  },
};
