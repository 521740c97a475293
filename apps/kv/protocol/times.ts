/** Expiry times as memcached takes them from clients. */

/** Up to this many seconds are counted from now, more are seconds since 1970. */
const RELATIVE = 60 * 60 * 24 * 30;

/**
 * When an item expires, in seconds since 1970; 0 for never.
 * @param time what the client said, as signed 32 bits: a negative one has passed already. @param now seconds since 1970.
 */
export function expiresAt(time: number, now: number): number {
  if (time === 0) return 0;
  if (time < 0) return 1;
  return time > RELATIVE ? time : now + time;
}
