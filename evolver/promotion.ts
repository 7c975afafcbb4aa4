/** The promotion rule: who may ask the shadow service, and in which order. */

/**
 * A candidate is promoted only while the lower bound of its ratio over the incumbent exceeds this.
 */
export const PROMOTION_RATIO = 1.1;

export interface Measured {
  id: string;
  ratio: number;
  /** 95 % interval of the ratio over the incumbent. */
  ci95: readonly [number, number];
}

export function mayPromote(measured: Pick<Measured, 'ci95'>, threshold = PROMOTION_RATIO): boolean {
  return measured.ci95[0] > threshold;
}

/** Those that may be promoted, the surest first: by lower bound, then ratio, then id. */
export function promotionOrder<Row extends Measured>(
  rows: readonly Row[],
  threshold = PROMOTION_RATIO,
): Row[] {
  return rows
    .filter((row) => mayPromote(row, threshold))
    .sort(
      (a, b) =>
        b.ci95[0] - a.ci95[0] || b.ratio - a.ratio || (a.id < b.id ? -1 : Number(a.id > b.id)),
    );
}
