/** The ways in which the built-in search proposes, as arms of the bandit. */
import type { PatchKind, WeightedArm } from '../arms.ts';

export type Kind = 'seed' | 'mutate' | 'cross';

const PATCH: Record<Kind, PatchKind> = { seed: 'full', mutate: 'diff', cross: 'crossover' };

/** Small changes of a poor design teach little: a draw may go anywhere at once. */
export const WEIGHTS: Record<'weak' | 'strong', Record<Kind, number>> = {
  weak: { seed: 9, mutate: 1, cross: 5 },
  strong: { seed: 2, mutate: 5, cross: 3 },
};

export function builtinArms(weak: boolean): WeightedArm[] {
  const weights = WEIGHTS[weak ? 'weak' : 'strong'];
  return (['seed', 'mutate', 'cross'] as const).map((kind) => ({
    mutator: 'builtin',
    kind,
    model: null,
    patch: PATCH[kind],
    weight: weights[kind],
    usd: 0,
    needsInspirations: kind === 'cross',
  }));
}
