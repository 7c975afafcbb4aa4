/** The rules blob (`guest/README.md`, "Rules blob"), read. */

export type Aggregate = 'sum' | 'max' | 'min' | 'count' | 'avg';

export type Filter =
  | { op: 'all' }
  | { op: 'present'; key: string }
  | { op: 'equal'; key: string; value: string }
  | { op: 'prefix'; key: string; prefix: string }
  | { op: 'in'; key: string; values: readonly string[] }
  | { op: 'not'; inner: Filter }
  | { op: 'and' | 'or'; parts: readonly Filter[] };

export interface Rule {
  metric: string;
  aggregate: Aggregate;
  windowMs: number;
  groupBy: readonly string[];
  filter: Filter;
}

const MAGIC = 'RTRB';
const VERSION = 1;
const AGGREGATES: readonly Aggregate[] = ['sum', 'max', 'min', 'count', 'avg'];

/** Throws on whatever is not a rules blob. */
export function parseRules(blob: Uint8Array): Rule[] {
  const reader = new Reader(blob);
  if (reader.text(MAGIC.length) !== MAGIC || reader.u8() !== VERSION) {
    throw new Error('not a rules blob of version 1');
  }
  const rules = Array.from({ length: reader.u32() }, () => readRule(reader));
  if (!reader.atEnd()) throw new Error('bytes after the rules');
  return rules;
}

function readRule(reader: Reader): Rule {
  reader.string(); // The id orders rules, and they come in that order.
  const metric = reader.string();
  const aggregate = AGGREGATES[reader.u8()];
  if (aggregate === undefined) throw new Error('an unknown aggregate');
  const windowMs = reader.u32();
  const groupBy = Array.from({ length: reader.u8() }, () => reader.string());
  return { metric, aggregate, windowMs, groupBy, filter: readFilter(reader) };
}

function readFilter(reader: Reader): Filter {
  const op = reader.u8();
  const filters = () => Array.from({ length: reader.u16() }, () => readFilter(reader));
  switch (op) {
    case 0:
      return { op: 'all' };
    case 1:
      return { op: 'present', key: reader.string() };
    case 2:
      return { op: 'equal', key: reader.string(), value: reader.string() };
    case 3:
      return { op: 'prefix', key: reader.string(), prefix: reader.string() };
    case 4: {
      const key = reader.string();
      return { op: 'in', key, values: Array.from({ length: reader.u16() }, () => reader.string()) };
    }
    case 5:
      return { op: 'not', inner: readFilter(reader) };
    case 6:
      return { op: 'and', parts: filters() };
    case 7:
      return { op: 'or', parts: filters() };
    default:
      throw new Error(`an unknown filter: ${op}`);
  }
}

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true });
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  atEnd(): boolean {
    return this.at === this.bytes.length;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  string(): string {
    return this.text(this.u16());
  }

  text(length: number): string {
    const from = this.take(length);
    return this.decoder.decode(this.bytes.subarray(from, this.at));
  }

  private take(length: number): number {
    const from = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw new Error('the rules blob ends early');
    return from;
  }
}
