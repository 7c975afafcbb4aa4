/**
 * Payload v1 in TypeScript: what a client publishes to `ingest.<org>` and what it reads back from
 * `aggregates.<org>`. The format is written down in `guest/README.md`; the Rust side is
 * `guest/codec`. This encoder always uses the dense form of a key column.
 */
import { readRun, writeRun } from './streamvbyte.ts';

export interface TagSet {
  metric: string;
  /** Pairs in ascending order of keys, each key once, no empty value. */
  tags: readonly (readonly [key: string, value: string])[];
}

export interface Point {
  /** Index into the message's tag-sets. */
  set: number;
  /** Milliseconds since the epoch. */
  ts: number;
  value: number;
}

export interface DecodedPoint extends Point {
  /** How many input points an aggregated point stands for; 1 in an ingested message. */
  count: number;
}

export interface DecodedMessage {
  sets: TagSet[];
  points: DecodedPoint[];
}

export class PayloadFormatError extends Error {
  override name = 'PayloadFormatError';
}

const MAGIC = 0x31505452;
const HEADER = 48;
const FIXED_COLUMNS = 8;
const PADDING = 16;
const SPARSE = 0x80000000;

/** Encodes one message. Points keep their order: it is the order of addition. */
export function encodeMessage(sets: readonly TagSet[], points: readonly Point[]): Uint8Array {
  if (sets.length === 0 || points.length === 0) {
    throw new PayloadFormatError('a message needs at least one tag-set and one point');
  }
  const dictionary = new Dictionary();
  const keys = [...new Set(sets.flatMap((set) => set.tags.map(([key]) => key)))].sort(byBytes);
  const keyIds = keys.map((key) => dictionary.id(key));
  const metricIds = sets.map((set) => dictionary.id(set.metric));
  const keyColumns = keyColumnsOf(sets, keys, dictionary);
  const [minTs, maxTs] = timeRange(points);
  const columns = [
    writeRun(dictionary.lengths()),
    Buffer.concat(dictionary.bytes),
    writeRun(keyIds),
    writeRun(metricIds),
    writeRun(points.map((point) => point.set)),
    writeRun(timestampCodes(points, minTs)),
    Buffer.from(Float64Array.from(points, (point) => point.value).buffer),
    new Uint8Array(0),
    ...keyColumns.map((column) => writeRun(column)),
  ];
  return layOut(columns, {
    strings: dictionary.bytes.length,
    keys: keys.length,
    sets: sets.length,
    points: points.length,
    minTs,
    maxTs,
  });
}

/** Decodes one message; throws `PayloadFormatError` where the bytes are not a payload. */
export function decodeMessage(bytes: Uint8Array): DecodedMessage {
  const { view, strings, keys, sets, points, column } = openMessage(bytes);
  const dictionary = readStrings(readRun(column(0).bytes, strings), column(1).bytes);
  const metricIds = readRun(column(3).bytes, sets);
  const keyNames = readRun(column(2).bytes, keys);
  const tagSets: { metric: string; tags: [string, string][] }[] = Array.from(metricIds, (id) => ({
    metric: dictionary[id] ?? '',
    tags: [],
  }));
  for (let k = 0; k < keys; k++) {
    const values = keyColumn(column(FIXED_COLUMNS + k), sets);
    const key = dictionary[keyNames[k] ?? -1] ?? '';
    values.forEach((id, s) => {
      if (id > 0) tagSets[s]?.tags.push([key, dictionary[id - 1] ?? '']);
    });
  }
  return { sets: tagSets, points: readPoints(view, column, points) };
}

/**
 * Only what bookkeeping needs of an aggregated message: metric, time and count of each point. A
 * window of many groups is read without building their tags.
 */
export function readCounts(bytes: Uint8Array): { metric: string; ts: number; count: number }[] {
  const { view, strings, sets, points, column } = openMessage(bytes);
  const dictionary = readStrings(readRun(column(0).bytes, strings), column(1).bytes);
  const metricIds = readRun(column(3).bytes, sets);
  return readPoints(view, column, points).map(({ set, ts, count }) => ({
    metric: dictionary[metricIds[set] ?? -1] ?? '',
    ts,
    count,
  }));
}

export interface OpenMessage {
  view: DataView;
  strings: number;
  keys: number;
  sets: number;
  points: number;
  column: (i: number) => RawColumn;
}

/** Its counts and its columns as they are. */
export function openMessage(bytes: Uint8Array): OpenMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER || view.getUint32(0, true) !== MAGIC) {
    throw new PayloadFormatError('not a payload: the magic number is missing');
  }
  if (view.getUint32(4, true) !== bytes.length) {
    throw new PayloadFormatError(`length ${bytes.length}, header says ${view.getUint32(4, true)}`);
  }
  const word = (at: number) => view.getUint32(at, true);
  const column = (i: number) => columnBytes(bytes, view, i);
  return { view, strings: word(12), keys: word(16), sets: word(20), points: word(24), column };
}

