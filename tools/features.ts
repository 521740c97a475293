import { readFileSync, writeFileSync } from 'node:fs';
import { embeddedFeatures } from '../src/index.ts';
import type { Features } from '../src/kernel.ts';
import { linuxFeatures, linuxUnavailable } from '../src/linux/index.ts';
import { HELPERS } from '../src/verifier/helpers.ts';
import { ITERATOR_TARGETS } from '../src/verifier/iterators.ts';
import { KFUNCS } from '../src/verifier/kfuncs.ts';
import { JUDGED_TYPES } from '../src/verifier/rules.ts';
import { argumentsOf } from './arguments.ts';

/**
 * `npm run features`: writes docs/features.md, what each kernel supports, side by side. What Linux has is asked where it can be (root
 * on Linux 6.18), and elsewhere taken from the page as it stands.
 */

export const PAGE = new URL('../docs/features.md', import.meta.url);

const FAMILIES = ['program types', 'iterators', 'map types', 'helpers', 'kfuncs'] as const;
type Family = (typeof FAMILIES)[number];
type Names = Readonly<Record<Family, readonly string[]>>;

/** Where a name can stand, and the words that stand before it. */
const ROWS = {
  both: 'run by both kernels',
  judged: 'judged here as Linux does, run by Linux',
  linux: 'Linux alone',
  embedded: 'the embedded kernel alone',
} as const;
type Row = keyof typeof ROWS;

export function namesOf({ programTypes, iterators, mapTypes, helpers, kfuncs }: Features): Names {
  const names = helpers.map(({ name }) => name);
  return { 'program types': programTypes, iterators, 'map types': mapTypes, helpers: names, kfuncs };
}

/** What the verifier knows, whether it can be run here or not. */
const JUDGED: Partial<Record<Family, ReadonlySet<string>>> = {
  'program types': new Set(JUDGED_TYPES),
  helpers: new Set(HELPERS.map(({ name }) => `bpf_${name}`)),
  kfuncs: new Set(KFUNCS.map(({ name }) => name)),
  iterators: new Set(Object.keys(ITERATOR_TARGETS)),
};

/** Kfuncs that only kernels have which implement things in BPF: they are meant for nobody else. */
const INTERNAL = /^(bbr|cubictcp|dctcp|tcp)_/;

function rowOf(family: Family, name: string, embedded: Names, linux: Names): Row {
  const [here, there] = [embedded[family].includes(name), linux[family].includes(name)];
  if (here) return there ? 'both' : 'embedded';
  return JUDGED[family]?.has(name) ? 'judged' : 'linux';
}

/** The page's text. */
export function pageOf(embedded: Names, linux: Names): string {
  const sections = FAMILIES.map((family) => {
    const names = [...new Set([...linux[family], ...embedded[family]])].filter(
      (name) => !INTERNAL.test(name),
    );
    names.sort();
    const rows = (Object.keys(ROWS) as Row[]).flatMap((row) => {
      const inRow = names.filter((name) => rowOf(family, name, embedded, linux) === row);
      return inRow.length === 0 ? [] : [`| ${ROWS[row]} (${inRow.length}) | ${inRow.join(', ')} |`];
    });
    return `## ${family[0].toUpperCase()}${family.slice(1)}\n| | |\n|---|---|\n${rows.join('\n')}\n`;
  });
  return `${HEAD}\n${sections.join('\n')}`;
}

const HEAD = `# What each kernel supports
\`npm run features\` writes this page, from what \`bpf-arena features --json\` says of the embedded kernel and, with \`--kernel linux\`, of
Linux 6.18. What is judged here but run by Linux only is verified with Linux's verdict, and refused when it is loaded to run, by
name; most of it is about processes, sockets and devices, which the embedded kernel does not have. Of tracing programs the embedded
kernel has the iterators.
`;

/** What a page says of Linux. */
export function linuxNamesIn(page: string): Names {
  const names: Record<Family, string[]> = {
    'program types': [],
    iterators: [],
    'map types': [],
    helpers: [],
    kfuncs: [],
  };
  let family: Family = 'program types';
  for (const line of page.split('\n')) {
    const heading = /^## (.*)$/.exec(line)?.[1].toLowerCase();
    family = FAMILIES.find((each) => each === heading) ?? family;
    const [, row, list] = /^\| (.*) \(\d+\) \| (.*) \|$/.exec(line) ?? [];
    if (list !== undefined && row !== ROWS.embedded) names[family].push(...list.split(', '));
  }
  return names;
}

if (import.meta.main) {
  argumentsOf('usage: npm run features', {});
  const reason = linuxUnavailable();
  if (reason !== undefined) console.log(`Linux as the page has it: ${reason}`);
  const linux = reason === undefined ? namesOf(linuxFeatures()) : linuxNamesIn(readFileSync(PAGE, 'utf8'));
  writeFileSync(PAGE, pageOf(namesOf(embeddedFeatures()), linux));
}
