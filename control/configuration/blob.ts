/**
 * The rules blob: the one canonical encoding of a configuration's rules. Its SHA-256 is the
 * identity of the configuration, and guests receive exactly these bytes.
 *
 *     "RTRB" | u8 version = 1 | u32 rule count | rules, sorted by id
 *     rule   = str id | str metric | u8 aggregate | u32 window_ms | u8 n | str key × n | filter
 *     filter = u8 op, then 0 ALL | 1 PRESENT key | 2 EQ key value | 3 PREFIX key prefix
 *              | 4 IN key u16 n value × n | 5 NOT filter | 6 AND u16 n filter × n | 7 OR …
 *     str    = u16 length | UTF-8; every integer is little-endian
 */
import { createHash } from 'node:crypto';
import { BlobError } from './errors.ts';
import { type Filter, filterDepth, filterLeaves } from './filter.ts';
import { idPattern, limits, textProblem } from './limits.ts';
import { ByteReader, ByteWriter } from './wire.ts';

/** In the order of their codes in the blob. */
export const aggregates = ['sum', 'max', 'min', 'count', 'avg'] as const;
export type Aggregate = (typeof aggregates)[number];

export interface Rule {
  id: string;
  metric: string;
  filter: Filter;
  groupBy: string[];
  aggregate: Aggregate;
  windowMs: number;
}

const magic = 'RTRB';
const version = 1;
const filterOps = ['all', 'present', 'eq', 'prefix', 'in', 'not', 'and', 'or'] as const;

/** Encodes rules; the caller has validated them. Rules are sorted by id here. */
export function encodeBlob(rules: readonly Rule[]): Uint8Array {
  const writer = new ByteWriter();
  writer.ascii(magic);
  writer.u8(version);
  writer.u32(rules.length);
  for (const rule of [...rules].sort((a, b) => compareBytes(a.id, b.id))) encodeRule(writer, rule);
  const blob = writer.finish();
  if (blob.length > limits.blobBytes) {
    throw new BlobError(`the rules take ${blob.length} bytes, the limit is ${limits.blobBytes}`);
  }
  return blob;
}

/** Decodes a blob; refuses whatever `encodeBlob` would not have written. */
export function decodeBlob(blob: Uint8Array): Rule[] {
  if (blob.length > limits.blobBytes) {
    throw new BlobError(`the blob has ${blob.length} bytes, the limit is ${limits.blobBytes}`);
  }
  const reader = new ByteReader(blob);
  if (reader.ascii(magic.length) !== magic) throw new BlobError('the blob has the wrong magic');
  const found = reader.u8();
  if (found !== version) throw new BlobError(`unknown blob version ${found}`);
  const count = reader.u32();
  if (count > limits.rules) throw new BlobError(`${count} rules, the limit is ${limits.rules}`);
  const rules: Rule[] = [];
  for (let index = 0; index < count; index += 1) {
    const rule = decodeRule(reader);
    const previous = rules.at(-1);
    if (previous !== undefined && compareBytes(previous.id, rule.id) >= 0) {
      throw new BlobError(`rule ${rule.id} is out of order or repeated`);
    }
    rules.push(rule);
  }
  reader.expectEnd();
  return rules;
}

