import { ERRNO } from '../../errors.ts';
import { BUSY_BIT, DISCARD_BIT, RECORD_HEADER, RecordWriter } from '../../record-ring.ts';
import type { KernelOffset } from '../layout.ts';
import { Ring } from './ring-buffer.ts';

/**
 * BPF_MAP_TYPE_USER_RINGBUF: records from user space to a program that drains them, laid out as in ring-buffer.ts. One program drains
 * at a time. Behind the words of the control page is a dynptr for each CPU, which its callback gets.
 */

/** A word of the control page: 1 while a program drains. */
const BUSY = 4;
const DYNPTRS = 1024;
const DYNPTR_BYTES = 16;
/** Linux: BPF_MAX_USER_RINGBUF_SAMPLES. */
const MAX_SAMPLES = 128 * 1024;
/** Linux: DYNPTR_MAX_SIZE. */
const MAX_SAMPLE = 0xff_ffff;

export class UserRingBufferMap extends Ring {
  /**
   * bpf_user_ringbuf_drain. @param visit gets a record and the place of a dynptr for it; not 0: stop after this one.
   * @returns how many were visited, −EBUSY while another program drains, −EINVAL and −E2BIG for a ring that is out of order.
   */
  drain(visit: (record: KernelOffset, size: number, dynptr: KernelOffset) => number, cpu: number): number {
    const { words } = this;
    const busy = (this.base >>> 2) + BUSY;
    if (Atomics.compareExchange(words, busy, 0, 1) !== 0) return -ERRNO.EBUSY;
    try {
      return this.#drain(visit, (this.base + DYNPTRS + DYNPTR_BYTES * cpu) as KernelOffset);
    } finally {
      Atomics.store(words, busy, 0);
    }
  }

  #drain(
    visit: (record: KernelOffset, size: number, dynptr: KernelOffset) => number,
    dynptr: KernelOffset,
  ): number {
    const { words } = this;
    let visited = 0;
    for (let samples = 0, stop = 0; samples < MAX_SAMPLES && stop === 0; samples++) {
      const end = Atomics.load(words, this.producer);
      if ((end & 7) !== 0) return -ERRNO.EINVAL;
      const position = words[this.consumer];
      if (position === end) break;
      const at = this.data + (position & (this.size - 1));
      const header = Atomics.load(words, at >>> 2);
      const size = header & ~(BUSY_BIT | DISCARD_BIT);
      const length = ((size + 7) & ~7) + RECORD_HEADER;
      if (length > (end - position) >>> 0) return -ERRNO.EINVAL;
      if (length > this.size || size > MAX_SAMPLE) return -ERRNO.E2BIG;
      if ((header & DISCARD_BIT) === 0) {
        if ((header & BUSY_BIT) !== 0) break;
        stop = visit((at + RECORD_HEADER) as KernelOffset, size, dynptr);
        visited++;
      }
      this.advance(this.consumer, length);
    }
    return visited;
  }

  override writer(): RecordWriter {
    this.checkWritable();
    return new RecordWriter(this.name, this.memory, () => this.closed);
  }
}
