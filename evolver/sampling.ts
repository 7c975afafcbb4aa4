/**
 * Parent sampling: pure functions of ranked rows and a stored random state. The same rows and state
 * give the same choice, so a generation that is run again starts from the same parent.
 */
import { type RandomState, random } from './random.ts';

/** 1 gives the best of 40 about 23 % of the draws; 0 is uniform; larger is greedier. */
export const POWER_LAW_ALPHA = 1;

/** Chances of ranks 1..count: p_i = i^-α / Σ j^-α. */
export function powerLaw(count: number, alpha = POWER_LAW_ALPHA): number[] {
  if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`count ${count}`);
  if (!Number.isFinite(alpha) || alpha < 0) throw new RangeError(`alpha ${alpha}`);
  const weights = Array.from({ length: count }, (_, index) => (index + 1) ** -alpha);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

export interface Sampled<Row> {
  row: Row;
  rank: number;
  state: RandomState;
}

/**
 * One of `ranked` (best first), or null when there is none; `state` is where the next draw goes on.
 */
export function sampleParent<Row>(
  ranked: readonly Row[],
  state: RandomState,
  alpha = POWER_LAW_ALPHA,
): Sampled<Row> | null {
  if (ranked.length === 0) return null;
  const source = random(state);
  const rank = source.weighted(powerLaw(ranked.length, alpha));
  return { row: ranked[rank] as Row, rank, state: source.state() };
}
