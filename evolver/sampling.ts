/**
 * Parent sampling: pure functions of ranked rows, settings and a stored random state. The same rows
 * and state give the same choice, so a generation that is run again starts from the same parent.
 */
import { type RandomState, random } from './random.ts';
import type { SearchSettings } from './search/settings.ts';

/** Chances of ranks 1..count: p_i = i^-α / Σ j^-α. */
export function powerLaw(count: number, alpha: number): number[] {
  if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`count ${count}`);
  if (!Number.isFinite(alpha) || alpha < 0) throw new RangeError(`alpha ${alpha}`);
  return normalised(Array.from({ length: count }, (_, index) => (index + 1) ** -alpha));
}

/** What a parent is drawn by. */
export interface Scored {
  /** Ratio to the baseline, above 0. */
  score: number;
  children: number;
}

/** Spread of scores below which they count as equal. */
const LEAST_SPREAD = 1e-6;

/**
 * w = σ(λ (F − median) / MAD) / (1 + children): clear winners are drawn often, and the less the
 * more they were drawn before.
 */
export function weightedByScore(rows: readonly Scored[], lambda: number): number[] {
  const middle = median(rows.map(({ score }) => score));
  const spread = median(rows.map(({ score }) => Math.abs(score - middle)));
  const weights = rows.map(({ score, children }) => {
    const apart = (lambda * (score - middle)) / Math.max(spread, LEAST_SPREAD);
    return 1 / (1 + Math.exp(-apart)) / (1 + children);
  });
  // All weights may vanish where the only good ones have thousands of children.
  return weights.some((weight) => weight > 0) ? normalised(weights) : powerLaw(rows.length, 0);
}

/** exp(s / T) over scores brought to 0..1; the temperature falls over a cycle of generations. */
export function softmax(rows: readonly Scored[], temperature: number): number[] {
  if (!(temperature > 0)) throw new RangeError(`temperature ${temperature}`);
  const scores = rows.map(({ score }) => score);
  const low = Math.min(...scores);
  const span = Math.max(...scores) - low;
  const weights = scores.map((score) =>
    span === 0 ? 1 : Math.exp((score - low) / span / temperature),
  );
  return normalised(weights);
}

export function temperatureOf(
  { hot, cold, cycle }: Pick<SearchSettings, 'hot' | 'cold' | 'cycle'>,
  generation: number,
): number {
  const along = cycle <= 1 ? 1 : (generation % cycle) / (cycle - 1);
  return hot * (cold / hot) ** along;
}

/** Chances of `rows`, best first, by the method that the settings name. */
export function parentWeights(
  rows: readonly Scored[],
  settings: SearchSettings,
  generation: number,
): number[] {
  switch (settings.sampling) {
    case 'power':
      return powerLaw(rows.length, settings.alpha);
    case 'weighted':
      return weightedByScore(rows, settings.lambda);
    case 'softmax':
      return softmax(rows, temperatureOf(settings, generation));
  }
}

export interface Sampled<Row> {
  row: Row;
  rank: number;
  state: RandomState;
}

/** One of `rows`, or null when there is none; `state` is where the next draw goes on. */
export function sampleParent<Row>(
  rows: readonly Row[],
  weights: (rows: readonly Row[]) => readonly number[],
  state: RandomState,
): Sampled<Row> | null {
  if (rows.length === 0) return null;
  const source = random(state);
  const rank = source.weighted(weights(rows));
  return { row: rows[rank] as Row, rank, state: source.state() };
}

function normalised(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
