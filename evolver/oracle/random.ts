/**
 * Random configurations and messages for them, from a seed: literals, near misses, absent tags, odd
 * values.
 */

import {
  type Configuration,
  compileConfiguration,
  type RuleInput,
} from '../../control/configuration/index.ts';
import { encodeMessage, type Point, type TagSet } from '../../control/payload/payload.ts';
import type { Random } from '../random.ts';

const METRICS = ['cpu.usage', 'latency', 'queue.depth', 'requests', 'ünits'];
const KEYS = ['az', 'env', 'host', 'path', 'region', 'service', 'team', 'version'];
const VALUES = [
  'a',
  'ab',
  'abc',
  'b',
  'dev',
  'prod',
  'svc-1',
  'svc-10',
  'svc-100',
  'checkout-service-2',
];
const AGGREGATES = ['sum', 'max', 'min', 'count', 'avg'] as const;
const WINDOWS = ['1s', '10s', '30s', '5m'];

/** Shapes that operators have preconditions on, and one of everything. */
export type Shape = 'exclusive' | 'dispatch' | 'groups' | 'mixed' | 'single' | 'windows';

export function randomConfiguration(shape: Shape, random: Random): Configuration {
  const count = { exclusive: 14, dispatch: 12, groups: 30, mixed: 40, single: 1, windows: 15 }[
    shape
  ];
  const rules = Array.from({ length: count }, (_, index) => randomRule(shape, index, random));
  return compileConfiguration('oracle', rules);
}

function randomRule(shape: Shape, index: number, random: Random): RuleInput {
  const rule = {
    id: `rule-${index}`,
    metric: one(random, shape === 'groups' ? METRICS.slice(0, 1) : METRICS),
    filter: '*',
    group_by: [] as string[],
    aggregate: one(random, AGGREGATES),
    window: shape === 'windows' ? one(random, WINDOWS) : '30s',
  };
  if (shape === 'exclusive') {
    const metric = METRICS[Math.floor(index / VALUES.length)] as string;
    return { ...rule, metric, filter: `service:${VALUES[index % VALUES.length]}` };
  }
  if (shape === 'dispatch') return { ...rule, filter: `service:${one(random, VALUES)}` };
  rule.group_by = some(random, KEYS, random.below(shape === 'groups' ? 5 : 4));
  if (shape !== 'groups') rule.filter = randomFilter(random, 0);
  return rule;
}

function randomFilter(random: Random, depth: number): string {
  const kind = depth > 2 ? random.below(5) : random.below(9);
  const key = one(random, KEYS);
  if (kind === 0) return '*';
  if (kind === 1) return `${key}:*`;
  if (kind <= 3) return `${key}:${one(random, VALUES)}`;
  if (kind === 4) return `${key}:${one(random, ['a', 's', 'svc-', 'svc-10'])}*`;
  if (kind === 5) return `${key} IN (${some(random, VALUES, 1 + random.below(4)).join(', ')})`;
  if (kind === 6) return `NOT (${randomFilter(random, depth + 1)})`;
  const operands = Array.from({ length: 2 + random.below(2) }, () =>
    randomFilter(random, depth + 1),
  );
  return operands.map((each) => `(${each})`).join(kind === 7 ? ' AND ' : ' OR ');
}

/** Messages of every size that makes a difference, from one tag-set to more than any mask holds. */
export function randomMessages(random: Random, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => randomMessage(random));
}

function randomMessage(random: Random): Uint8Array {
  const sizes = [1, 2, 20, 50, 63, 64, 65, 128, 129, 300];
  const metrics = some(random, [...METRICS, 'unheard.of'], 1 + random.below(3));
  const keys = some(random, [...KEYS, 'extra'], random.below(KEYS.length + 1)).sort();
  const spread = 1 + random.below(VALUES.length);
  const sets = Array.from({ length: one(random, sizes) }, () =>
    randomSet(random, metrics, keys, spread),
  );
  const span = one(random, [1, 1_000, 1_000, 40_000, 400_000, 3_600_000]);
  const start = 1_700_000_000_000 + random.below(60_000);
  const points: Point[] = Array.from({ length: 1 + random.below(300) }, () => ({
    // A few sets take most points; some take none.
    set: Math.floor(sets.length * random.unit() * random.unit()),
    ts: start + random.below(span),
    value: randomValue(random),
  }));
  return encodeMessage(sets, points);
}

function randomSet(random: Random, metrics: string[], keys: string[], spread: number): TagSet {
  const tags = keys
    .filter(() => random.unit() < 0.85)
    .map((key) => [key, one(random, VALUES.slice(0, spread))] as const);
  return { metric: one(random, metrics), tags };
}

function randomValue(random: Random): number {
  const odd = [
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    5e-324,
    1e308,
  ];
  if (random.unit() < 0.05) return one(random, odd);
  return (random.unit() - 0.3) * 10 ** random.below(9);
}

function one<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)] as Item;
}

function some<Item>(random: Random, items: readonly Item[], count: number): Item[] {
  const left = [...items];
  const chosen: Item[] = [];
  while (chosen.length < count && left.length > 0) {
    chosen.push(...left.splice(random.below(left.length), 1));
  }
  return chosen;
}
