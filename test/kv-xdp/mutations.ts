import { randomFrom } from '../mutate.ts';
import { checksumOf, datagram, type Frame, frame, onesSum } from './frames.ts';
import { ITEMS } from './store.ts';

/**
 * Requests as clients send them, and damage to them: bits, bytes, numbers, pieces that are moved, cut or put in, anywhere. Mostly lengths
 * and checksums are put right afterwards, since whatever is wrong there hides all the rest.
 */

const KEYS = [...ITEMS.keys()];
const TAG = 0x8100;
const PROVIDER_TAG = 0x88a8;

type Random = (below: number) => number;

/** A request in good order. */
function request(random: Random): Uint8Array {
  const keys = Array.from({ length: random(3) === 0 ? 1 + random(6) : 1 }, () =>
    random(8) === 0 ? `absent-${random(100)}` : KEYS[random(KEYS.length)],
  );
  const end = random(4) === 0 ? '\n' : '\r\n';
  const vlans = [
    [],
    [],
    [],
    [{ type: TAG, tag: random(4096) }],
    [
      { type: PROVIDER_TAG, tag: 1 },
      { type: TAG, tag: 7 },
    ],
  ];
  return frame({
    vlans: vlans[random(vlans.length)],
    version: random(2) === 0 ? 4 : 6,
    payload: datagram(`get ${keys.join(' ')}${end}`, random(0x10000)),
    checksum: (['right', 'right', 'none', 'partial'] as const)[random(4)] satisfies Frame['checksum'],
    padding: random(8) === 0 ? 1 + random(20) : 0,
  });
}

/** Bytes that parsers look for. */
const TELLING = [...Buffer.from(' \r\n\0\t!gets\x7f\x80\xff', 'latin1')];

function wound(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random(bytes.length);
  switch (random(8)) {
    case 0:
      bytes[at] ^= 1 << random(8);
      return bytes;
    case 1:
      bytes[at] = random(256);
      return bytes;
    case 2:
      bytes[at] = TELLING[random(TELLING.length)];
      return bytes;
    case 3:
      new DataView(bytes.buffer).setUint16(
        Math.min(at, bytes.length - 2),
        [0, 1, 0xffff, 8, 28, 1400][random(6)],
      );
      return bytes;
    case 4:
      bytes.copyWithin(at, random(bytes.length), random(bytes.length));
      return bytes;
    case 5:
      return bytes.slice(0, Math.max(14, at));
    case 6: {
      const piece = Uint8Array.from({ length: 1 + random(3) }, () => TELLING[random(TELLING.length)]);
      return Uint8Array.from([...bytes.subarray(0, at), ...piece, ...bytes.subarray(at)]);
    }
    default:
      return Uint8Array.from(
        [...bytes.subarray(0, at), ...bytes.subarray(Math.min(bytes.length, at + 1 + random(3)))]
          .concat(Array(14).fill(0))
          .slice(0, Math.max(14, bytes.length - 1)),
      );
  }
}

/** Sets lengths and checksums to what the bytes are, where the headers can be told. */
function putRight(bytes: Uint8Array, random: Random): void {
  const view = new DataView(bytes.buffer);
  let ip = 14;
  while (ip <= 22 && bytes.length > ip + 4 && [TAG, PROVIDER_TAG].includes(view.getUint16(ip - 2))) ip += 4;
  const version = view.getUint16(ip - 2) === 0x0800 ? 4 : 6;
  const udp = ip + (version === 4 ? 20 : 40);
  if (bytes.length < udp + 8) return;
  const udpBytes = bytes.length - udp;
  view.setUint16(udp + 4, udpBytes);
  view.setUint16(ip + (version === 4 ? 2 : 4), version === 4 ? 20 + udpBytes : udpBytes);
  if (version === 4) {
    view.setUint16(ip + 10, 0);
    view.setUint16(ip + 10, ~onesSum(bytes.subarray(ip, udp)) & 0xffff);
  }
  const none = version === 4 && random(2) === 0;
  view.setUint16(udp + 6, none ? 0 : checksumOf(bytes, ip, version, 'right'));
}

/** A damaged request; the same seed gives the same. */
export function mutation(seed: number): Uint8Array {
  const random = randomFrom(seed);
  let bytes = request(random);
  const wounds = random(5);
  for (let i = 0; i < wounds; i++) bytes = wound(bytes, random);
  if (random(4) !== 0) putRight(bytes, random);
  return bytes;
}
