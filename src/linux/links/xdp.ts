import { attachToInterface, type InterfaceTarget } from './interface.ts';
import { createLink, type LinkKind } from './link.ts';

/** XDP: a program that sees each packet that an interface receives, first of all. */

export interface XdpTarget extends InterfaceTarget {
  kind: 'xdp';
  /**
   * Where it runs: `native` in the driver, `generic` in the network stack (every interface can), `offload` on the device.
   * Default: native where the driver can, else generic.
   */
  mode?: keyof typeof MODES;
}

/** XDP_FLAGS_*_MODE. */
const MODES = { generic: 1 << 1, native: 1 << 2, offload: 1 << 3 } as const;

const REFUSALS = {
  reasons: {
    EBUSY: 'a program is attached there already; close its link, or use update of that',
    EEXIST: 'a program is attached there already in another mode',
    EOPNOTSUPP: "the interface's driver has no XDP in this mode; generic works with every interface",
    ERANGE: "the interface's MTU is too large for its driver's XDP; lower it, or use the section xdp.frags",
    EINVAL:
      'the kernel takes no such program there (one for devmap or cpumap?), or the driver cannot as it is configured',
    ENODEV: 'the interface is gone',
    ENETDOWN: 'the interface is down',
    EPERM: 'not permitted: it takes root, or CAP_BPF and CAP_NET_ADMIN in the network namespace',
  },
  config: ['CONFIG_NET'],
} as const;

export const xdp: LinkKind<XdpTarget> = {
  programTypes: ['xdp'],
  attach(program, target) {
    const { mode } = target;
    return attachToInterface(target, mode === undefined ? 'xdp' : `xdp, ${mode}`, ({ index }, where) =>
      createLink(
        program,
        { target_fd: index, flags: mode === undefined ? 0 : MODES[mode] },
        'xdp',
        where,
        REFUSALS,
      ),
    );
  },
};
