/** The rules of a configuration as tables without repetition: what `spec.rs` holds. */
import type { Aggregate, Filter, Rule } from '../../control/configuration/index.ts';

export type Test =
  | { kind: 'present'; key: number }
  | { kind: 'values'; key: number; values: number[] }
  | { kind: 'prefix'; key: number; prefix: string };

export interface RuleRow {
  metric: number;
  filter: number;
  group: number;
  kind: Aggregate;
  window: number;
}

/**
 * What the rules of one metric ask of one key: their tests, that of them which every value passes,
 * and those that ask for a prefix.
 */
export interface KeyUse {
  key: number;
  tests: number[];
  present: number | null;
  loose: number[];
}

export interface Tables {
  /** Each list sorted by bytes, without repetition. */
  metrics: string[];
  keys: string[];
  /** Literals of comparisons and lists, whatever their key. */
  values: string[];
  /** Distinct leaves of filters. */
  tests: Test[];
  /** Distinct filters, in postfix code. */
  filters: number[][];
  /** Most operands that a filter's evaluation holds at a time. */
  stack: number;
  /** Distinct lists of group-by keys, as sorted indexes of keys. */
  groups: number[][];
  /** Distinct window sizes in milliseconds, ascending. */
  windows: number[];
  rules: RuleRow[];
  /** By metric: its rules, and the keys that they look at. */
  metricRules: number[][];
  metricKeys: KeyUse[][];
  /** By literal: key and test of each test that it passes. */
  literalTests: [number, number][][];
}

/** Postfix code: an operation in the upper bits, its argument below. */
export const OPERATION = {
  test: 0,
  true: 1 << 24,
  not: 2 << 24,
  and: 3 << 24,
  or: 4 << 24,
} as const;
export const ARGUMENT_MASK = 0xffffff;

export function tabulate(rules: readonly Rule[]): Tables {
  const leaves = rules.flatMap((rule) => leavesOf(rule.filter));
  const keys = sortedBytes([
    ...leaves.map((leaf) => leaf.key),
    ...rules.flatMap((rule) => rule.groupBy),
  ]);
  const metrics = sortedBytes(rules.map((rule) => rule.metric));
  const values = sortedBytes(leaves.flatMap(literalsOf));
  const windows = [...new Set(rules.map((rule) => rule.windowMs))].sort((a, b) => a - b);
  const keyOf = indexOf(keys);
  const literalOf = indexOf(values);
  const metricOf = indexOf(metrics);
  const tests = new Distinct<Test>();
  const filters = new Distinct<number[]>();
  const groups = new Distinct<number[]>();
  const rows = rules.map((rule) => ({
    metric: metricOf(rule.metric),
    filter: filters.add(postfix(rule.filter, (leaf) => tests.add(toTest(leaf, keyOf, literalOf)))),
    group: groups.add(rule.groupBy.map(keyOf).sort((a, b) => a - b)),
    kind: rule.aggregate,
    window: windows.indexOf(rule.windowMs),
  }));
  const stack = Math.max(...filters.items.map(stackDepth));
  const base = {
    metrics,
    keys,
    values,
    tests: tests.items,
    filters: filters.items,
    stack,
    groups: groups.items,
    windows,
    rules: rows,
  };
  return { ...base, ...indexes(base) };
}

type Indexes = 'metricRules' | 'metricKeys' | 'literalTests';

function indexes(base: Omit<Tables, Indexes>): Pick<Tables, Indexes> {
  const metricRules: number[][] = base.metrics.map(() => []);
  const uses = base.metrics.map(() => new Map<number, Set<number>>());
  for (const [index, rule] of base.rules.entries()) {
    metricRules[rule.metric]?.push(index);
    const keys = uses[rule.metric] ?? new Map<number, Set<number>>();
    for (const key of base.groups[rule.group] ?? []) keys.set(key, keys.get(key) ?? new Set());
    for (const index of testsOf(base.filters[rule.filter] ?? [])) {
      const key = base.tests[index]?.key ?? 0;
      keys.set(key, (keys.get(key) ?? new Set()).add(index));
    }
  }
  const metricKeys = uses.map((keys) =>
    [...keys].sort(([a], [b]) => a - b).map(([key, tests]) => keyUse(base, key, [...tests])),
  );
  return { metricRules, metricKeys, literalTests: literalTests(base) };
}

