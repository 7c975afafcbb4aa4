/** The series that the synthetic workloads draw from: skew-free, seeded, 8 to 12 tags each. */
import type { TagSet } from '../../control/payload/payload.ts';
import type { Random } from './random.ts';

export interface TagKey {
  key: string;
  cardinality: number;
  /** How likely a series has the key, in [0, 1]. */
  presence: number;
}

/** Ten keys that group-bys use, then two that are only there to be carried along. */
export const TAG_KEYS: readonly TagKey[] = [
  { key: 'az', cardinality: 12, presence: 1 },
  { key: 'cluster', cardinality: 8, presence: 1 },
  { key: 'endpoint', cardinality: 50, presence: 0.9 },
  { key: 'env', cardinality: 3, presence: 1 },
  { key: 'host', cardinality: 100, presence: 1 },
  { key: 'pod', cardinality: 1000, presence: 1 },
  { key: 'region', cardinality: 4, presence: 1 },
  { key: 'service', cardinality: 100, presence: 1 },
  { key: 'shard', cardinality: 16, presence: 0.5 },
  { key: 'status', cardinality: 5, presence: 0.5 },
  { key: 'team', cardinality: 20, presence: 1 },
  { key: 'version', cardinality: 10, presence: 0.9 },
];

export const VALUE_PREFIX: Readonly<Record<string, string>> = { service: 'svc' };

/** `count` series of one metric; two may be alike, as two agents on one host are. */
export function makeSeries(metric: string, count: number, random: Random): TagSet[] {
  return Array.from({ length: count }, () => ({ metric, tags: drawTags(random) }));
}

function drawTags(random: Random): [string, string][] {
  return TAG_KEYS.filter(({ presence }) => presence === 1 || random.unit() < presence).map(
    ({ key, cardinality }) => [key, `${VALUE_PREFIX[key] ?? key}-${random.below(cardinality)}`],
  );
}
