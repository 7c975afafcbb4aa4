/** The ways in which models are asked, as arms of the bandit. */
import type { PatchKind, WeightedArm } from '../arms.ts';
import { costOf } from './prices.ts';
import type { LlmSettings, Model } from './settings.ts';

/** How patch kinds share the weight of a single answer. */
const SHARES: Record<PatchKind, number> = { diff: 0.6, full: 0.3, crossover: 0.1 };

/** What a typical proposal takes, before any is paid: tokens. */
const SINGLE = { input: 0, cacheWrite: 10_000, cacheRead: 8_000, output: 10_000 };
const EXPLORATION = { input: 0, cacheWrite: 40_000, cacheRead: 200_000, output: 20_000 };

export function modelArms({ models, arms }: LlmSettings): WeightedArm[] {
  const total = models.reduce((sum, { weight }) => sum + weight, 0);
  return models
    .flatMap((model) => {
      const share = model.weight / total;
      return [...singleArms(model, arms.single * share), explorationArm(model, arms.rlm * share)];
    })
    .filter(({ weight }) => weight > 0);
}

function singleArms(model: Model, weight: number): WeightedArm[] {
  return (['diff', 'full', 'crossover'] as const).map((patch) => ({
    mutator: 'llm',
    kind: 'single',
    model: model.id,
    patch,
    weight: weight * SHARES[patch],
    usd: costOf(model, SINGLE) / 1e6,
    needsInspirations: patch === 'crossover',
  }));
}

function explorationArm(model: Model, weight: number): WeightedArm {
  const usd = costOf(model, EXPLORATION) / 1e6;
  return {
    ...{ mutator: 'llm', kind: 'rlm', model: model.id, patch: 'full' },
    ...{ weight, usd, needsInspirations: false },
  };
}