function testsOf(code: readonly number[]): number[] {
  return code.filter((word) => (word & ~ARGUMENT_MASK) === OPERATION.test);
}

function keyUse(base: Pick<Tables, 'tests'>, key: number, unsorted: number[]): KeyUse {
  const tests = unsorted.sort((a, b) => a - b);
  const loose = tests.filter((test) => base.tests[test]?.kind === 'prefix');
  const present = tests.find((test) => base.tests[test]?.kind === 'present') ?? null;
  return { key, tests, present, loose };
}

function literalTests(base: Pick<Tables, 'values' | 'tests'>): [number, number][][] {
  const found: [number, number][][] = base.values.map(() => []);
  for (const [index, test] of base.tests.entries()) {
    for (const value of test.kind === 'values' ? test.values : []) {
      found[value]?.push([test.key, index]);
    }
  }
  return found;
}

type Leaf = Extract<Filter, { key: string }>;

function leavesOf(filter: Filter): Leaf[] {
  switch (filter.op) {
    case 'all':
      return [];
    case 'not':
      return leavesOf(filter.filter);
    case 'and':
    case 'or':
      return filter.filters.flatMap(leavesOf);
    default:
      return [filter];
  }
}

function literalsOf(leaf: Leaf): string[] {
  if (leaf.op === 'eq') return [leaf.value];
  return leaf.op === 'in' ? leaf.values : [];
}

type IndexOf = (text: string) => number;

function toTest(leaf: Leaf, keyOf: IndexOf, literalOf: IndexOf): Test {
  const key = keyOf(leaf.key);
  if (leaf.op === 'present') return { kind: 'present', key };
  if (leaf.op === 'prefix') return { kind: 'prefix', key, prefix: leaf.prefix };
  const values = literalsOf(leaf).map(literalOf);
  return { kind: 'values', key, values: values.sort((a, b) => a - b) };
}

function postfix(filter: Filter, test: (leaf: Leaf) => number): number[] {
  switch (filter.op) {
    case 'all':
      return [OPERATION.true];
    case 'not':
      return [...postfix(filter.filter, test), OPERATION.not];
    case 'and':
    case 'or': {
      const operands = filter.filters.flatMap((each) => postfix(each, test));
      return [...operands, OPERATION[filter.op] | filter.filters.length];
    }
    default:
      return [OPERATION.test | test(filter)];
  }
}

function stackDepth(code: readonly number[]): number {
  let depth = 0;
  let most = 1;
  for (const word of code) {
    const operation = word & ~ARGUMENT_MASK;
    if (operation === OPERATION.test || operation === OPERATION.true) depth += 1;
    if (operation === OPERATION.and || operation === OPERATION.or) {
      depth -= (word & ARGUMENT_MASK) - 1;
    }
    most = Math.max(most, depth);
  }
  return most;
}

/** Keeps what differs, in the order of first sight. */
class Distinct<Item> {
  readonly items: Item[] = [];
  readonly #places = new Map<string, number>();

  add(item: Item): number {
    const text = JSON.stringify(item);
    const place = this.#places.get(text) ?? this.items.length;
    if (place === this.items.length) {
      this.#places.set(text, place);
      this.items.push(item);
    }
    return place;
  }
}

function sortedBytes(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function indexOf(texts: readonly string[]): IndexOf {
  const places = new Map(texts.map((text, index) => [text, index]));
  return (text) => places.get(text) ?? -1;
}
