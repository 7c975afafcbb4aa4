/** A message under new names: the same columns, the keys in the order of their new names. */
import { layOut, openMessage, readStrings } from '../../control/payload/payload.ts';
import { readRun, writeRun } from '../../control/payload/streamvbyte.ts';

/** Of the columns before those of the keys. */
const FIXED = 8;

export interface Renamed {
  message: Uint8Array;
  /** The texts that it had. */
  texts: string[];
}

/** `rename` keeps lengths, and different texts different. */
export function renameMessage(message: Uint8Array, rename: (text: string) => string): Renamed {
  const { view, strings, keys, sets, points, column } = openMessage(message);
  const texts = readStrings(readRun(column(0).bytes, strings), column(1).bytes);
  const names = texts.map((text) => Buffer.from(rename(text), 'utf8'));
  const keyIds = readRun(column(2).bytes, keys);
  const nameOf = (key: number) => names[keyIds[key] ?? -1] ?? Buffer.alloc(0);
  const order = Array.from(keyIds.keys()).sort((a, b) => Buffer.compare(nameOf(a), nameOf(b)));
  const keyColumns = order.map((key) => column(FIXED + key));
  const columns = [
    column(0).bytes,
    Buffer.concat(names),
    writeRun(order.map((key) => keyIds[key] ?? 0)),
    ...[3, 4, 5, 6, 7].map((each) => column(each).bytes),
    ...keyColumns.map(({ bytes }) => bytes),
  ];
  const sparse = keyColumns.flatMap((each, at) => (each.sparse ? [FIXED + at] : []));
  const [minTs, maxTs] = [32, 40].map((at) => Number(view.getBigInt64(at, true)));
  const counts = { strings, keys, sets, points, minTs: minTs ?? 0, maxTs: maxTs ?? 0 };
  return { message: layOut(columns, counts, new Set(sparse)), texts };
}
