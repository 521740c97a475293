import { type BpfError, type ErrnoName, errnoName } from '../../errors.ts';
import { ATTACH_TYPES, type AttachType, type ProgramType } from '../../object/program-types.ts';
import { bpf, bpfOrThrow, infoOf, pin } from '../bpf.ts';
import { type Closable, Fd, linuxError, Owned } from '../fd.ts';
import { kconfigValue } from '../kconfig.ts';
import type { Attributes, Info } from '../layouts.ts';

/**
 * A program that is attached: what all kinds of links have in common. A kind is an object that says which programs it takes
 * and how they are attached; {@link Link} is what the user holds, and attached as long as it is open.
 */

/** A loaded program, as attaching needs it. */
export interface AttachableProgram {
  readonly name: string;
  readonly type: ProgramType;
  readonly fdNumber: number;
  readonly section?: string;
  /** What its section said. */
  readonly spec?: { readonly attachType?: AttachType | undefined; readonly attachTo?: string | undefined };
}

/** BPF_LINK_TYPE_* by number, as bpftool calls them. */
const LINK_TYPES = [
  'unspec',
  'raw_tracepoint',
  'tracing',
  'cgroup',
  'iter',
  'netns',
  'xdp',
  'perf_event',
  'kprobe_multi',
  'struct_ops',
  'netfilter',
  'tcx',
  'uprobe_multi',
  'netkit',
  'sockmap',
] as const;

export type LinkType = (typeof LINK_TYPES)[number];

/** What the kernel says of a link now. */
export interface LinkInfo {
  readonly id: number;
  readonly type: LinkType | `type ${number}`;
  readonly programId: number;
  /** Of xdp and tcx: the interface; 0 once that is gone. */
  readonly interfaceIndex?: number;
  /** Of cgroup: its id (its folder's inode); 0n once it is gone. */
  readonly cgroupId?: bigint;
}

/** What attaching made. */
export interface Attached {
  readonly fd: Fd;
  /** To what: `interface 'eth0'`. */
  readonly where: string;
  /** What has to stay open besides, closed after the link. */
  readonly besides?: readonly Closable[];
  /** What the kernel's info holds for this kind. */
  decode?(info: Info<'link'>): Partial<LinkInfo>;
  /** Why the program does not run, though it is attached; undefined when nothing is known to stop it. */
  problem?(info: LinkInfo): string | undefined;
}

/** One way of attaching programs. */
export interface LinkKind<Target> {
  readonly programTypes: readonly ProgramType[];
  /** Throws why it cannot be done. */
  attach(program: AttachableProgram, target: Target): Attached;
}

/** How a kind explains errnos, and what it needs of the kernel. */
export interface Refusals {
  readonly reasons: Partial<Record<ErrnoName, string>>;
  /** Without which options Linux has not got it. */
  readonly config: readonly string[];
}

/** The error for a refused attach. @param where to what. */
export function refusal(
  result: number,
  program: AttachableProgram,
  where: string,
  { reasons, config }: Refusals,
): BpfError {
  const what = `program '${program.name}' cannot be attached to ${where}`;
  const name = errnoName(result);
  if (name === 'EPERM' || name === 'EACCES') return linuxError(result, what, reasons[name as ErrnoName]);
  // Only where the configuration can be read at all is an option known to be missing.
  const readable = kconfigValue('CONFIG_BPF_SYSCALL') !== undefined;
  const missing = config.find((option) => readable && kconfigValue(option) === undefined);
  if (missing !== undefined) return linuxError(result, what, `this kernel was built without ${missing}`);
  return linuxError(result, what, reasons[name as ErrnoName]);
}

/** BPF_LINK_CREATE. Throws {@link refusal}. */
export function createLink(
  program: AttachableProgram,
  attributes: Omit<Attributes<'link_create'>, 'prog_fd' | 'attach_type'>,
  attachType: AttachType,
  where: string,
  refusals: Refusals,
): Fd {
  const { result } = bpf('link_create', {
    ...attributes,
    prog_fd: program.fdNumber,
    attach_type: ATTACH_TYPES[attachType],
  });
  if (result < 0) throw refusal(result, program, where, refusals);
  return new Fd(result, `the link of program '${program.name}'`);
}

export class Link implements Closable {
  /** To what, in words. */
  readonly where: string;
  readonly #attached: Attached;
  readonly #owned = new Owned();

  /** Use `attach`. */
  constructor(attached: Attached) {
    this.where = attached.where;
    this.#attached = attached;
    for (const item of attached.besides ?? []) this.#owned.add(item);
    this.#owned.add(attached.fd);
  }

  /** Throws EBADF when the link is closed. */
  get fdNumber(): number {
    return this.#attached.fd.number;
  }

  /** What the kernel says of it now. */
  get info(): LinkInfo {
    const info = infoOf('link', this.fdNumber);
    const type = LINK_TYPES[info.type] ?? (`type ${info.type}` as const);
    return { id: info.id, type, programId: info.prog_id, ...this.#attached.decode?.(info) };
  }

  /**
   * Why the program does not run though the link is open, as a clause: what it was attached to is gone or down. Undefined
   * when nothing is known to stop it.
   */
  get problem(): string | undefined {
    return this.#attached.problem?.(this.info);
  }

  /** Puts another program in this one's place, without a moment in which neither is attached (BPF_LINK_UPDATE). */
  update(program: AttachableProgram): void {
    const { result } = bpf('link_update', { link_fd: this.fdNumber, new_prog_fd: program.fdNumber });
    if (result >= 0) return;
    const reasons = { EINVAL: 'this kind of link takes no other program, or none of this type' };
    throw refusal(result, program, this.where, { reasons, config: [] });
  }

  /** Pins it at a path of a BPF file system: the program stays attached when the link is closed. */
  pin(path: string): void {
    pin(this.fdNumber, path);
  }

  /** Detaches the program now, also when the link is pinned (BPF_LINK_DETACH); only some kinds can. */
  detach(): void {
    bpfOrThrow('link_detach', { link_fd: this.fdNumber }, `detaching from ${this.where}`);
  }

  /** Detaches the program, unless the link is pinned. */
  close(): void {
    this.#owned.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
