/**
 * The aggregation: filters and groups are decided once a tag-set, then every point is added to the
 * cells of its tag-set's groups, in the order of the message ("Meaning" in `guest/README.md`).
 */
import type { Message } from './message.ts';
import type { Aggregate, Filter, Rule } from './rules.ts';

const RECORD = 24;

interface Indexed extends Rule {
  index: number;
}

interface Group {
  rule: Indexed;
  /** One of its tag-sets that has a point, by window. */
  cells: Map<number, Cell>;
}

interface Cell {
  set: number;
  count: number;
  value: number;
}

export interface Plan {
  byMetric: ReadonlyMap<string, readonly Indexed[]>;
  keys: ReadonlySet<string>;
}

export function planOf(rules: readonly Rule[]): Plan {
  const byMetric = new Map<string, Indexed[]>();
  const keys = new Set<string>();
  for (const [index, rule] of rules.entries()) {
    byMetric.set(rule.metric, [...(byMetric.get(rule.metric) ?? []), { ...rule, index }]);
    for (const key of rule.groupBy) keys.add(key);
    collectKeys(rule.filter, keys);
  }
  return { byMetric, keys };
}

function collectKeys(filter: Filter, keys: Set<string>): void {
  if ('key' in filter) keys.add(filter.key);
  if (filter.op === 'not') collectKeys(filter.inner, keys);
  if (filter.op === 'and' || filter.op === 'or') {
    for (const part of filter.parts) collectKeys(part, keys);
  }
}

/** The packed records of a message. */
export function aggregate(plan: Plan, message: Message, minTs: number): Uint8Array {
  const groups: Group[] = [];
  const ofSet = groupsOfSets(plan, message, groups);
  const { sets, times, values } = message;
  for (let point = 0; point < sets.length; point++) {
    const set = sets[point] as number;
    for (const group of ofSet[set] as Group[]) {
      const { windowMs, aggregate } = group.rule;
      const window = Math.floor((times[point] as number) / windowMs) - Math.floor(minTs / windowMs);
      const cell = group.cells.get(window);
      const value = values[point] as number;
      if (cell === undefined) group.cells.set(window, { set, count: 1, value });
      else {
        cell.value = combine(aggregate, cell.value, value);
        cell.count += 1;
      }
    }
  }
  return pack(groups);
}

/** For each tag-set the groups that its points belong to; each group is listed once. */
function groupsOfSets({ byMetric }: Plan, message: Message, groups: Group[]): Group[][] {
  const ofSet: Group[][] = Array.from({ length: message.metrics.length }, () => []);
  const known = new Map<string, Group>();
  for (const [set, metric] of message.metrics.entries()) {
    for (const rule of byMetric.get(message.text(metric)) ?? []) {
      if (!takes(rule.filter, message, set)) continue;
      const values = rule.groupBy.map((key) => message.keys.get(key)?.[set] ?? 0);
      const name = `${rule.index} ${values.join(' ')}`;
      let group = known.get(name);
      if (group === undefined) {
        group = { rule, cells: new Map() };
        known.set(name, group);
        groups.push(group);
      }
      (ofSet[set] as Group[]).push(group);
    }
  }
  return ofSet;
}

/** A missing key matches no comparison. */
function takes(filter: Filter, message: Message, set: number): boolean {
  switch (filter.op) {
    case 'all':
      return true;
    case 'not':
      return !takes(filter.inner, message, set);
    case 'and':
      return filter.parts.every((part) => takes(part, message, set));
    case 'or':
      return filter.parts.some((part) => takes(part, message, set));
  }
  const value = message.keys.get(filter.key)?.[set] ?? 0;
  if (value === 0) return false;
  const text = message.text(value - 1);
  switch (filter.op) {
    case 'present':
      return true;
    case 'equal':
      return text === filter.value;
    case 'prefix':
      return text.startsWith(filter.prefix);
    case 'in':
      return filter.values.includes(text);
  }
}

function combine(aggregate: Aggregate, a: number, b: number): number {
  switch (aggregate) {
    case 'sum':
    case 'avg':
      return a + b;
    case 'max':
      return greater(a, b);
    case 'min':
      return -greater(-a, -b);
    case 'count':
      return a;
  }
}

/** NaN only if both are, and -0 below +0. */
function greater(a: number, b: number): number {
  return b > a || Number.isNaN(a) || (a === b && Object.is(a, -0)) ? b : a;
}

function pack(groups: readonly Group[]): Uint8Array {
  const count = groups.reduce((sum, { cells }) => sum + cells.size, 0);
  const bytes = new Uint8Array(RECORD * count);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { rule, cells } of groups) {
    for (const [window, { set, count, value }] of cells) {
      view.setUint32(at, rule.index, true);
      view.setUint32(at + 4, set, true);
      view.setUint32(at + 8, window, true);
      view.setUint32(at + 12, count, true);
      view.setFloat64(at + 16, rule.aggregate === 'count' ? count : value, true);
      at += RECORD;
    }
  }
  return bytes;
}
