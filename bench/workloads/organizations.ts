/**
 * Organizations as their dashboards make them: metrics with keys of their own, filters of a few
 * predicates, group-bys of a few keys, and everywhere some names that are far more popular than
 * others. A shape and two seeds give one organization: rules stay when only traffic is drawn anew.
 */
import type { RuleInput } from '../../control/configuration/index.ts';
import type { TagSet } from '../../control/payload/payload.ts';
import { popular, type Random, shuffled } from './random.ts';
import type { MessageShape, Workload } from './workloads.ts';

export interface OrganizationShape {
  metrics: number;
  /** Tag keys of the organization, and how many of them every metric has; others are its own. */
  keys: number;
  common: number;
  /** Keys of a metric that only it and a few others have, each in most of its series. */
  own: number;
  rules: number;
  /** At most so many predicates a filter; 0: every filter takes everything. */
  predicates: number;
  /** How often a predicate is of a kind. */
  kinds: Readonly<Record<PredicateKind, number>>;
  /** Shares of predicates under NOT and of connectives that are OR. */
  not: number;
  or: number;
  /** At most so many keys to group by. */
  groupBy: number;
  aggregates: readonly RuleInput['aggregate'][];
  windows: readonly string[];
  series: number;
  messages: MessageShape;
}

export type PredicateKind = 'equal' | 'in' | 'prefix' | 'present';

/** Keys, commonest first, by how many values they have. */
const CARDINALITIES = [
  3, 100, 12, 400, 20, 6, 1000, 30, 8, 50, 5, 200, 16, 80, 4, 10, 600, 25, 7, 60,
];
const PRESENCE = 0.75;

interface Metric {
  name: string;
  keys: Key[];
}

interface Key {
  name: string;
  cardinality: number;
  presence: number;
}

export function organization(
  name: string,
  shape: OrganizationShape,
  forRules: Random,
  forSeries: Random,
): Workload {
  const keys = Array.from({ length: shape.keys }, (_, index) => ({
    name: `key${String(index).padStart(2, '0')}`,
    cardinality: CARDINALITIES[index % CARDINALITIES.length] as number,
    presence: 1,
  }));
  const metrics = Array.from({ length: shape.metrics }, (_, index) => ({
    name: `metric.m${String(index).padStart(2, '0')}`,
    keys: keysOf(shape, keys, forRules),
  }));
  const digits = String(shape.rules).length;
  const rules = Array.from({ length: shape.rules }, (_, index) => ({
    id: `rule-${String(index).padStart(digits, '0')}`,
    ...drawRule(shape, metrics, forRules),
  }));
  const each = Math.max(1, Math.floor(shape.series / metrics.length));
  const series = metrics.flatMap((metric) =>
    Array.from({ length: each }, () => drawSeries(metric, forSeries)),
  );
  return { name, rules, series, messages: shape.messages };
}

function keysOf(shape: OrganizationShape, keys: readonly Key[], random: Random): Key[] {
  const own = shuffled(keys.slice(shape.common), random).slice(0, shape.own);
  return [...keys.slice(0, shape.common), ...own.map((key) => ({ ...key, presence: PRESENCE }))];
}

function drawSeries({ name, keys }: Metric, random: Random): TagSet {
  const carried = keys.filter(({ presence }) => presence === 1 || random.unit() < presence);
  const tags = carried.map((key) => [key.name, drawValue(key, random)] as [string, string]);
  return { metric: name, tags: tags.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

function drawValue({ name, cardinality }: Key, random: Random): string {
  return `${name}-v${popular(cardinality, random)}`;
}

function drawRule(
  shape: OrganizationShape,
  metrics: readonly Metric[],
  random: Random,
): Omit<RuleInput, 'id'> {
  const metric = metrics[popular(metrics.length, random)] as Metric;
  const groupBy = random.below(shape.groupBy + 1);
  return {
    metric: metric.name,
    filter: drawFilter(shape, metric, random),
    group_by: shuffled(metric.keys, random)
      .slice(0, groupBy)
      .map(({ name }) => name),
    aggregate: one(shape.aggregates, random),
    window: one(shape.windows, random),
  };
}

/** Clauses joined by AND, each one predicate or several joined by OR. */
function drawFilter(shape: OrganizationShape, metric: Metric, random: Random): string {
  if (shape.predicates === 0) return '*';
  const clauses: string[][] = [];
  const count = 1 + random.below(shape.predicates);
  const keys = shuffled(metric.keys, random);
  for (let index = 0; index < count; index++) {
    const predicate = drawPredicate(shape, keys[index % keys.length] as Key, random);
    const last = clauses.at(-1);
    if (last !== undefined && random.unit() < shape.or) last.push(predicate);
    else clauses.push([predicate]);
  }
  const texts = clauses.map((clause) => {
    const text = clause.join(' OR ');
    return clause.length > 1 && clauses.length > 1 ? `(${text})` : text;
  });
  return texts.join(' AND ');
}

function drawPredicate({ kinds, not }: OrganizationShape, key: Key, random: Random): string {
  const text = positive(pickKind(kinds, random), key, random);
  return random.unit() < not ? `NOT ${text}` : text;
}

function positive(kind: PredicateKind, key: Key, random: Random): string {
  switch (kind) {
    case 'equal':
      return `${key.name}:${drawValue(key, random)}`;
    case 'present':
      return `${key.name}:*`;
    case 'prefix':
      return `${key.name}:${key.name}-v${1 + random.below(9)}*`;
    case 'in': {
      const count = 2 + random.below(4);
      const values = new Set(Array.from({ length: count }, () => drawValue(key, random)));
      return `${key.name} IN (${[...values].join(', ')})`;
    }
  }
}

function pickKind(kinds: OrganizationShape['kinds'], random: Random): PredicateKind {
  const entries = Object.entries(kinds) as [PredicateKind, number][];
  let left = random.unit() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of entries) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'equal';
}

function one<Item>(items: readonly Item[], random: Random): Item {
  return items[random.below(items.length)] as Item;
}
