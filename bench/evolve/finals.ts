/**
 * The end of a search: the best few once more, longer, side by side. Each was measured in a short
 * run beside the best of its time, and the best of many short runs is flattered; what is better by
 * less than such a run can tell was never taken for the best.
 */
import type { CandidateRow } from '../../evolver/archive.ts';
import type { Measurer } from './measurer.ts';
import type { Subject } from './subject.ts';

/** Beside what the search took for the best. */
const FINALISTS = 6;

export interface Winner {
  component: string;
  operator: string;
  /** To the baseline. */
  ratio: number;
}

type Ranked = Pick<CandidateRow, 'module' | 'operator'>;

/** `ranked`: best first. Null where nothing is faster than the baseline. */
export async function runFinals(
  measurer: Pick<Measurer, 'race'>,
  subject: Subject,
  ranked: readonly Ranked[],
  best: Pick<Winner, 'component' | 'operator'> | null,
): Promise<Winner | null> {
  const operators = new Map<string, string>();
  if (best !== null) operators.set(best.component, best.operator);
  const most = operators.size + FINALISTS;
  for (const { module, operator } of ranked) {
    if (operators.size === most) break;
    if (module !== null && !operators.has(module)) operators.set(module, operator);
  }
  const ratios = await measurer.race(subject, [...operators.keys()]);
  let winner: Winner | null = null;
  for (const [component, ratio] of ratios) {
    const operator = operators.get(component) ?? '';
    if (ratio > (winner?.ratio ?? 1)) winner = { component, operator, ratio };
  }
  return winner;
}
