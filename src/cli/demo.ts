import { Command } from 'commander';
import { type ArenaMap, type ArrayView, type LoadedObject, open, type PageState } from '../index.ts';
import { CliError, duration, print, styled } from './output.ts';

/** `bpf-arena demo`: a list and a hash table that programs build in an arena, and that TypeScript walks. */
export function demo(): Command {
  return new Command('demo')
    .description('build a list and a hash table in an arena, and walk both from TypeScript')
    .action(async () => {
      await showList();
      await showHashTable();
    });
}

const programs = (name: string) => new URL(`../../programs/${name}`, import.meta.url);

interface ListNode {
  readonly next: ListNode | null;
  readonly value: bigint;
}

interface ListShape {
  globals: { cnt: number; list_sum: bigint; list_head: { first: ListNode | null } };
}

async function showList(): Promise<void> {
  const object = await open<ListShape>(programs('arena_list.bpf.o'));
  object.globals.cnt = 100_000;
  using loaded = await object.load();
  print(styled('bold', 'A list of 100,000 nodes'));
  const { durationNs } = run(loaded, 'arena_list_add');
  const start = performance.now();
  let sum = 0n;
  let nodes = 0;
  for (let node = loaded.globals.list_head.first; node !== null; node = node.next) {
    sum += node.value;
    nodes++;
  }
  const walk = ((performance.now() - start) * 1e6) / nodes;
  print(`  sum computed by the program   ${loaded.globals.list_sum}   (built in ${duration(durationNs)})`);
  print(`  sum computed by TypeScript    ${sum}   (${duration(walk)} a node)`);
  requireEqual(sum, loaded.globals.list_sum, 'the sums');
  printPageMap(loaded);
}

interface HashElement {
  readonly next: HashElement | null;
  readonly key: bigint;
  readonly value: bigint;
}

interface HashShape {
  globals: {
    cnt: number;
    value_sum: bigint;
    htab: { count: bigint; buckets: ArrayView<{ first: HashElement | null }> };
  };
}

const KEYS = 1_000;

async function showHashTable(): Promise<void> {
  const object = await open<HashShape>(programs('arena_htab.bpf.o'));
  object.globals.cnt = KEYS;
  using loaded = await object.load();
  print(`\n${styled('bold', `A hash table of ${KEYS} keys`)}`);
  run(loaded, 'arena_htab_insert');
  const values: bigint[] = [];
  for (const bucket of loaded.globals.htab.buckets) {
    for (let element = bucket.first; element !== null; element = element.next) {
      values[Number(element.key)] = element.value;
    }
  }
  run(loaded, 'arena_htab_lookup');
  requireEqual(BigInt(values.length), loaded.globals.htab.count, 'the numbers of elements');
  const width = Math.max(...values.map((value) => String(value).length));
  for (let row = 0; row < values.length; row += 20) {
    const cells = values.slice(row, row + 20).map((value) => String(value).padStart(width));
    print(`  ${styled('dim', `${row}`.padStart(3))}  ${cells.join(' ')}`);
  }
  printPageMap(loaded);
}

function run(
  loaded: LoadedObject<ListShape> | LoadedObject<HashShape>,
  program: string,
): { durationNs: number } {
  const result = loaded.programs[program].run();
  if (result.retval !== 0) throw new CliError(`${program} returned ${result.retval | 0}`, 1);
  return result;
}

function requireEqual(fromTypeScript: bigint, fromProgram: bigint, what: string): void {
  if (fromTypeScript === fromProgram) return;
  throw new CliError(`${what} differ: TypeScript ${fromTypeScript}, the program ${fromProgram}`, 1);
}

const CELLS = 64;
const ROWS = 4;
const SIGNS = { present: '█', reserved: '▒', free: '·', mixed: '▄' } as const;

/** Draws the arena's pages, each sign a run of pages. */
function printPageMap({ arena }: { arena: ArenaMap | undefined }): void {
  if (arena === undefined) return;
  const { pages, present, peak } = arena.statistics;
  const perCell = Math.ceil(pages / (CELLS * ROWS));
  print(
    `  page map: ${present} of ${pages} pages present, ${peak} at most; a sign is ${perCell} page${perCell > 1 ? 's' : ''}`,
  );
  const cells = Array.from({ length: Math.ceil(pages / perCell) }, (_, cell) => {
    const states = new Set<PageState>();
    for (let page = cell * perCell; page < Math.min(pages, (cell + 1) * perCell); page++)
      states.add(arena.pageState(page) ?? 'free');
    return states.size === 1 ? SIGNS[[...states][0]] : SIGNS.mixed;
  });
  for (let row = 0; row < cells.length; row += CELLS)
    print(`  ${styled('cyan', cells.slice(row, row + CELLS).join(''))}`);
  print(
    styled(
      'dim',
      `  ${SIGNS.present} present  ${SIGNS.mixed} partly  ${SIGNS.reserved} reserved  ${SIGNS.free} free`,
    ),
  );
}
