import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import type { KconfigValue } from '../object/externs.ts';
import { hasBpfCookie } from './probes.ts';

/**
 * Values for `__kconfig` externs: the running kernel's configuration, from /boot or /proc, and the few names that libbpf
 * makes up. Read when the first one is asked for.
 */

let config: ReadonlyMap<string, KconfigValue> | undefined;

/** A configuration value by name; undefined when the kernel has none of this name, or does not tell. */
export function kconfigValue(name: string): KconfigValue | undefined {
  switch (name) {
    case 'LINUX_KERNEL_VERSION':
      return BigInt(kernelVersion());
    case 'LINUX_HAS_BPF_COOKIE':
      return hasBpfCookie() ? 1n : 0n;
    case 'LINUX_HAS_SYSCALL_WRAPPER':
      return kernelSymbol(process.arch === 'arm64' ? '__arm64_sys_bpf' : '__x64_sys_bpf') === undefined
        ? 0n
        : 1n;
    default:
      config ??= parseConfig(readConfig());
      return config.get(name);
  }
}

/** KERNEL_VERSION(major, minor, patch). Debian and Ubuntu say elsewhere which kernel theirs really is. */
function kernelVersion(): number {
  const ubuntu = /(\d+)\.(\d+)\.(\d+)\s*$/.exec(read('/proc/version_signature'));
  const debian = /Debian (\d+)\.(\d+)\.(\d+)/.exec(read('/proc/version'));
  const plain = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release());
  const [, major = '0', minor = '0', patch = '0'] = ubuntu ?? debian ?? plain ?? [];
  return (Number(major) << 16) | (Number(minor) << 8) | Math.min(Number(patch), 255);
}

let symbols: string | undefined;

/** The address of a kernel symbol, from /proc/kallsyms; undefined when there is none, or it is hidden from us. */
export function kernelSymbol(name: string): bigint | undefined {
  symbols ??= `\n${read('/proc/kallsyms')}`;
  const at = symbols.search(new RegExp(`\\s\\w ${name.replaceAll(/[^\w.]/g, '')}(\\s|$)`));
  if (at < 0) return undefined;
  const address = BigInt(`0x${symbols.slice(symbols.lastIndexOf('\n', at - 1) + 1, at)}`);
  return address === 0n ? undefined : address;
}

function readConfig(): string {
  const boot = read(`/boot/config-${release()}`);
  if (boot !== '') return boot;
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('latin1');
  } catch {
    return '';
  }
}

function parseConfig(text: string): Map<string, KconfigValue> {
  const values = new Map<string, KconfigValue>();
  for (const [, name, value] of text.matchAll(/^(CONFIG_\w+)=(.*)$/gm)) {
    if (value === 'y' || value === 'n' || value === 'm') values.set(name, value);
    else if (value.startsWith('"')) values.set(name, { string: value.slice(1, value.lastIndexOf('"')) });
    else if (/^(-?\d+|0x[0-9a-fA-F]+)$/.test(value)) {
      values.set(name, value.startsWith('-') ? -BigInt(value.slice(1)) : BigInt(value));
    }
  }
  return values;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
