/** The words of the text protocol, as bytes. */

const WORDS = [
  'get',
  'gets',
  'gat',
  'gats',
  'bget',
  'set',
  'add',
  'replace',
  'append',
  'prepend',
  'cas',
  'incr',
  'decr',
  'touch',
  'delete',
  'flush_all',
  'stats',
  'version',
  'verbosity',
  'quit',
  'noreply',
  'shutdown',
  'slabs',
  'reassign',
  'cache_memlimit',
  'lru_crawler',
  'crawl',
  'metadump',
  'watch',
  'detail',
  'cachedump',
  '0',
  'HTTP/',
] as const;

const encoder = new TextEncoder();

export const WORD = Object.fromEntries(WORDS.map((word) => [word, encoder.encode(word)])) as Record<
  (typeof WORDS)[number],
  Uint8Array
>;

/** Whether bytes are a word. */
export function isWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}
