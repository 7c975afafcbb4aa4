/**
 * The synthetic workloads: rules, and an endless seeded source of messages that they apply to.
 * A: 100 rules that each filter one service. B: 100 group-bys over one metric.
 */
import type { RuleInput } from '../../control/configuration/index.ts';
import { encodeMessage, type Point, type TagSet } from './payload.ts';
import { type Random, seededRandom, shuffled } from './random.ts';
import { makeSeries } from './series.ts';

export interface Workload {
  name: string;
  rules: RuleInput[];
  series: TagSet[];
}

export interface GeneratedMessage {
  payload: Uint8Array;
  /** The same points, for an oracle: series as indexes into the workload's. */
  points: { series: number; ts: number; value: number }[];
}

const SERIES = 10_000;
const SETS_PER_MESSAGE = 50;
const POINTS_PER_MESSAGE = 200;

/** Workload A of the article: `service:svc-i`, SUM over 30 s, for 100 services. */
export function workloadA(seed: number): Workload {
  const rules = Array.from({ length: 100 }, (_, i) => ({
    id: `service-${String(i).padStart(3, '0')}`,
    metric: 'cpu.usage',
    filter: `service:svc-${i}`,
    group_by: [],
    aggregate: 'sum' as const,
    window: '30s',
  }));
  return { name: 'A', rules, series: makeSeries('cpu.usage', SERIES, seededRandom(seed)) };
}

const GROUP_KEYS = [
  'az',
  'cluster',
  'endpoint',
  'env',
  'host',
  'pod',
  'region',
  'service',
  'team',
  'version',
];

/** Workload B of the article: 10 single keys, 45 pairs and 45 of the triples; SUM, MAX and AVG. */
export function workloadB(seed: number): Workload {
  // The rules do not depend on the seed: two runs of B aggregate the same way.
  const triples = shuffled(combinations(GROUP_KEYS, 3), seededRandom(7)).slice(0, 45);
  const groups = [...combinations(GROUP_KEYS, 1), ...combinations(GROUP_KEYS, 2), ...triples];
  const rules = groups.map((group_by, i) => ({
    id: `by-${group_by.join('-')}`,
    metric: 'request.latency',
    filter: '*',
    group_by,
    aggregate: (['sum', 'max', 'avg'] as const)[i % 3] as 'sum' | 'max' | 'avg',
    window: '30s',
  }));
  return { name: 'B', rules, series: makeSeries('request.latency', SERIES, seededRandom(seed)) };
}

/**
 * A message of 200 points over about 50 series, their times within the second before `now`.
 * Half of the points come in ascending order of time, as batches of a real agent do.
 */
export function generateMessage(workload: Workload, now: number, random: Random): GeneratedMessage {
  const drawn = Array.from({ length: SETS_PER_MESSAGE }, () =>
    random.below(workload.series.length),
  );
  const sets = drawn.map((series) => workload.series[series] as TagSet);
  const points: Point[] = Array.from({ length: POINTS_PER_MESSAGE }, (_, i) => ({
    set: i < SETS_PER_MESSAGE ? i : random.below(SETS_PER_MESSAGE),
    ts: now - 1000 + (i % 2 === 0 ? 5 * i : random.below(1000)),
    value: random.fullMantissa(),
  }));
  return {
    payload: encodeMessage(sets, points),
    points: points.map(({ set, ts, value }) => ({ series: drawn[set] ?? 0, ts, value })),
  };
}

function combinations(keys: readonly string[], size: number): string[][] {
  if (size === 0) return [[]];
  return keys.flatMap((key, i) =>
    combinations(keys.slice(i + 1), size - 1).map((rest) => [key, ...rest]),
  );
}
