import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { addressesOf } from '../../apps/kv/xdp.ts';
import { type Command, OPTION } from '../../programs/kv/commands.ts';
import type { Kernel } from '../../src/index.ts';
import { onBothKernels } from '../contract/kernels.ts';
import { problemWith, tryFrame } from './compare.ts';
import { checksumOf, datagram, type Frame, frame, onesSum } from './frames.ts';
import { mutation } from './mutations.ts';
import { AcceleratedStore, type COUNTS, growOf, NOW, XDP_PASS, XDP_TX } from './store.ts';

/** The store's XDP program: which packets it answers, and what becomes of the others. */

const MUTATIONS = 4000;
const VLAN = { type: 0x8100, tag: 5 };
const SERVICE = { type: 0x88a8, tag: 6 };

/** Requests that are answered. */
const ANSWERED: readonly [string, Frame][] = [
  ['one key', { payload: 'get key\r\n' }],
  ['a bare line feed', { payload: 'get key\n' }],
  ['a key of one byte', { payload: 'get k\r\n' }],
  ['an empty value', { payload: 'get empty\r\n' }],
  ['flags of more than a digit', { payload: 'get flags\r\n' }],
  ['two keys', { payload: 'get key k\r\n' }],
  ['the same key several times', { payload: `get${' key'.repeat(20)}\n` }],
  ['a value of a thousand bytes', { payload: 'get thousand\r\n' }],
  ['the longest answer', { payload: 'get most\r\n' }],
  ['a value with line ends in it', { payload: 'get lines\r\n' }],
  ['a key of bytes beyond ASCII', { payload: 'get \u00e9\u00ff\r\n' }],
  ['IPv6', { payload: 'get key\r\n', version: 6 }],
  ['two keys by IPv6', { payload: 'get key bench:000000000000000000000042\r\n', version: 6 }],
  ['a VLAN tag', { payload: 'get key\r\n', vlans: [VLAN] }],
  ['two VLAN tags', { payload: 'get key\r\n', vlans: [SERVICE, VLAN] }],
  ['two VLAN tags, IPv6', { payload: 'get key k\r\n', vlans: [VLAN, VLAN], version: 6 }],
  ['no checksum', { payload: 'get key\r\n', checksum: 'none' }],
  ['a checksum that a device would complete', { payload: 'get key\r\n', checksum: 'partial' }],
  ['padding to the least size of a frame', { payload: 'get k\r\n', padding: 3 }],
  ['an item that has not expired yet', { payload: 'get lives\r\n' }],
];

/** Requests that pass, and what they are counted as. */
const PASSED: readonly [string, (typeof COUNTS)[number], Frame][] = [
  ['another port', 'other', { payload: 'get key\r\n', destinationPort: 53 }],
  ['three VLAN tags', 'other', { payload: 'get key\r\n', vlans: [SERVICE, VLAN, VLAN] }],
  ['source port 0', 'headers', { payload: 'get key\r\n', sourcePort: 0 }],
  ['IPv6 without a checksum', 'headers', { payload: 'get key\r\n', version: 6, checksum: 'none' }],
  ['a key that is not there', 'miss', { payload: 'get absent\r\n' }],
  ['one of two keys that is not there', 'miss', { payload: 'get key absent\r\n' }],
  ['an item that has expired', 'miss', { payload: 'get expired\r\n' }],
  ['a value that fits no datagram', 'large', { payload: 'get more\r\n' }],
  ['values that do not fit together', 'large', { payload: 'get most key\r\n' }],
  ['a value of many packets', 'large', { payload: 'get much\r\n' }],
  ['another command', 'request', { payload: 'gets key\r\n' }],
  ['capitals', 'request', { payload: 'GET key\r\n' }],
  ['no key', 'request', { payload: 'get \r\n' }],
  ['a space too many', 'request', { payload: 'get  key\r\n' }],
  ['a space at the end', 'request', { payload: 'get key \r\n' }],
  ['no line end', 'request', { payload: 'get key' }],
  ['a carriage return alone', 'request', { payload: 'get key\r' }],
  ['another character behind it', 'request', { payload: 'get key\rk', checksum: 'none' }],
  ['two lines', 'request', { payload: 'get key\r\nget key\r\n' }],
  ['a key that is too long', 'request', { payload: `get ${'k'.repeat(251)}\r\n` }],
  ['a control character in a key', 'request', { payload: 'get ke\0y\r\n' }],
  ['a tab in a key', 'request', { payload: 'get key\tk\r\n' }],
  [
    'the second datagram of a request',
    'request',
    { payload: Uint8Array.from([0, 1, 0, 1, 0, 1, 0, 0, ...Buffer.from('get key\r\n')]) },
  ],
  [
    'a request of two datagrams',
    'request',
    { payload: Uint8Array.from([0, 1, 0, 0, 0, 2, 0, 0, ...Buffer.from('get key\r\n')]) },
  ],
  ['a request without a header', 'request', { payload: Buffer.from('get key\r\n'.padEnd(16, '\n')) }],
];

