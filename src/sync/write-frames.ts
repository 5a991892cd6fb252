import { encodeMessage, MAX_PIECE_BYTES } from './protocol.ts';
import { ByteWriter } from './wire.ts';
import { putWrite, type WireWrite } from './writes.ts';

/** A frame of writes is closed at so many bytes. */
const FRAME_BYTES: number = 128 * 1024;

export interface WriteFrames {
  readonly frames: readonly Uint8Array[];
  /** As the server counts them against its limit. */
  readonly bytes: number;
}

/** The frames of one batch of writes. */
export function writeFrames(id: number, writes: readonly WireWrite[]): WriteFrames {
  const frames: Uint8Array[] = [];
  const rows = new ByteWriter(1_024);
  let bytes = 0;
  const close = (last: boolean): void => {
    bytes += rows.length;
    frames.push(encodeMessage({ type: 'write', id, last, writes: rows.view() }));
    rows.clear();
  };
  for (const write of writes) {
    const pieced = write.type === 'set' && write.value.length > MAX_PIECE_BYTES;
    if (rows.length > 0 && (pieced || rows.length > FRAME_BYTES)) close(false);
    if (pieced) {
      bytes += write.value.length;
      for (let offset = 0; offset < write.value.length; offset += MAX_PIECE_BYTES) {
        const piece = write.value.subarray(offset, offset + MAX_PIECE_BYTES);
        frames.push(encodeMessage({ type: 'piece', offset, bytes: piece }));
      }
    }
    putWrite(rows, write, pieced);
  }
  close(true);
  return { frames, bytes };
}