/** Lowercase hexadecimal SHA-256: the identity of the configuration. */
export function digestBlob(blob: Uint8Array): string {
  return createHash('sha256').update(blob).digest('hex');
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function encodeRule(writer: ByteWriter, rule: Rule): void {
  writer.text(rule.id);
  writer.text(rule.metric);
  writer.u8(aggregates.indexOf(rule.aggregate));
  writer.u32(rule.windowMs);
  writer.u8(rule.groupBy.length);
  for (const key of rule.groupBy) writer.text(key);
  encodeFilter(writer, rule.filter);
}

function encodeFilter(writer: ByteWriter, filter: Filter): void {
  writer.u8(filterOps.indexOf(filter.op));
  if ('key' in filter) writer.text(filter.key);
  switch (filter.op) {
    case 'all':
    case 'present':
      break;
    case 'eq':
      writer.text(filter.value);
      break;
    case 'prefix':
      writer.text(filter.prefix);
      break;
    case 'in':
      writer.u16(filter.values.length);
      for (const value of filter.values) writer.text(value);
      break;
    case 'not':
      encodeFilter(writer, filter.filter);
      break;
    default:
      writer.u16(filter.filters.length);
      for (const each of filter.filters) encodeFilter(writer, each);
  }
}

function decodeRule(reader: ByteReader): Rule {
  const id = reader.text();
  if (!idPattern.test(id)) throw new BlobError(`invalid rule id ${JSON.stringify(id)}`);
  const metric = decodeText(reader, id);
  const code = reader.u8();
  const aggregate = aggregates[code];
  if (aggregate === undefined) throw new BlobError(`rule ${id}: unknown aggregate ${code}`);
  const windowMs = reader.u32();
  if (!isWindow(windowMs)) throw new BlobError(`rule ${id}: invalid window ${windowMs} ms`);
  const groupBy = decodeDistinct(reader, id, reader.u8(), limits.groupKeys);
  const filter = decodeFilter(reader, id, 1);
  if (filterDepth(filter) > limits.filterDepth || filterLeaves(filter) > limits.filterLeaves) {
    throw new BlobError(`rule ${id}: the filter is too large`);
  }
  return { id, metric, filter, groupBy, aggregate, windowMs };
}

export function isWindow(windowMs: number): boolean {
  const { windowMsMin, windowMsMax } = limits;
  return windowMs % 1_000 === 0 && windowMs >= windowMsMin && windowMs <= windowMsMax;
}

function decodeText(reader: ByteReader, id: string): string {
  const text = reader.text();
  const problem = textProblem(text);
  if (problem !== null) throw new BlobError(`rule ${id}: ${JSON.stringify(text)} ${problem}`);
  return text;
}

function decodeDistinct(reader: ByteReader, id: string, count: number, limit: number): string[] {
  if (count > limit) throw new BlobError(`rule ${id}: ${count} names, the limit is ${limit}`);
  const texts = Array.from({ length: count }, () => decodeText(reader, id));
  if (new Set(texts).size !== count) throw new BlobError(`rule ${id}: a name is repeated`);
  return texts;
}

function decodeFilter(reader: ByteReader, id: string, depth: number): Filter {
  if (depth > limits.filterDepth) throw new BlobError(`rule ${id}: the filter is too deep`);
  const code = reader.u8();
  const op = filterOps[code];
  switch (op) {
    case 'all':
      return { op };
    case 'present':
      return { op, key: decodeText(reader, id) };
    case 'eq':
      return { op, key: decodeText(reader, id), value: decodeText(reader, id) };
    case 'prefix':
      return { op, key: decodeText(reader, id), prefix: decodeText(reader, id) };
    case 'in': {
      const key = decodeText(reader, id);
      const values = decodeDistinct(reader, id, reader.u16(), limits.filterValues);
      if (values.length === 0) throw new BlobError(`rule ${id}: an IN list is empty`);
      return { op, key, values };
    }
    case 'not':
      return { op, filter: decodeFilter(reader, id, depth + 1) };
    case undefined:
      throw new BlobError(`rule ${id}: unknown filter operation ${code}`);
    default:
      return { op, filters: decodeOperands(reader, id, depth, op) };
  }
}

function decodeOperands(reader: ByteReader, id: string, depth: number, op: string): Filter[] {
  const count = reader.u16();
  if (count < 2 || count > limits.filterLeaves) {
    throw new BlobError(`rule ${id}: ${op} of ${count} conditions`);
  }
  const filters = Array.from({ length: count }, () => decodeFilter(reader, id, depth + 1));
  if (filters.some((each) => each.op === op)) {
    throw new BlobError(`rule ${id}: a nested ${op} is not flattened`);
  }
  return filters;
}
