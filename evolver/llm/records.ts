/**
 * What a model may know of rows: how candidates did on training traffic and in the checks before
 * it. Of anything that was decided on held-back or live traffic it gets one word, and no text.
 */
import type { CandidateRow, Verdict } from '../rows.ts';

/** Gates whose texts come from sources, compilers and training messages alone. */
const TOLD = ['source', 'build', 'module', 'benchmark'];
const TEXT_CHARS = 400;

export interface PublicRow {
  id: string;
  parent: string | null;
  mutator: string;
  operator: string;
  summary: string;
  ratio_to_baseline: number | null;
  fuel_per_point: number | null;
  module_bytes: number | null;
  verdicts: string[];
}

export function publicRow(row: CandidateRow): PublicRow {
  return {
    id: row.id,
    parent: row.parent,
    mutator: row.mutator,
    operator: row.operator,
    summary: row.summary,
    ratio_to_baseline: row.ratioToBaseline,
    fuel_per_point: row.fuelPerPoint,
    module_bytes: row.moduleSize,
    verdicts: row.verdicts.map(publicVerdict),
  };
}

/** What a candidate takes on training traffic; null = it was not timed. */
export function figuresOf(row: CandidateRow) {
  if (row.ratioToBaseline === null) return null;
  return {
    ratio_to_baseline: row.ratioToBaseline,
    us_per_message: row.usPerMessage,
    fuel_per_point: row.fuelPerPoint,
    module_bytes: row.moduleSize,
  };
}

export function publicVerdict({ gate, verdict, passed, text }: Verdict): string {
  const word = `${gate}: ${passed ? 'passed' : verdict}`;
  const told = TOLD.includes(gate) && !passed && text != null && text !== '';
  return told ? `${word}: ${text.slice(0, TEXT_CHARS)}` : word;
}

/** Texts of what failed last, newest first. */
export function lastErrors(rows: readonly CandidateRow[], limit: number): string[] {
  return rows
    .filter((row) => row.verdicts.some(({ gate, passed }) => !passed && TOLD.includes(gate)))
    .slice(-limit)
    .reverse()
    .map((row) => {
      const failed = row.verdicts.filter(({ gate, passed }) => !passed && TOLD.includes(gate));
      return `${row.id} (${row.operator}): ${failed.map(publicVerdict).join('; ')}`;
    });
}
