import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressesOf } from '../../apps/kv/xdp.ts';

/** For which destinations the accelerator answers, by what the server listens at. */

const ONES = 0xffff_ffff_ffff_ffffn;

/** The words of an address in bytes, as a little-endian machine reads them from a packet. */
function words(...bytes: number[]): [bigint, bigint] {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

describe('the accelerator answers', () => {
  it('for all addresses where the server listens at all, or at a name', () => {
    for (const listen of [undefined, '::', 'localhost'])
      assert.deepEqual(addressesOf(listen), { ipv4: 0, ipv6: [0n, 0n] });
  });

  it('for one IPv4 address, and for none of IPv6', () =>
    assert.deepEqual(addressesOf('10.250.0.1'), { ipv4: 0x0100_fa0a, ipv6: [ONES, ONES] }));

  it('for all IPv4 addresses', () =>
    assert.deepEqual(addressesOf('0.0.0.0'), { ipv4: 0, ipv6: [ONES, ONES] }));

  const forms: [string, [bigint, bigint]][] = [
    ['fd00::1', words(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
    ['1:2:3:4:5:6:7:8', words(0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8)],
    ['::ffff:10.0.0.1', words(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1)],
    ['FE80:0::ab%eth0', words(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab)],
    ['2001:db8::', words(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['::1', words(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
  ];
  for (const [listen, ipv6] of forms)
    it(`for one IPv6 address, and for none of IPv4: ${listen}`, () =>
      assert.deepEqual(addressesOf(listen), { ipv4: 0xffff_ffff, ipv6 }));
});
