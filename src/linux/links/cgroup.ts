import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { BpfError } from '../../errors.ts';
import type { AttachType } from '../../object/program-types.ts';
import { type AttachableProgram, createLink, type LinkKind } from './link.ts';

/** Programs that see what the processes of a cgroup do: their packets, sockets, sysctls. Version 2 of cgroups only. */

export interface CgroupTarget {
  kind: 'cgroup';
  /** The cgroup's folder. */
  path: string;
  /** Of a cgroup_skb program whose section does not say it (`cgroup/skb`). */
  direction?: 'ingress' | 'egress';
}

const REFUSALS = {
  reasons: {
    EBADF: 'this folder is no cgroup of version 2',
    EINVAL: "the program's section says another attach type, or the kernel does not know it",
    EPERM:
      'not permitted: it takes root, or CAP_BPF and CAP_NET_ADMIN; or a program of a parent cgroup allows no other',
    ENOENT: 'the cgroup is gone',
    ENODEV: 'the cgroup is gone',
    E2BIG: 'as many programs as there may be (64) are attached already',
  },
  config: ['CONFIG_CGROUP_BPF'],
} as const;

export const cgroup: LinkKind<CgroupTarget> = {
  programTypes: [
    'cgroup_skb',
    'cgroup_sock',
    'cgroup_sock_addr',
    'cgroup_sockopt',
    'cgroup_sysctl',
    'cgroup_device',
    'sock_ops',
  ],
  attach(program, { path, direction }) {
    const attachType = attachTypeOf(program, direction);
    const where = `cgroup '${path}' (${attachType})`;
    const folder = openFolder(path);
    try {
      return {
        fd: createLink(program, { target_fd: folder }, attachType, where, REFUSALS),
        where,
        decode: ({ extra0 }) => ({ cgroupId: extra0 }),
        problem: ({ cgroupId }) => {
          if (cgroupId !== 0n) return undefined;
          return existsSync(path) ? `it was detached from cgroup '${path}'` : `cgroup '${path}' is gone`;
        },
      };
    } finally {
      closeSync(folder);
    }
  },
};

function attachTypeOf(
  { name, type, spec }: AttachableProgram,
  direction: CgroupTarget['direction'],
): AttachType {
  if (direction !== undefined && type === 'cgroup_skb') return `cgroup_inet_${direction}`;
  if (spec?.attachType !== undefined) return spec.attachType;
  const advice = type === 'cgroup_skb' ? 'give a direction' : 'set attachType before load';
  throw new BpfError('EINVAL', `program '${name}': its section does not say what it is for; ${advice}`);
}

function openFolder(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const known = code === 'EACCES' || code === 'ENOTDIR' ? code : 'ENOENT';
    const reason = known === 'ENOENT' ? 'there is no such cgroup' : code;
    throw new BpfError(known, `cgroup '${path}': ${reason}`, { cause });
  }
}
