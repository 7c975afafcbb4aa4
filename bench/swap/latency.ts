/** The aggregator's histogram of how long messages wait, as text and as quantiles. */

/** How many messages took at most so long; ascending, the last bound is infinite. */
export interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

const BUCKET = /^ratchet_latency_seconds_bucket\{le="([^"]+)"\} (\d+)$/;

/** Reads the buckets of an exposition; they are cumulative. */
export function readHistogram(exposition: string): Histogram {
  const bounds: number[] = [];
  const counts: number[] = [];
  for (const line of exposition.split('\n')) {
    const found = BUCKET.exec(line);
    if (found === null) continue;
    bounds.push(found[1] === '+Inf' ? Number.POSITIVE_INFINITY : Number(found[1]));
    counts.push(Number(found[2]));
  }
  if (bounds.length === 0) throw new Error('no ratchet_latency_seconds in the exposition');
  return { bounds, counts };
}

/** What was added between two readings. */
export function since(before: Histogram, after: Histogram): Histogram {
  return { ...after, counts: after.counts.map((count, i) => count - (before.counts[i] ?? 0)) };
}

export function sum(parts: readonly Histogram[]): Histogram {
  const [first] = parts;
  if (first === undefined) throw new Error('a sum of no histograms');
  const total = (i: number) => parts.reduce((all, { counts }) => all + (counts[i] ?? 0), 0);
  return { ...first, counts: first.counts.map((_, i) => total(i)) };
}

export function total({ counts }: Histogram): number {
  return counts.at(-1) ?? 0;
}

/**
 * Milliseconds that a share of the messages did not exceed, interpolated within its bucket; of
 * those beyond the last finite bound it is known only that they took longer, so that is answered.
 */
export function quantileMs(histogram: Histogram, share: number): number {
  const { bounds, counts } = histogram;
  const wanted = share * total(histogram);
  const at = counts.findIndex((count) => count >= wanted);
  const upper = bounds[at] ?? Number.POSITIVE_INFINITY;
  const lower = bounds[at - 1] ?? 0;
  if (!Number.isFinite(upper)) return 1_000 * lower;
  const below = counts[at - 1] ?? 0;
  const within = (counts[at] ?? 0) - below;
  const part = within === 0 ? 1 : (wanted - below) / within;
  return 1_000 * (lower + part * (upper - lower));
}
