/**
 * The corpus file that `aggregator bench` reads: "RTC1", then for each message its u32 length and
 * its bytes.
 */
import { sha256 } from '../../control/store/index.ts';

const MAGIC = 'RTC1';

export function encodeCorpus(messages: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(MAGIC, 'latin1')];
  for (const message of messages) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    parts.push(length, message);
  }
  return Buffer.concat(parts);
}

export function decodeCorpus(bytes: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.toString('latin1', 0, 4) !== MAGIC) throw new Error('not a corpus file');
  const messages: Uint8Array[] = [];
  for (let at = 4; at < buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (at + 4 + length > buffer.length) throw new Error(`corpus is cut off at ${at}`);
    messages.push(buffer.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return messages;
}

/**
 * One message in four is kept apart. The choice depends on content alone, so it never changes
 * sides.
 */
export function splitCorpus(messages: readonly Uint8Array[]): {
  fit: Uint8Array[];
  check: Uint8Array[];
} {
  const kept = messages.map((message) => ({ message, order: sha256(message) }));
  kept.sort((left, right) => (left.order < right.order ? -1 : 1));
  const fit: Uint8Array[] = [];
  const check: Uint8Array[] = [];
  for (const { message, order } of kept) {
    (Number.parseInt(order.slice(0, 2), 16) % 4 === 0 ? check : fit).push(message);
  }
  // Few messages may all fall on one side; both are needed.
  while (check.length < Math.min(8, Math.floor(kept.length / 4)))
    check.push(fit.pop() as Uint8Array);
  return { fit, check };
}
