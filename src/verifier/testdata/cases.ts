import { readdirSync, readFileSync } from 'node:fs';

/**
 * The verifier's cases: programs in text assembly, one line each, in cases/TOPIC.txt; what Linux 6.18 said to them stands in
 * cases/TOPIC.json, written by tools/record-verdicts.ts.
 */

/** What Linux said. */
export interface Expected {
  readonly verdict: 'accepted' | 'rejected';
  /** The errno's name. */
  readonly code?: string;
  /** The verifier's last line. */
  readonly message?: string;
}

export interface VerdictCase {
  /** `rule: what it shows`. */
  readonly name: string;
  readonly text: string;
  /** BPF_F_* to load it with. */
  readonly flags: number;
}

const FOLDER = new URL('cases/', import.meta.url);

/** The topics, each a file. */
export function topics(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -'.txt'.length))
    .sort();
}

export function casesOf(topic: string): VerdictCase[] {
  return readCases(readFileSync(new URL(`${topic}.txt`, FOLDER), 'utf8'));
}

/** Where the verdicts of a topic are kept. */
export function verdictsFile(topic: string): URL {
  return new URL(`${topic}.json`, FOLDER);
}

export function verdictsOf(topic: string): Record<string, Expected> {
  return JSON.parse(readFileSync(verdictsFile(topic), 'utf8'));
}

/** Programs that fuzz/generate.ts makes of a seed. */
export const GENERATED_FILE = new URL('generated.json', import.meta.url);

export function generatedVerdicts(): readonly (Expected & { readonly seed: number })[] {
  return JSON.parse(readFileSync(GENERATED_FILE, 'utf8'));
}

/** What every case may name. */
const DECLARATIONS = `.license "GPL"
.map arena, type=arena, max_entries=4, map_flags=0x400, map_extra=0x700000000000
.map values, type=array, key_size=4, value_size=48, max_entries=4
.map table, type=hash, key_size=8, value_size=16, max_entries=4
.map readonly, type=array, key_size=4, value_size=8, max_entries=1, map_flags=0x80
.map writeonly, type=array, key_size=4, value_size=8, max_entries=1, map_flags=0x100
.extern kfunc bpf_arena_alloc_pages : void __arena * (void *map, void __arena *addr, u32 pages, s32 node, u64 flags)
.extern kfunc bpf_arena_free_pages : void (void *map, void __arena *addr, u32 pages)
.extern kfunc bpf_arena_reserve_pages : s32 (void *map, void __arena *addr, u32 pages)
`;

/** Words of a case that stand for lines it would otherwise repeat. A file adds its own: `@WORD = statements`. */
const SHORT: Readonly<Record<string, string>> = {
  ARENA: 'r9 = arena ll; r9 = addr_space_cast(r9, 0, 1)',
  VALUE:
    '*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = table ll; *(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; call 1; if r0 == 0 goto out; r8 = r0',
  END: 'out: r0 = 0; exit',
  RANDOM: 'call 7; r7 = r0',
};

/**
 * Reads cases: `# rule` begins a group; a line with a dot in front is a declaration that all cases of the file share; `section |
 * name | statements` is a case; `%flags N` loads those that follow with other BPF_F_* flags. Functions behind the first follow
 * after `||`, as `name : prototype: statements`.
 */
function readCases(file: string): VerdictCase[] {
  let rule = '';
  let flags = 0;
  let declarations = DECLARATIONS;
  const short: Record<string, string> = { ...SHORT };
  const expand = (text: string) => text.replace(/\b[A-Z][A-Z0-9_]*\b/g, (word) => short[word] ?? word);
  const cases: VerdictCase[] = [];
  for (const line of file.split('\n')) {
    if (line.startsWith('# ')) rule = line.slice(2);
    else if (line.startsWith('%flags ')) flags = Number(line.slice('%flags '.length));
    else if (line.startsWith('.')) declarations += `${line}\n`;
    else if (line.startsWith('@')) {
      const [word, ...text] = line.slice(1).split(' = ');
      short[word] = expand(text.join(' = '));
    } else if (line.trim() !== '') {
      const [section, name, ...rest] = line.split(' | ');
      const [body, ...functions] = expand(rest.join(' | ')).split(' || ');
      const after = functions.map((each) => `.section .text\n${each.replace(/^(.*?\)): /, '.func $1\n')}`);
      const statements = [body, ...after].join('\n').replaceAll('; ', '\n');
      const text = `${declarations}.section ${section.trim()}\n.func f : s32 (void *ctx)\n${statements}\n`;
      cases.push({ name: `${rule}: ${name.trim()}`, text, flags });
    }
  }
  return cases;
}
