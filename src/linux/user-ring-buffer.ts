import { BpfError } from '../errors.ts';
import { MAP_TYPES, mapTypeName } from '../object/map-types.ts';
import { RecordWriter } from '../record-ring.ts';
import type { BufferMap } from './buffer-reader.ts';
import { duplicate } from './epoll.ts';
import { linuxError, Mapping, Owned } from './fd.ts';
import { pageSize } from './page-size.ts';

/** Writing to a BPF_MAP_TYPE_USER_RINGBUF: here the consumer's page is Linux's, and producer_pos and the data are ours to write. */

/** The map may be closed before the writer is. Throws EINVAL for maps of other types, EPERM, ENOMEM, EMFILE. */
export function userRingWriter(map: BufferMap): RecordWriter {
  const { name, type, maxEntries: size } = map;
  if (type !== MAP_TYPES.user_ringbuf)
    throw new BpfError('EINVAL', `map '${name}' is of type ${mapTypeName(type)}, not user_ringbuf`);
  const page = pageSize();
  const owned = new Owned();
  try {
    const fd = owned.add(duplicate(map.fdNumber, `user ring buffer '${name}'`)).number;
    const mapped = (options: { length: number; offset?: number; readOnly?: boolean }): ArrayBuffer => {
      const mapping = Mapping.map(fd, options);
      if (typeof mapping === 'number') throw linuxError(mapping, `mapping user ring buffer '${name}'`);
      return owned.add(mapping).buffer;
    };
    const consumer = mapped({ length: page, readOnly: true });
    const producer = mapped({ length: page + 2 * size, offset: page });
    const memory = {
      size,
      consumer: new BigUint64Array(consumer, 0, 1),
      consumerLow: new Uint32Array(consumer, 0, 1),
      producer: new BigUint64Array(producer, 0, 1),
      producerLow: new Uint32Array(producer, 0, 1),
      words: new Uint32Array(producer, page, (2 * size) / 4),
      bytes: new Uint8Array(producer, page, 2 * size),
    };
    return new RecordWriter(
      name,
      memory,
      () => false,
      () => owned.close(),
    );
  } catch (error) {
    owned.close();
    throw error;
  }
}
