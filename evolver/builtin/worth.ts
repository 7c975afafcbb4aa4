/**
 * What each choice of a design seems to be worth, from what was measured: an additive model of
 * gains, fitted by backfitting with shrinkage (T. Hastie and R. Tibshirani, "Generalized Additive
 * Models", Statistical Science 1:3, 1986). A design makes a dozen choices at once, and what one of
 * them adds is a few percent, no more than a measurement is uncertain by: only all measurements
 * together tell the choices apart.
 */
import type { Genome } from './genome.ts';
import type { Operator } from './operator.ts';

export interface Weighed {
  genome: Genome;
  /** Logarithm of the ratio to the baseline. */
  gain: number;
}

/** What a choice adds to the gain, beside all others; 0 where nothing is known of it. */
export type Worth = (operator: Operator, value: string) => number;

/** Enough where choices occur apart from each other; what always comes together shares a gain. */
const SWEEPS = 12;
/** As many measurements say that a choice makes no difference. */
const SHRINKAGE = 1;
/**
 * This much behind the best (a logarithm), a measurement counts half: the model need not hold for
 * designs that are of no interest.
 */
const NEAR = 0.3;

export function additiveWorth(rows: readonly Weighed[], operators: readonly Operator[]): Worth {
  const best = Math.max(...rows.map(({ gain }) => gain));
  const weights = rows.map(({ gain }) => 1 / (1 + ((best - gain) / NEAR) ** 2));
  const factors = operators.map(({ name, matters }) => ({
    // A choice that makes no difference in a design has no part in what it gained.
    chosen: rows.map(({ genome }) => (matters(genome) ? genome[name] : undefined)),
    effects: new Map<string, number>(),
  }));
  let residuals = rows.map(({ gain }) => gain);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const level = weightedMean(residuals, weights);
    residuals = residuals.map((residual) => residual - level);
    for (const factor of factors) residuals = refit(factor, residuals, weights);
  }
  return (operator, value) => factors[operators.indexOf(operator)]?.effects.get(value) ?? 0;
}

interface Factor {
  /** Row by row. */
  chosen: readonly (string | undefined)[];
  effects: Map<string, number>;
}

/** Explains anew what the other factors leave; what is left then. */
function refit(
  { chosen, effects }: Factor,
  residuals: readonly number[],
  weights: readonly number[],
): number[] {
  const effectOf = (row: number) => effects.get(chosen[row] ?? '') ?? 0;
  const open = residuals.map((residual, row) => residual + effectOf(row));
  for (const value of new Set(chosen)) {
    if (value === undefined) continue;
    const own = weights.map((weight, row) => (chosen[row] === value ? weight : 0));
    const count = own.reduce((sum, weight) => sum + weight, 0);
    effects.set(value, (weightedMean(open, own) * count) / (count + SHRINKAGE));
  }
  return open.map((each, row) => each - effectOf(row));
}

/** Some weight is above 0. */
function weightedMean(numbers: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return numbers.reduce((sum, each, index) => sum + each * (weights[index] ?? 0), 0) / total;
}
