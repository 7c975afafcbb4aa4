/**
 * C, one company's dashboards, and `mixed`, many organizations of different shapes: made by the
 * same generator, so that neither has a structure of its own that a search could learn by heart.
 */
import type { RuleInput } from '../../control/configuration/index.ts';
import { type OrganizationShape, organization } from './organizations.ts';
import { type Random, seededRandom, shuffled } from './random.ts';
import type { Workload } from './workloads.ts';

/** 2,000 rules over 20 metrics and 30 keys; filters of 1 to 4 predicates. */
const DASHBOARDS: OrganizationShape = {
  metrics: 20,
  keys: 30,
  common: 7,
  own: 6,
  rules: 2_000,
  predicates: 4,
  kinds: { equal: 5, in: 2, prefix: 2, present: 1 },
  not: 0.12,
  or: 0.25,
  groupBy: 3,
  aggregates: ['sum', 'sum', 'avg', 'max', 'count', 'min'],
  windows: ['30s'],
  series: 10_000,
  messages: { points: 200, sets: 50, metrics: 3, span: 1_000 },
};

/** As in B, the rules do not depend on the seed unless asked for others. */
export function workloadC(seed: number, rules = 7): Workload {
  return organization('C', DASHBOARDS, seededRandom(rules), seededRandom(seed));
}

/** Organizations of different shapes; another seed gives others, in shape and in names. */
export function mixedWorkloads(seed: number, count = 50): Workload[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const shape = drawShape(random);
    const [rules, series] = [random.below(2 ** 32), random.below(2 ** 32)];
    return organization(`mixed-${index}`, shape, seededRandom(rules), seededRandom(series));
  });
}

const AGGREGATES: RuleInput['aggregate'][] = ['sum', 'avg', 'max', 'min', 'count'];
const WINDOWS = ['10s', '30s', '1m', '5m'];
const PREDICATES = [0, 1, 1, 2, 3, 4];
const GROUP_BY = [0, 1, 1, 2, 3];
const SPANS = [1_000, 1_000, 5_000, 10_000];

function drawShape(random: Random): OrganizationShape {
  const keys = 6 + random.below(14);
  const common = Math.min(keys, 4 + random.below(6));
  const predicates = one(PREDICATES, random);
  const weight = (share: number) => (random.unit() < share ? 1 + random.below(3) : 0);
  const metrics = 1 + random.below(8);
  return {
    metrics,
    keys,
    common,
    own: Math.min(keys - common, random.below(5)),
    rules: Math.round(20 * 50 ** random.unit()),
    predicates,
    kinds: { equal: 3, in: weight(0.5), prefix: weight(0.4), present: weight(0.3) },
    not: random.unit() < 0.5 ? 0.15 : 0,
    or: random.unit() < 0.5 ? 0.3 : 0,
    // Without filters and without groups, rules would differ in nothing but their metric.
    groupBy: predicates === 0 ? 3 : one(GROUP_BY, random),
    aggregates: shuffled(AGGREGATES, random).slice(0, 1 + random.below(AGGREGATES.length)),
    windows: shuffled(WINDOWS, random).slice(0, random.unit() < 0.6 ? 1 : 2),
    series: 10_000,
    messages: {
      points: 100 + random.below(200),
      sets: 15 + random.below(70),
      metrics: Math.min(metrics, 1 + random.below(3)),
      span: one(SPANS, random),
    },
  };
}

function one<Item>(items: readonly Item[], random: Random): Item {
  return items[random.below(items.length)] as Item;
}
