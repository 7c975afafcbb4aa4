/**
 * Curves of the best ratio against evaluations, and the figures that are read off them.
 * Gains are logarithms of ratios: going from 1 to 2 counts as much as from 2 to 4.
 */
/** The best ratio after 0, 1, 2 … evaluations. */
export type Curve = readonly number[];

interface Point {
  evaluations: number;
  ratio: number;
}

/**
 * Between generations the curve stays where it was, and so it does behind the last. Where what was
 * taken for better was not, it falls.
 */
export function curveOf(steps: readonly Point[], evaluations: number): Curve {
  return Array.from({ length: evaluations + 1 }, (_, done) => {
    return steps.findLast((step) => step.evaluations <= done)?.ratio ?? 1;
  });
}

export function finalOf(curve: Curve): number {
  return curve.at(-1) ?? 1;
}

/** The share of the final gain over the baseline that is there after so many evaluations. */
export function shareAt(curve: Curve, evaluations: number): number {
  const gain = Math.log(finalOf(curve));
  if (!(gain > 0)) return 0;
  const there = Math.log(curve[Math.min(evaluations, curve.length - 1)] ?? 1);
  return Math.min(1, Math.max(0, there / gain));
}

/** Evaluations until so much of the final gain is there; the cost of getting there. */
export function costOf(curve: Curve, share: number): number {
  return curve.findIndex((_, evaluations) => shareAt(curve, evaluations) >= share);
}

/** How good a curve was on its way: the mean of its gains. */
export function meanGain(curve: Curve): number {
  return curve.reduce((sum, ratio) => sum + Math.log(ratio), 0) / curve.length;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  const middle = (sorted.length - 1) / 2;
  const [low = Number.NaN, high = low] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return (low + high) / 2;
}

export function geometricMean(numbers: readonly number[]): number {
  return Math.exp(numbers.reduce((sum, each) => sum + Math.log(each), 0) / numbers.length);
}

/** Of curves of one length: point by point. */
export function pointwise(
  curves: readonly Curve[],
  of: (numbers: readonly number[]) => number,
): Curve {
  return (curves[0] ?? []).map((_, index) => of(curves.map((curve) => curve[index] ?? 1)));
}

/** Ratios this close are the same within what measuring them again gives. */
const TIE = 0.02;

/**
 * Whether the first curves are ahead of the others: the median of what they reach is higher, or, as
 * high within 2 %, they were higher on the way.
 */
export function isAhead(ours: readonly Curve[], theirs: readonly Curve[]): boolean {
  const apart = Math.log(median(ours.map(finalOf)) / median(theirs.map(finalOf)));
  if (Math.abs(apart) > Math.log(1 + TIE)) return apart > 0;
  return median(ours.map(meanGain)) > median(theirs.map(meanGain));
}
