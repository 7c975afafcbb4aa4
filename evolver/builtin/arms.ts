/** The ways in which the built-in search proposes, as arms of the bandit. */
import type { PatchKind, WeightedArm } from '../arms.ts';

export const KINDS = ['likely', 'seed', 'mutate', 'cross'] as const;
export type Kind = (typeof KINDS)[number];

const PATCH: Record<Kind, PatchKind> = {
  likely: 'full',
  seed: 'full',
  mutate: 'diff',
  cross: 'crossover',
};

/**
 * Small changes of a poor design teach little: a draw may go anywhere at once. `likely` and `seed`
 * are draws that follow what is known and what was measured, the first of them closely; changes and
 * crosses look around what is good already.
 */
export const WEIGHTS: Record<'weak' | 'strong', Record<Kind, number>> = {
  weak: { likely: 6, seed: 6, mutate: 1, cross: 3 },
  strong: { likely: 4, seed: 2, mutate: 2.5, cross: 2 },
};

export function builtinArms(weak: boolean): WeightedArm[] {
  const weights = WEIGHTS[weak ? 'weak' : 'strong'];
  return KINDS.map((kind) => ({
    mutator: 'builtin',
    kind,
    model: null,
    patch: PATCH[kind],
    weight: weights[kind],
    usd: 0,
    needsInspirations: kind === 'cross',
  }));
}
