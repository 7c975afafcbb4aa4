/**
 * Bodies of remote write 1.0 as an agent sends them: a scrape's sample of each of 1,000 series.
 * No two bodies are alike, so nothing is a repetition. Values have few enough bits that sums of
 * them are exact in any order, so both sides can be compared to the last bit.
 */
import { compress } from 'snappyjs';
import type { TagSet } from '../../control/payload/payload.ts';
import { seededRandom } from '../workloads/random.ts';
import type { Workload } from '../workloads/workloads.ts';
import type { Books } from './books.ts';

export const SERIES_PER_BODY = 1_000;
/** A scrape of many targets takes a while. */
export const JITTER_MS = 1_000;
/** A sample's message: a double, a time of six bytes, and their tags. */
const SAMPLE_BYTES = 16;

/** `count` bodies, each made when it is asked for, with the time of that moment, and booked. */
export function* makeBodies(
  workload: Workload,
  { count, seed }: { count: number; seed: number },
  books: Books,
): Generator<Uint8Array> {
  const random = seededRandom(seed);
  const labels = workload.series.map(labelsOf);
  for (let index = 0; index < count; index++) {
    const first = (index * SERIES_PER_BODY) % workload.series.length;
    const now = Date.now();
    const parts: Uint8Array[] = [];
    for (let series = first; series < first + SERIES_PER_BODY; series++) {
      const value = random.below(2 ** 31) / 2 ** 11;
      books.sent(series, value);
      const sample = sampleOf(value, now - random.below(JITTER_MS));
      const own = labels[series] ?? new Uint8Array(0);
      parts.push(head(0x0a, own.length + sample.length), own, sample);
    }
    yield compress(new Uint8Array(Buffer.concat(parts)));
  }
}

/** The labels of a time series, in the order of their names. */
function labelsOf({ metric, tags }: TagSet): Uint8Array {
  const pairs: [string, string][] = [
    ['__name__', metric],
    ...tags.map(([k, v]): [string, string] => [k, v]),
  ];
  const fields = pairs.map(([name, value]) => {
    const label = Buffer.concat([text(0x0a, name), text(0x12, value)]);
    return Buffer.concat([head(0x0a, label.length), label]);
  });
  return Buffer.concat(fields);
}

function text(tag: number, content: string): Uint8Array {
  const bytes = Buffer.from(content);
  return Buffer.concat([head(tag, bytes.length), bytes]);
}

function sampleOf(value: number, ts: number): Uint8Array {
  const bytes = Buffer.alloc(2 + SAMPLE_BYTES);
  bytes.writeUInt8(0x09, 2);
  bytes.writeDoubleLE(value, 3);
  bytes.writeUInt8(0x10, 11);
  const end = writeVarint(bytes, 12, ts);
  bytes.writeUInt8(0x12, 0);
  bytes.writeUInt8(end - 2, 1);
  return bytes.subarray(0, end);
}

/** A field of bytes up to its content. */
function head(tag: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt8(tag, 0);
  return bytes.subarray(0, writeVarint(bytes, 1, length));
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    bytes.writeUInt8((rest % 0x80) | 0x80, next++);
    rest = Math.floor(rest / 0x80);
  }
  bytes.writeUInt8(rest, next++);
  return next;
}
