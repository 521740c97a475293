import type { Result } from './report.ts';

/**
 * The chart: for each workload a bar an engine, as long as its time relative to Linux's, which is the line at 1; whiskers
 * are quartiles, where the ratio was taken round by round. Plain SVG that follows the reader's light or dark scheme.
 */

const BARS = [
  { label: 'jit', words: 'embedded JIT', color: '#2f7ed8' },
  { label: 'novec', words: 'native, not vectorised', color: '#9aa5b1' },
] as const;

const LEFT = 150;
const WIDTH = 520;
const RIGHT = 60;
const TOP = 56;
const BAR = 9;
const ROW = BARS.length * BAR + 12;
/** Longer bars are cut off, and say so. */
const LARGEST = 1.5;

/** @returns the SVG; of workloads that were measured both here and in Linux. */
export function chart(results: readonly Result[], title: string): string {
  const shown = results.filter(({ times }) => times.jit && times.linux);
  const height = TOP + shown.length * ROW + 30;
  const x = (value: number) => LEFT + (Math.min(value, LARGEST) / LARGEST) * WIDTH;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${height}" font-family="sans-serif" font-size="12">`,
    '<style>text{fill:#333}line{stroke:#bbb}.one{stroke:#d33}@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#555}}</style>',
    text(LEFT, 18, title, 'font-size="14" font-weight="bold"'),
  ];
  BARS.forEach(({ words, color }, index) => {
    parts.push(
      `<rect x="${LEFT + index * 150}" y="28" width="12" height="9" fill="${color}"/>`,
      text(LEFT + index * 150 + 18, 37, words),
    );
  });
  for (let tick = 0; tick <= LARGEST; tick += 0.25) {
    parts.push(
      `<line x1="${x(tick)}" x2="${x(tick)}" y1="${TOP - 8}" y2="${height - 26}"${tick === 1 ? ' class="one"' : ''}/>`,
      text(x(tick), height - 10, tick === 1 ? 'Linux' : String(tick), 'text-anchor="middle"'),
    );
  }
  shown.forEach(({ workload, times, ratios }, row) => {
    const top = TOP + row * ROW;
    const name = workload.informative ? `(${workload.name})` : workload.name;
    parts.push(text(LEFT - 8, top + ROW / 2, name, 'text-anchor="end"'));
    BARS.forEach(({ label, color }, index) => {
      if (times[label] === undefined) return;
      const known = ratios[`${label}/linux`];
      const value = known?.median ?? times[label].median / times.linux.median;
      const y = top + index * BAR;
      parts.push(
        `<rect x="${LEFT}" y="${y}" width="${(x(value) - LEFT).toFixed(1)}" height="${BAR - 1}" fill="${color}"/>`,
      );
      if (known)
        parts.push(
          `<line x1="${x(known.low).toFixed(1)}" x2="${x(known.high).toFixed(1)}" y1="${y + BAR / 2}" y2="${y + BAR / 2}" style="stroke:#123;stroke-width:1.5"/>`,
        );
      parts.push(text(x(known?.high ?? value) + 5, y + BAR - 1, value.toFixed(2), 'font-size="9"'));
    });
  });
  return `${parts.join('\n')}\n</svg>\n`;
}

function text(x: number, y: number, words: string, attributes = ''): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}
