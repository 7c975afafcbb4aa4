/** What is kept and shown of generations: compact summaries and the Markdown of the Temporal UI. */
import {
  type CandidateOutcome,
  type Gate,
  type GenerationProgress,
  type GenerationResult,
  type GenerationSummary,
  generationId,
} from './messages.ts';

export function summarize(result: GenerationResult): GenerationSummary {
  const promoted = result.candidates.find((candidate) => candidate.state === 'promoted');
  return {
    generation: result.generation,
    rerun: result.rerun,
    workflow_id: generationId(result.org, result.generation, result.rerun),
    configuration: result.configuration,
    outcome: result.outcome,
    detail: result.detail,
    started_ms: result.started_ms,
    ended_ms: result.ended_ms,
    candidates: result.candidates.length,
    rejected: rejectedByGate(result.candidates),
    version: result.promoted?.version ?? null,
    mutator: promoted?.mutator ?? null,
    operator: promoted?.operator ?? null,
    ratio: promoted?.ratio ?? null,
    ratio_to_baseline: promoted?.ratio_to_baseline ?? null,
    build_seconds_median: median(result.candidates.map((candidate) => candidate.build_seconds)),
    inputs: result.inputs,
    ...(result.submitted && { submitted: result.submitted }),
  };
}

export function rejectedByGate(candidates: CandidateOutcome[]): Partial<Record<Gate, number>> {
  const counts: Partial<Record<Gate, number>> = {};
  for (const { state, gate } of candidates) {
    if (state === 'rejected' && gate !== null) counts[gate] = (counts[gate] ?? 0) + 1;
  }
  return counts;
}

/** Of the values that are there; the lower one of the two middle ones. */
export function median(values: (number | null)[]): number | null {
  const present = values.filter((value) => value !== null).sort((left, right) => left - right);
  return present[Math.floor((present.length - 1) / 2)] ?? null;
}

/** Cuts to `length` characters, so that no message can swell a history. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

export function progressMarkdown(progress: GenerationProgress, lines: string[]): string {
  const rows = progress.candidates.map(row);
  return [
    `**${progress.workflow_id}** · ${progress.stage}`,
    '',
    '| # | operator | gate | verdict | ratio (95 %) | to baseline | build | module |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    ...lines.map((line) => `- ${cell(line)}`),
  ].join('\n');
}

function row(candidate: CandidateOutcome): string {
  const { ci95, ratio } = candidate;
  const interval = ci95 === null ? '' : ` (${ci95[0].toFixed(2)}–${ci95[1].toFixed(2)})`;
  const cells = [
    String(candidate.index),
    `${candidate.mutator}: ${candidate.operator}`,
    candidate.gate ?? '',
    candidate.verdict === null ? candidate.state : `${candidate.state}: ${candidate.verdict}`,
    ratio === null ? '' : `${ratio.toFixed(2)}${interval}`,
    candidate.ratio_to_baseline?.toFixed(2) ?? '',
    candidate.build_seconds === null ? '' : `${candidate.build_seconds.toFixed(2)} s`,
    candidate.module?.slice(0, 12) ?? '',
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

/** Text that came from a mutator must not break the table. */
function cell(text: string): string {
  return clip(text.replaceAll(/[|\r\n`<>]/g, ' '), 80);
}
