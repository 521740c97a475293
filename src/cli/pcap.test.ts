import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CliError } from './output.ts';
import { looksLikePcap, type Pcap, readPcap, writePcap } from './pcap.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const PACKET = fc.record(
  { seconds: u32, fraction: u32, data: fc.uint8Array({ maxLength: 100 }) },
  { noNullPrototype: true },
);
const PCAP: fc.Arbitrary<Pcap> = fc.record(
  { littleEndian: fc.boolean(), nanoseconds: fc.boolean(), packets: fc.array(PACKET) },
  { noNullPrototype: true },
);

describe('a pcap file', () => {
  it('is read as it was written, in both byte orders and resolutions', () => {
    fc.assert(
      fc.property(PCAP, (pcap) => {
        const bytes = writePcap(pcap);
        assert.ok(looksLikePcap(bytes));
        assert.deepEqual(readPcap(bytes, 'file'), pcap);
      }),
    );
  });

  it('gives the packets before a cut', () => {
    const data = Uint8Array.of(1, 2, 3);
    const packets = [1, 2].map((seconds) => ({ seconds, fraction: 0, data }));
    const bytes = writePcap({ littleEndian: true, nanoseconds: false, packets });
    assert.deepEqual(readPcap(bytes.subarray(0, -1), 'file').packets, packets.slice(0, 1));
  });

  it('that is damaged is refused, or read', () => {
    fc.assert(
      fc.property(PCAP, fc.nat(), fc.nat(255), fc.nat(), (pcap, at, value, cut) => {
        const bytes = writePcap(pcap);
        bytes[at % bytes.length] = value;
        try {
          readPcap(bytes.subarray(0, cut % (bytes.length + 1)), 'file');
        } catch (error) {
          assert.ok(error instanceof CliError, String(error));
        }
      }),
    );
  });

  it('of another format or of other links is refused with a sentence', () => {
    const bytes = writePcap({ littleEndian: true, nanoseconds: false, packets: [] });
    const wifi = bytes.slice();
    wifi[20] = 105;
    const pcapng = bytes.slice();
    pcapng.set([0x0a, 0x0d, 0x0d, 0x0a]);
    assert.throws(() => readPcap(wifi, 'a'), /link type 105/);
    assert.throws(() => readPcap(pcapng, 'a'), /pcapng/);
    assert.throws(() => readPcap(new Uint8Array(30), 'a'), /not a pcap file/);
  });
});
