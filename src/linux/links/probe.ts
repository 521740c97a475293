import { existsSync, readFileSync } from 'node:fs';
import { BpfError } from '../../errors.ts';
import { cString } from '../bpf.ts';
import { executablePath, functionOffset } from './executable.ts';
import type { AttachableProgram, LinkKind } from './link.ts';
import { attachToPerfEvent, type Cookie } from './tracing.ts';

/**
 * Programs that run when a function is entered or returns: one of the kernel (kprobe), or of a process (uprobe). Both are events
 * that perf_event_open(2) makes, of types whose numbers sysfs has.
 */

export interface KprobeTarget extends Cookie {
  kind: 'kprobe';
  /** Of the kernel. Default: what the program's section says, `SEC("kprobe/do_nanosleep")`. */
  function?: string;
  /** Bytes into it. Default: what the section says, `SEC("kprobe/f+0x10")`, or 0. */
  offset?: number;
  /** When it returns, not when it is entered. Default: whether the section is a kretprobe's. */
  returns?: boolean;
}

export interface UprobeTarget extends Cookie {
  kind: 'uprobe';
  /**
   * An executable or a library, by its path or, in the usual folders, its name: `libc.so.6`. Default: what the program's section says,
   * `SEC("uprobe/libc.so.6:malloc")`.
   */
  binary?: string;
  /** A function in it. Default: what the section says. */
  function?: string;
  /** Bytes into the function or, without one, into the file. Default: what the section says, or 0. */
  offset?: number;
  /** When it returns, not when it is entered. Default: whether the section is a uretprobe's. */
  returns?: boolean;
  /** In which process only, 0 being this one; default: in all. */
  pid?: number;
}

const EVENTS = '/sys/bus/event_source/devices';

/** What perf_event_attr says of a probe. */
function probeEvent(kind: 'kprobe' | 'uprobe', name: string, offset: number, returns: boolean) {
  const option = kind === 'kprobe' ? 'CONFIG_KPROBE_EVENTS' : 'CONFIG_UPROBE_EVENTS';
  const folder = `${EVENTS}/${kind}`;
  if (!existsSync(folder))
    throw new BpfError('ENOENT', `this kernel has no ${kind}s: it was built without ${option}`);
  const bit = /^config:(\d+)/.exec(readFileSync(`${folder}/format/retprobe`, 'latin1'))?.[1] ?? 0;
  return {
    type: Number(readFileSync(`${folder}/type`, 'latin1')),
    config: returns ? 1n << BigInt(bit) : 0,
    config1: cString(name),
    config2: offset,
  };
}

export const kprobe: LinkKind<KprobeTarget> = {
  programTypes: ['kprobe'],
  attach(program, target) {
    const said = placeIn(program.spec?.attachTo);
    const name = target.function ?? said?.name;
    if (name === undefined) throw unsaid(program, 'give a function of the kernel');
    const { offset = (target.function === undefined ? said?.offset : 0) ?? 0, returns = isReturn(program) } =
      target;
    const where = `${returns ? 'kretprobe' : 'kprobe'} '${placeText(name, offset)}'`;
    return attachToPerfEvent(program, probeEvent('kprobe', name, offset, returns), ALL, where, target.cookie);
  },
};

export const uprobe: LinkKind<UprobeTarget> = {
  programTypes: ['kprobe'],
  attach(program, target) {
    const said = uprobeSection(program.spec?.attachTo);
    const named = target.binary ?? said?.binary;
    if (named === undefined) throw unsaid(program, 'give a binary, and a function or an offset in it');
    // Who names another place means that place.
    const isOther = target.function !== undefined || target.offset !== undefined;
    const name = isOther ? target.function : said?.name;
    const offset = (isOther ? target.offset : said?.offset) ?? 0;
    if (name === undefined && offset === 0)
      throw unsaid(program, `give a function or an offset in '${named}'`);
    const binary = executablePath(named);
    const returns = target.returns ?? isReturn(program);
    const place = offset + (name === undefined ? 0 : functionOffset(binary, name));
    const { pid } = target;
    const inside = pid === undefined ? '' : `, process ${pid === 0 ? process.pid : pid}`;
    const where = `${returns ? 'uretprobe' : 'uprobe'} '${binary}:${placeText(name ?? '', offset)}'${inside}`;
    const on = pid === undefined ? ALL : { pid, cpu: -1 };
    return attachToPerfEvent(program, probeEvent('uprobe', binary, place, returns), on, where, target.cookie);
  },
};

/** An event of all processes is opened on one CPU, and is on all. */
const ALL = { pid: -1, cpu: 0 };

interface Place {
  readonly name: string | undefined;
  readonly offset: number;
}

/** `function`, `function+0x10`; `0x1234` where a file's bytes are counted. */
function placeIn(text: string | undefined): Place | undefined {
  if (text === undefined) return undefined;
  if (/^(0x[\da-f]+|\d+)$/i.test(text)) return { name: undefined, offset: Number(text) };
  const parts = /^(.+?)(?:\+(0x[\da-f]+|\d+))?$/i.exec(text);
  return parts === null ? undefined : { name: parts[1], offset: Number(parts[2] ?? 0) };
}

/** `path:function+offset`. */
function uprobeSection(text: string | undefined): (Partial<Place> & { readonly binary: string }) | undefined {
  if (text === undefined) return undefined;
  const colon = text.lastIndexOf(':');
  if (colon < 0) return { binary: text };
  return { binary: text.slice(0, colon), ...placeIn(text.slice(colon + 1)) };
}

function placeText(name: string, offset: number): string {
  if (name === '') return `0x${offset.toString(16)}`;
  return offset === 0 ? name : `${name}+0x${offset.toString(16)}`;
}

function isReturn({ section }: AttachableProgram): boolean {
  return section !== undefined && /^(k|u)retprobe\b/.test(section);
}

function unsaid({ name }: AttachableProgram, advice: string): BpfError {
  return new BpfError('EINVAL', `program '${name}': its section does not say what it is for; ${advice}`);
}
