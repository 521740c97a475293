import { BpfError } from '../errors.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { BPF_PSEUDO_KFUNC_CALL } from '../isa/opcodes.ts';
import type { LinuxArena } from './arena.ts';
import { kernelBtf } from './kernel-types.ts';
import { loadSnippet, runSnippet } from './snippet.ts';

/**
 * Makes pages of an arena present by a program that allocates them: the only way where user space's touches are answered
 * with SIGSEGV. libbpf has none, and would die of it.
 */

/** @param offset bytes into the arena, a page's start. Throws ENOMEM when a page there is taken, EOPNOTSUPP. */
export function populate(arena: LinuxArena, offset: number, pages: number): void {
  const kfunc = kernelBtf()?.idOf('bpf_arena_alloc_pages', 'func');
  if (kfunc === undefined) throw new BpfError('EOPNOTSUPP', 'this kernel has no bpf_arena_alloc_pages');
  const insns = assembleInstructions(
    `r6 = r1
     ld_pseudo r1, 1, ${arena.fdNumber}
     r2 = ${arena.userVmStart + BigInt(offset)} ll
     r3 = ${pages}
     r4 = -1
     r5 = 0
     call 0
     *(u64 *)(r6 + 0) = r0
     r0 = 0
     exit`,
  );
  for (const insn of insns)
    if (insn.code === 0x85) Object.assign(insn, { src: BPF_PSEUDO_KFUNC_CALL, imm: kfunc });
  const { fd, log } = loadSnippet(insns);
  if (fd === undefined)
    throw new BpfError('EOPNOTSUPP', `allocating pages of arena '${arena.name}': ${log.trim()}`);
  try {
    const ctx = new BigUint64Array(1);
    const what = `allocating pages of arena '${arena.name}'`;
    runSnippet(fd.number, ctx, what);
    if (ctx[0] === 0n)
      throw new BpfError('ENOMEM', `${what}: no room for ${pages} pages at offset ${offset}`);
  } finally {
    fd.close();
  }
}
