/** What the runs come to: the metrics of the last line, and a table for people. */
import type { Metrics } from '../command/index.ts';
import { ARMS, type Arm } from './arms.ts';
import { budgetOf, type CaseName, CONTROLLED, TOLD } from './cases.ts';
import {
  type Curve,
  costOf,
  curveOf,
  finalOf,
  geometricMean,
  isAhead,
  median,
  pointwise,
  shareAt,
} from './curves.ts';
import type { Panel } from './plot.ts';
import type { Finished, Step } from './run.ts';

/** One search of one organization. */
export interface Run extends Finished {
  case: CaseName;
  organization: string;
  arm: Arm;
  seed: number;
  /** Of a fleet module: its ratio to the baseline on each of some workloads. */
  worth?: Record<string, number>;
}

export interface Pace {
  candidates: number;
  ms: number;
}

export interface Evidence {
  evaluations: number;
  runs: readonly Run[];
  pace: Pace;
}

export const HALF = 0.5;
const SHARE = 0.8;
const BUILTIN: Readonly<Partial<Record<CaseName, string>>> = {
  ...{ a: 'builtin_a', b: 'builtin_b', c: 'builtin_c', mixed: 'builtin_mixed' },
};

/** One curve a seed; of a case with several organizations, their geometric mean. */
export function curvesOf({ runs, evaluations }: Evidence, name: CaseName, arm: Arm): Curve[] {
  const own = runs.filter((run) => run.case === name && run.arm === arm);
  const seeds = [...new Set(own.map(({ seed }) => seed))].sort((a, b) => a - b);
  return seeds.map((seed) => {
    const of = own.filter((run) => run.seed === seed);
    return pointwise(
      of.map(({ steps }) => curveOf(steps.map(pointOf), budgetOf(name, evaluations))),
      geometricMean,
    );
  });
}

function pointOf({ evaluations, ratio, told }: Step) {
  return { evaluations, ratio: told ?? ratio };
}

/** Metrics of cases that were left out are left out. */
export function metricsOf(evidence: Evidence): Metrics {
  const metrics: Record<string, number> = {};
  const shares: number[] = [];
  const half = Math.floor(evidence.evaluations * HALF);
  for (const [name, metric] of Object.entries(BUILTIN)) {
    const curves = curvesOf(evidence, name as CaseName, 'search');
    if (curves.length === 0) continue;
    metrics[metric] = rounded(median(curves.map(finalOf)));
    shares.push(median(curves.map((curve) => shareAt(curve, half))));
  }
  if (shares.length > 0) metrics.share_at_20 = rounded(Math.min(...shares));
  const against = CONTROLLED.map((name) => aheadOfBoth(evidence, name)).filter((each) => {
    return each !== null;
  });
  if (against.length > 0) metrics.cases_ahead_of_both_arms = against.filter(Boolean).length;
  for (const name of TOLD) {
    const worth = evidence.runs.flatMap((run) => run.worth?.[name] ?? []);
    if (worth.length > 0) metrics[`fleet_${name}`] = rounded(median(worth));
  }
  const { candidates, ms } = evidence.pace;
  if (ms > 0) metrics.candidates_per_minute = rounded((60_000 * candidates) / ms);
  return metrics;
}

/** Null where an arm was left out. */
function aheadOfBoth(evidence: Evidence, name: CaseName): boolean | null {
  const [ours, ...theirs] = ARMS.map((arm) => curvesOf(evidence, name, arm));
  if (ours === undefined || [ours, ...theirs].some(({ length }) => length === 0)) return null;
  return theirs.every((curves) => isAhead(ours, curves));
}

export function table(evidence: Evidence): string {
  const names = [...new Set(evidence.runs.map((run) => run.case))];
  const head = ['case', 'arm', 'each seed', 'first form', 'half way', 'at the end'];
  const lines = names.flatMap((name) =>
    ARMS.flatMap((arm) => {
      const curves = curvesOf(evidence, name, arm);
      if (curves.length === 0) return [];
      const whole = budgetOf(name, evidence.evaluations);
      const half = Math.floor(whole * HALF);
      const at = (index: number) => median(curves.map((curve) => curve[index] ?? 1)).toFixed(2);
      const cost = median(curves.map((curve) => costOf(curve, SHARE)));
      const share = median(curves.map((curve) => shareAt(curve, half)));
      const seeds = curves.map((curve) => finalOf(curve).toFixed(2)).join(' ');
      const figures = [at(0), at(half), at(whole), `${cost}`, share.toFixed(2)];
      return [[name, arm, seeds, ...figures]];
    }),
  );
  return format([[...head, 'cost of 80 %', 'share'], ...lines]);
}

function format(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => {
    return Math.max(...rows.map((row) => row[column]?.length ?? 0));
  });
  const line = (row: string[]) => row.map((text, i) => text.padEnd(widths[i] ?? 0)).join('  ');
  return `${rows.map((row) => line(row).trimEnd()).join('\n')}\n`;
}

function rounded(value: number): number {
  return Math.round(1_000 * value) / 1_000;
}

/** The panels of the plot, case by case. */
export function panelsOf(evidence: Evidence): Panel[] {
  return [...new Set(evidence.runs.map((run) => run.case))].map((name) => ({
    title: TITLES[name],
    lines: ARMS.map((arm) => ({ label: arm, curves: curvesOf(evidence, name, arm) })).filter(
      ({ curves }) => curves.length > 0,
    ),
  }));
}

const TITLES: Readonly<Record<CaseName, string>> = {
  a: 'A: 100 filters',
  b: 'B: 100 group-bys',
  c: 'C: 2,000 rules of dashboards',
  mixed: 'mixed, geometric mean',
  generated: 'three generated, geometric mean',
  fleet: 'the fleet module, geometric mean',
};
