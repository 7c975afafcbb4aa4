/** A message (`guest/README.md`, "Message"), read. The aggregator has validated it. */

export interface Header {
  len: number;
  strings: number;
  keys: number;
  sets: number;
  points: number;
  minTs: number;
}

export interface Message {
  /** The text of a string id. */
  text: (id: number) => string;
  /** The string id of each tag-set's metric. */
  metrics: Uint32Array;
  /** By key: the string id + 1 of its value in each tag-set; 0 = absent. */
  keys: ReadonlyMap<string, Uint32Array>;
  sets: Uint32Array;
  times: Float64Array;
  values: Float64Array;
}

const TABLE = 48;
const FIXED_COLUMNS = 8;
const ENTRY = 8;
const SPARSE = 0x80000000;

const column = {
  stringLengths: 0,
  stringBytes: 1,
  keyIds: 2,
  metricIds: 3,
  setIds: 4,
  timestamps: 5,
  values: 6,
} as const;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Only the keys that are `wanted` are read. */
export function readMessage(
  bytes: Uint8Array,
  header: Header,
  wanted: ReadonlySet<string>,
): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const columnAt = (index: number) => {
    const at = TABLE + ENTRY * index;
    const [offset, length] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    const size = length & ~SPARSE;
    return { bytes: bytes.subarray(offset, offset + size), sparse: (length & SPARSE) !== 0 };
  };
  const run = (index: number, count: number) => readRun(columnAt(index).bytes, count);
  const text = dictionary(
    run(column.stringLengths, header.strings),
    columnAt(column.stringBytes).bytes,
  );
  const keys = new Map<string, Uint32Array>();
  for (const [index, id] of run(column.keyIds, header.keys).entries()) {
    const key = text(id);
    if (!wanted.has(key)) continue;
    const { bytes, sparse } = columnAt(FIXED_COLUMNS + index);
    keys.set(key, sparse ? readSparse(bytes, header.sets) : readRun(bytes, header.sets));
  }
  return {
    text,
    keys,
    metrics: run(column.metricIds, header.sets),
    sets: run(column.setIds, header.points),
    times: readTimes(run(column.timestamps, header.points), header.minTs),
    values: readValues(columnAt(column.values).bytes, header.points),
  };
}

/** Texts are decoded when they are first asked for. */
function dictionary(lengths: Uint32Array, bytes: Uint8Array): (id: number) => string {
  const texts: (string | undefined)[] = new Array(lengths.length);
  const starts = new Uint32Array(lengths.length + 1);
  for (let id = 0; id < lengths.length; id++) {
    starts[id + 1] = (starts[id] as number) + (lengths[id] as number);
  }
  return (id) => {
    const known = texts[id];
    if (known !== undefined) return known;
    const text = decoder.decode(bytes.subarray(starts[id], starts[id + 1]));
    texts[id] = text;
    return text;
  };
}

/** StreamVByte: control bytes with two bits a number, then the numbers. */
function readRun(bytes: Uint8Array, count: number): Uint32Array {
  const numbers = new Uint32Array(count);
  let at = (count + 3) >> 2;
  for (let i = 0; i < count; i++) {
    const code = ((bytes[i >> 2] as number) >> (2 * (i & 3))) & 3;
    let number = bytes[at] as number;
    for (let byte = 1; byte <= code; byte++) {
      number |= (bytes[at + byte] as number) << (8 * byte);
    }
    numbers[i] = number;
    at += code + 1;
  }
  return numbers;
}

/** Pairs of the gap to the tag-set before, and the string id + 1. */
function readSparse(bytes: Uint8Array, sets: number): Uint32Array {
  const column = new Uint32Array(sets);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pairs = readRun(bytes.subarray(4), 2 * view.getUint32(0, true));
  let set = 0;
  for (let pair = 0; pair < pairs.length; pair += 2) {
    set += pairs[pair] as number;
    column[set] = pairs[pair + 1] as number;
  }
  return column;
}

/** Zigzag codes of the difference to the timestamp before. Times are exact in a float64. */
function readTimes(codes: Uint32Array, minTs: number): Float64Array {
  const times = new Float64Array(codes.length);
  let time = minTs;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] as number;
    time += code & 1 ? -((code >>> 1) + 1) : code >>> 1;
    times[i] = time;
  }
  return times;
}

/** A copy, because the bytes need not be aligned where they lie. */
function readValues(bytes: Uint8Array, points: number): Float64Array {
  return new Float64Array(bytes.slice().buffer, 0, points);
}
