/** A case of the verifier's tests: a program in text assembly, and what Linux 6.18 says to it. */
export interface VerdictCase {
  readonly name: string;
  readonly text: string;
  readonly verdict: 'accepted' | 'rejected';
  readonly code?: string;
  readonly message?: string;
}

const MAPS = `.license "GPL"
.map arena, type=arena, max_entries=4, map_flags=0x400, map_extra=0x700000000000
.map values, type=array, key_size=4, value_size=48, max_entries=4
.map table, type=hash, key_size=8, value_size=16, max_entries=4
.map readonly, type=array, key_size=4, value_size=8, max_entries=1, map_flags=0x80
.map writeonly, type=array, key_size=4, value_size=8, max_entries=1, map_flags=0x100
.extern kfunc bpf_arena_alloc_pages : void __arena * (void *map, void __arena *addr, u32 pages, s32 node, u64 flags)
.extern kfunc bpf_arena_free_pages : void (void *map, void __arena *addr, u32 pages)
.extern kfunc bpf_arena_reserve_pages : s32 (void *map, void __arena *addr, u32 pages)
`;

/** Words of a case that stand for lines it would otherwise repeat. */
const SHORT: Readonly<Record<string, string>> = {
  ARENA: 'r9 = arena ll; r9 = addr_space_cast(r9, 0, 1)',
  VALUE:
    '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = table ll; *(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; call 1; if r0 == 0 goto out; r8 = r0',
  END: 'out: r0 = 0; exit',
  RANDOM: 'call 7; r7 = r0',
};

/**
 * Reads cases: `# rule` begins a group, `section | name | statements` is one. Functions behind the first follow after
 * `||`.
 */
export function readCases(file: string): { rule: string; name: string; text: string }[] {
  let rule = '';
  const cases: { rule: string; name: string; text: string }[] = [];
  for (const line of file.split('\n')) {
    if (line.startsWith('# ')) rule = line.slice(2);
    else if (line.trim() !== '') {
      const [section, name, ...rest] = line.split(' | ');
      const long = rest.join(' | ').replace(/\b(ARENA|VALUE|END|RANDOM)\b/g, (word) => SHORT[word]);
      const [body, ...functions] = long.split(' || ');
      const after = functions.map((each) => `.section .text\n${each.replace(/^(.*?\)): /, '.func $1\n')}`);
      const text = `${MAPS}.section ${section.trim()}\n.func f : s32 (void *ctx)\n${[body, ...after].join('\n').replaceAll('; ', '\n')}\n`;
      cases.push({ rule, name: `${rule}: ${name.trim()}`, text });
    }
  }
  return cases;
}