export interface Counts {
  strings: number;
  keys: number;
  sets: number;
  points: number;
  minTs: number;
  maxTs: number;
}

class Dictionary {
  readonly bytes: Buffer[] = [];
  private readonly ids = new Map<string, number>();

  id(text: string): number {
    const known = this.ids.get(text);
    if (known !== undefined) return known;
    const id = this.bytes.length;
    this.ids.set(text, id);
    this.bytes.push(Buffer.from(text, 'utf8'));
    return id;
  }

  lengths(): number[] {
    return this.bytes.map((text) => text.length);
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function keyColumnsOf(
  sets: readonly TagSet[],
  keys: readonly string[],
  dictionary: Dictionary,
): number[][] {
  const index = new Map(keys.map((key, i) => [key, i]));
  const columns = keys.map(() => new Array<number>(sets.length).fill(0));
  sets.forEach((set, s) => {
    for (const [key, value] of set.tags) {
      const column = columns[index.get(key) ?? -1];
      if (column !== undefined && value !== '') column[s] = dictionary.id(value) + 1;
    }
  });
  return columns;
}

function timeRange(points: readonly Point[]): [number, number] {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const { ts } of points) {
    if (ts < min) min = ts;
    if (ts > max) max = ts;
  }
  return [min, max];
}

function timestampCodes(points: readonly Point[], minTs: number): number[] {
  let last = minTs;
  return points.map(({ ts }) => {
    const difference = ts - last;
    last = ts;
    return ((difference << 1) ^ (difference >> 31)) >>> 0;
  });
}

const align = (n: number) => (n + 7) & ~7;

/** Columns in their order make a message; those in `sparse` are marked as such. */
export function layOut(
  columns: readonly Uint8Array[],
  counts: Counts,
  sparse: ReadonlySet<number> = new Set(),
): Uint8Array {
  let at = align(HEADER + 8 * columns.length);
  const offsets = columns.map((column) => {
    const offset = align(at);
    at = column.length === 0 ? at : offset + column.length;
    return column.length === 0 ? align(at) : offset;
  });
  const end = align(at) + PADDING;
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  const prefix = (offsets[2] ?? 0) + (columns[2]?.length ?? 0);
  const head = [MAGIC, end, prefix, counts.strings, counts.keys, counts.sets, counts.points, 0];
  head.forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  view.setBigInt64(32, BigInt(counts.minTs), true);
  view.setBigInt64(40, BigInt(counts.maxTs), true);
  columns.forEach((column, i) => {
    view.setUint32(HEADER + 8 * i, offsets[i] ?? 0, true);
    const mark = sparse.has(i) ? SPARSE : 0;
    view.setUint32(HEADER + 8 * i + 4, column.length + mark, true);
    bytes.set(column, offsets[i]);
  });
  return bytes;
}

export interface RawColumn {
  bytes: Uint8Array;
  sparse: boolean;
}

function columnBytes(bytes: Uint8Array, view: DataView, i: number): RawColumn {
  const at = HEADER + 8 * i;
  if (at + 8 > bytes.length) throw new PayloadFormatError(`no room for the entry of column ${i}`);
  const offset = view.getUint32(at, true);
  const word = view.getUint32(at + 4, true);
  const length = word & ~SPARSE;
  if (offset + length > bytes.length)
    throw new PayloadFormatError(`column ${i} leaves the message`);
  return { bytes: bytes.subarray(offset, offset + length), sparse: word >= SPARSE };
}

export function readStrings(lengths: Uint32Array, bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return text.toString('utf8', at - length, at);
  });
}

function keyColumn(column: RawColumn, sets: number): Uint32Array {
  if (!column.sparse) return readRun(column.bytes, sets);
  const view = new DataView(column.bytes.buffer, column.bytes.byteOffset, column.bytes.byteLength);
  const pairs = readRun(column.bytes.subarray(4), 2 * view.getUint32(0, true));
  const values = new Uint32Array(sets);
  let set = 0;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    set += pairs[i] ?? 0;
    values[set] = pairs[i + 1] ?? 0;
  }
  return values;
}

function readPoints(
  view: DataView,
  column: (i: number) => RawColumn,
  points: number,
): DecodedPoint[] {
  const setIds = readRun(column(4).bytes, points);
  const codes = readRun(column(5).bytes, points);
  const values = column(6).bytes;
  if (values.length !== 8 * points) throw new PayloadFormatError('the values column is cut');
  const floats = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const counts = column(7).bytes.length === 0 ? null : readRun(column(7).bytes, points);
  let ts = Number(view.getBigInt64(32, true));
  return Array.from(setIds, (set, i) => {
    const code = codes[i] ?? 0;
    ts += (code >>> 1) ^ -(code & 1);
    return { set, ts, value: floats.getFloat64(8 * i, true), count: counts?.[i] ?? 1 };
  });
}