/** Where the checksums of IPv4 and UDP are in a frame without tags. */
const CHECKSUMS = [24, 40];

/** Has a damaged frame's checksums be right, or lets UDP have none. */
function mend(bytes: Uint8Array, udp: 'right' | 'none'): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const at of CHECKSUMS) view.setUint16(at, 0);
  view.setUint16(24, ~onesSum(bytes.subarray(14, 34)) & 0xffff);
  if (udp === 'right') view.setUint16(40, checksumOf(bytes, 14, 4, 'right'));
}

/** Bytes of a good request that must not be anything else: offset and what is put there. */
const DAMAGED: readonly [string, number, number][] = [
  ['sent to a group, by Ethernet', 0, 1],
  ['from a group, by Ethernet', 6, 1],
  ['of another protocol', 12, 0x86],
  ['with IP options', 14, 0x46],
  ['that is a fragment', 20, 0x20],
  ['of TCP', 23, 6],
  ['with a wrong IP checksum', 24, 0xff],
  ['from this machine itself', 26, 127],
  ['to a group, by IP', 30, 224],
  ['with another IP length', 17, 38],
  ['with another UDP length', 39, 24],
  ['with a wrong UDP checksum', 40, 0xff],
];

onBothKernels("the store's XDP program", ({ name, open }) => {
  let kernel: Kernel & Disposable;
  let store: AcceleratedStore;
  before(async () => {
    kernel = open();
    store = await AcceleratedStore.open(kernel);
  });
  after(() => {
    store[Symbol.dispose]();
    kernel[Symbol.dispose]();
  });
  const get = (key: string) => store.run(frame({ payload: `get ${key}\r\n` }));

  for (const [what, request] of ANSWERED) {
    it(`answers ${what}`, () => {
      const bytes = frame(request);
      const before = store.counts();
      const verdict = store.run(bytes);
      assert.equal(verdict.retval, XDP_TX);
      assert.equal(problemWith(bytes, verdict), undefined);
      const after = store.counts();
      assert.equal(after.hit, before.hit + 1);
      assert.equal(after.bytes, before.bytes + verdict.packet.length);
      // The answer to most is kept by now.
      for (const grow of ['front', 'end', 'front only'] as const)
        assert.equal(problemWith(bytes, store.run(bytes, grow)), undefined, grow);
    });
  }

  for (const [what, reason, request] of PASSED) {
    it(`lets pass, as it came: ${what}`, () => {
      const bytes = frame(request);
      // Of these there are answers at hand.
      for (const key of ['k', 'key']) assert.equal(get(key).retval, XDP_TX);
      const before = store.counts();
      const verdict = store.run(bytes);
      assert.equal(verdict.retval, XDP_PASS);
      assert.equal(problemWith(bytes, verdict), undefined);
      assert.deepEqual(store.counts(), { ...before, [reason]: before[reason] + 1 });
    });
  }

  it('lets damaged headers pass', () => {
    const good = frame({ payload: 'get key\r\n' });
    assert.equal(store.run(good).retval, XDP_TX);
    for (const [what, offset, byte] of DAMAGED)
      for (const checksums of ['as they were', 'right', 'none'] as const) {
        const bytes = good.slice();
        bytes[offset] = byte;
        if (checksums !== 'as they were' && !CHECKSUMS.includes(offset)) mend(bytes, checksums);
        const verdict = store.run(bytes);
        assert.equal(verdict.retval, XDP_PASS, `${what}, checksums ${checksums}`);
        assert.equal(problemWith(bytes, verdict), undefined, what);
      }
  });

  it('answers only for the address it was told', () => {
    const { kv_xdp: settings } = store.loaded.globals;
    const verdicts = (listen: string | undefined) => {
      const { ipv4, ipv6 } = addressesOf(listen);
      settings.ipv4 = ipv4;
      [settings.ipv6[0], settings.ipv6[1]] = ipv6;
      return ([4, 6] as const).map((version) => store.run(frame({ version, payload: 'get key\r\n' })).retval);
    };
    assert.deepEqual(verdicts('10.250.0.1'), [XDP_TX, XDP_PASS]);
    assert.deepEqual(verdicts('10.250.0.2'), [XDP_PASS, XDP_PASS]);
    assert.deepEqual(verdicts('0.0.0.0'), [XDP_TX, XDP_PASS]);
    assert.deepEqual(verdicts('fd00::1'), [XDP_PASS, XDP_TX]);
    assert.deepEqual(verdicts('fd00::2'), [XDP_PASS, XDP_PASS]);
    assert.deepEqual(verdicts(undefined), [XDP_TX, XDP_TX]);
  });

  it('marks what it answers with as used, and counts keys', () => {
    const { port, loaded } = store;
    loaded.globals.kv.now = NOW - 5;
    port.one({ op: 'set', key: 'fresh', value: 'x' });
    loaded.globals.kv.now = NOW;
    const before = store.counts();
    // To those who only look.
    const look = (): Command => ({ op: 'get', key: 'fresh', options: OPTION.quiet });
    assert.equal(port.one(look()).accessed, NOW - 5);
    const bytes = frame({ payload: 'get fresh k\r\n' });
    assert.equal(store.run(bytes).retval, XDP_TX);
    assert.equal(port.one(look()).accessed, NOW);
    assert.equal(store.counts().keys, before.keys + 2);
    port.one({ op: 'delete', key: 'fresh' });
    assert.equal(get('fresh').retval, XDP_PASS);
  });

  it('sees a value at once when it is replaced', () => {
    for (const length of [1, 9, 250, 999, 1300]) {
      store.port.one({ op: 'set', key: 'changing', value: 'c'.repeat(length), flags: length });
      const { retval, packet } = get('changing');
      assert.equal(retval, XDP_TX);
      assert.equal(
        Buffer.from(packet.subarray(50)).toString(),
        `VALUE changing ${length} ${length}\r\n${'c'.repeat(length)}\r\nEND\r\n`,
      );
    }
    store.port.one({ op: 'delete', key: 'changing' });
  });

  it(`gives no answer to what is malformed: ${MUTATIONS} damaged requests`, () => {
    const seed = Math.trunc(Math.random() * 1e9);
    let answers = 0;
    for (let i = 0; i < MUTATIONS; i++) {
      const { answered, problem } = tryFrame([[name, store]], mutation(seed + i), growOf(i));
      assert.equal(problem, undefined, `seed ${seed + i}`);
      if (answered) answers++;
    }
    // Some are harmless.
    assert.ok(answers > MUTATIONS / 20, `${answers} answers; seed ${seed}`);
  });

  it('lets all pass when it has no port, or was not started', async () => {
    store.loaded.globals.kv_xdp.port = 0;
    assert.equal(get('key').retval, XDP_PASS);
    assert.equal(store.run(frame({ payload: datagram('get key\r\n'), destinationPort: 0 })).retval, XDP_PASS);
  });
});
