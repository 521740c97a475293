import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { BpfError } from '../../src/errors.ts';
import { idsOf, infoOf, openById } from '../../src/linux/bpf.ts';

/** What this process holds of the kernel, for tests that open and close things many times. */

export interface Resources {
  readonly descriptors: number;
  /** Of BPF and perf objects: other mappings are the allocator's business. */
  readonly mappings: number;
  readonly threads: number;
}

export function resources(): Resources {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  return {
    descriptors: descriptors().length,
    mappings: maps.split('\n').filter((line) => /anon_inode:(bpf-|\[perf_event\])/.test(line)).length,
    threads: readdirSync('/proc/self/task').length,
  };
}

/** What each open file descriptor is. */
function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one that read the folder.
      return [];
    }
  });
}

/** How many links a program has in the kernel. Others come and go meanwhile. */
export function linksOf(programId: number): number {
  let count = 0;
  for (const id of idsOf('link')) {
    try {
      const fd = openById('link', id);
      if (infoOf('link', fd.number).prog_id === programId) count++;
      fd.close();
    } catch (error) {
      if (!(error instanceof BpfError && error.code === 'ENOENT')) throw error;
    }
  }
  return count;
}
