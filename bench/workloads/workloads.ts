/**
 * The synthetic workloads: rules, and an endless seeded source of messages that they apply to.
 * A: 100 rules that each filter one service. B: 100 group-bys over one metric. C and `mixed`:
 * `mixed.ts`.
 */
import type { RuleInput } from '../../control/configuration/index.ts';
import { encodeMessage, type Point, type TagSet } from '../../control/payload/payload.ts';
import { popular, type Random, seededRandom, shuffled } from './random.ts';
import { makeSeries } from './series.ts';

export interface Workload {
  name: string;
  rules: RuleInput[];
  /** Those of one metric stand together. */
  series: TagSet[];
  /** Absent: 200 points over about 50 series, within one second. */
  messages?: MessageShape;
}

/** What a message looks like. */
export interface MessageShape {
  points: number;
  /** Series drawn for a message, of so many metrics, the first of which are the most popular. */
  sets: number;
  metrics: number;
  /** Milliseconds from its first to its last point, at most. */
  span: number;
}

export interface GeneratedMessage {
  payload: Uint8Array;
  /** The same points, for an oracle: series as indexes into the workload's. */
  points: { series: number; ts: number; value: number }[];
}

const SERIES = 10_000;
export const MESSAGES: MessageShape = { points: 200, sets: 50, metrics: 1, span: 1_000 };

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
 * A message of the workload, its times within the span before `now`. Half of the points come in
 * ascending order of time, as batches of a real agent do.
 */
export function generateMessage(workload: Workload, now: number, random: Random): GeneratedMessage {
  const shape = workload.messages ?? MESSAGES;
  const drawn = drawSets(workload, shape, random);
  const sets = drawn.map((series) => workload.series[series] as TagSet);
  const step = shape.span / shape.points;
  const points: Point[] = Array.from({ length: shape.points }, (_, i) => ({
    set: i < shape.sets ? i : random.below(shape.sets),
    ts: now - shape.span + (i % 2 === 0 ? Math.floor(step * i) : random.below(shape.span)),
    value: random.fullMantissa(),
  }));
  return {
    payload: encodeMessage(sets, points),
    points: points.map(({ set, ts, value }) => ({ series: drawn[set] ?? 0, ts, value })),
  };
}

/** Series of a message, as indexes: any of them, or those of a few metrics. */
function drawSets({ series }: Workload, { sets, metrics }: MessageShape, random: Random): number[] {
  const all = metricRanges(series);
  if (all.length === 1) return Array.from({ length: sets }, () => random.below(series.length));
  const chosen = new Set<Range>();
  while (chosen.size < Math.min(metrics, all.length)) {
    chosen.add(all[popular(all.length, random)] as Range);
  }
  const of = [...chosen];
  return Array.from({ length: sets }, (_, at) => {
    const { from, to } = of[at % of.length] as Range;
    return from + random.below(to - from);
  });
}

interface Range {
  from: number;
  to: number;
}

const ranges = new WeakMap<readonly TagSet[], Range[]>();

/** Where the series of each metric lie. */
function metricRanges(series: readonly TagSet[]): Range[] {
  const known = ranges.get(series);
  if (known !== undefined) return known;
  const found: Range[] = [];
  for (const [index, { metric }] of series.entries()) {
    const last = found.at(-1);
    if (last === undefined || series[last.from]?.metric !== metric) {
      found.push({ from: index, to: index + 1 });
    } else last.to = index + 1;
  }
  ranges.set(series, found);
  return found;
}

function combinations(keys: readonly string[], size: number): string[][] {
  if (size === 0) return [[]];
  return keys.flatMap((key, i) =>
    combinations(keys.slice(i + 1), size - 1).map((rest) => [key, ...rest]),
  );
}
