/**
 * The bandit over arms (model × operator): which way of proposing gets the next slot. An upper
 * confidence bound with priors: worth of an arm so far, plus what its prior and its few trials
 * promise, less where it is dear. Pure: outcomes, settings and a random state decide.
 */
import { armId, type WeightedArm } from '../arms.ts';
import { type RandomState, random } from '../random.ts';
import type { SearchSettings } from './settings.ts';

/** One trial of an arm: a candidate, or a slot that came to nothing. */
export interface Trial {
  arm: string;
  /** Ratio to the baseline; null = it never was timed, or was wrong. */
  ratio: number | null;
  /** Of the parent; null = the first form, before it was timed. */
  parentRatio: number | null;
  usd: number;
  /** Generations ago. */
  age: number;
}

/** Gain over the better of baseline and parent; only what is better than both is worth anything. */
export function reward({ ratio, parentRatio }: Pick<Trial, 'ratio' | 'parentRatio'>): number {
  if (ratio === null || !(ratio > 0)) return 0;
  return Math.max(0, Math.log(ratio) - Math.log(Math.max(1, parentRatio ?? 1)));
}

export interface Standing {
  arm: WeightedArm;
  id: string;
  /** Trials, fading with age. */
  trials: number;
  /** Mean reward, 0 to 1: the best trial of all arms counts 1. */
  worth: number;
  /** Dollars a proposal: measured, or as expected. */
  usd: number;
}

type BanditSettings = Pick<SearchSettings, 'exploration' | 'epsilon' | 'decay' | 'cost_weight'>;

export function standings(
  arms: readonly WeightedArm[],
  trials: readonly Trial[],
  { decay }: Pick<SearchSettings, 'decay'>,
): Standing[] {
  const most = Math.max(0, ...trials.map(reward));
  return arms.map((arm) => {
    const id = armId(arm);
    const own = trials.filter((trial) => trial.arm === id);
    const weights = own.map(({ age }) => decay ** age);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const mean = (of: (trial: Trial) => number) =>
      own.reduce((sum, trial, index) => sum + of(trial) * (weights[index] ?? 0), 0) / total;
    const worth = total === 0 || most === 0 ? 0 : mean(reward) / most;
    return { arm, id, trials: total, worth, usd: total === 0 ? arm.usd : mean(({ usd }) => usd) };
  });
}

export interface Chosen {
  arm: WeightedArm;
  state: RandomState;
}

/** `pending`: arms of this batch, taken and not measured yet; they count as trials. */
export function chooseArm(
  arms: readonly WeightedArm[],
  trials: readonly Trial[],
  pending: readonly string[],
  settings: BanditSettings,
  state: RandomState,
): Chosen {
  const [first] = arms;
  if (first === undefined) throw new RangeError('no arm to choose from');
  const source = random(state);
  const free = source.unit() < settings.epsilon;
  // Drawn in any case: the same number of draws a slot keeps states comparable.
  const drawn = arms[source.weighted(arms.map(({ weight }) => weight))] ?? first;
  if (free) return { arm: drawn, state: source.state() };
  const bounds = upperBounds(standings(arms, trials, settings), pending, settings);
  const best = bounds.indexOf(Math.max(...bounds));
  return { arm: arms[best] ?? first, state: source.state() };
}

function upperBounds(
  all: readonly Standing[],
  pending: readonly string[],
  { exploration, cost_weight }: BanditSettings,
): number[] {
  const weight = all.reduce((sum, { arm }) => sum + arm.weight, 0);
  const waiting = (id: string) => pending.filter((each) => each === id).length;
  const trials = all.reduce((sum, each) => sum + each.trials, 0) + pending.length;
  const paid = all.map(({ usd }) => usd).filter((usd) => usd > 0);
  const typical = paid.reduce((sum, usd) => sum + usd, 0) / Math.max(1, paid.length);
  return all.map(({ arm, id, trials: own, worth, usd }) => {
    const prior = arm.weight / weight;
    const hope = (exploration * prior * Math.sqrt(1 + trials)) / (1 + own + waiting(id));
    const dear = typical === 0 ? 0 : (cost_weight * usd) / typical;
    return (worth + hope) / (1 + dear);
  });
}
