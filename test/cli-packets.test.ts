import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readPcap, writePcap } from '../src/cli/pcap.ts';
import { onLinux } from './contract/kernels.ts';
import { mixedPackets } from './contract/mixed-packets.ts';

/** `bpf-arena run --data packets.pcap`. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(`${tmpdir()}/bpf-arena-`);
after(() => rmSync(folder, { recursive: true }));

const data = [...mixedPackets(200, 1), new Uint8Array(5)];
const packets = data.map((each, seconds) => ({ seconds, fraction: 7, data: each }));
const input = `${folder}/in.pcap`;
writeFileSync(input, writePcap({ littleEndian: true, nanoseconds: false, packets }));

function run(...args: string[]) {
  const all = ['bin/bpf-arena.js', 'run', 'programs/contract/xdp_mixed.bpf.o', ...args];
  const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } } as const;
  return spawnSync(process.execPath, all, options);
}

/** @returns what was printed, without time, and the packets that came out. */
function answered(kernel: string) {
  const out = `${folder}/${kernel}.pcap`;
  const { status, stdout, stderr } = run('--data', input, '--out', out, '--kernel', kernel, '--json');
  assert.equal(stderr, '');
  assert.equal(status, 0);
  const { durationNs: _, ...summary } = JSON.parse(stdout);
  return { summary, out: readPcap(readFileSync(out), out) };
}

describe('bpf-arena run with a file of packets', () => {
  it('counts verdicts, says what the kernel did not take, and writes what became of the others', () => {
    const { summary, out } = answered('embedded');
    assert.equal(summary.packets, 201);
    assert.deepEqual(summary.refused, { EINVAL: 1 });
    assert.deepEqual(Object.keys(summary.verdicts).sort(), ['XDP_DROP', 'XDP_PASS', 'XDP_TX']);
    assert.equal(out.packets.length, 200);
    assert.deepEqual(
      out.packets.map(({ seconds }) => seconds),
      [...Array(200).keys()],
    );
  });

  it('prints them for people', () => {
    assert.match(
      run('--data', input).stdout,
      /xdp_mixed: 201 packets, .*\n( {2}\S.*\n)*.*refused \(EINVAL\) +1/,
    );
  });

  it('refuses --out where there is no such file', () => {
    assert.equal(run('--data', 'hex:000102030405060708090a0b0c0d', '--out', `${folder}/x`).status, 2);
  });
});

onLinux('bpf-arena run with a file of packets, Linux', () => {
  it('says and writes the same', () => assert.deepEqual(answered('linux'), answered('embedded')));
});
