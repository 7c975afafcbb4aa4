/** An organization as the Temporal UI shows it, and results that a generation could not tell. */
import type {
  GenerationInput,
  GenerationResult,
  GenerationSummary,
  OrganizationStatus,
} from './messages.ts';

const SHOWN_MAX = 10;

export function organizationMarkdown(status: OrganizationStatus): string {
  const { active, running } = status;
  const digest = status.configuration?.digest;
  const stage = status.paused ? `paused (${status.paused_reason ?? 'by request'})` : status.stage;
  const settled = status.settled_reason === null ? '' : `: ${status.settled_reason}`;
  const serving =
    active?.module == null ? 'none (fleet or baseline)' : `\`${active.module.slice(0, 12)}\``;
  return [
    `**${status.org}** · ${stage}${settled}`,
    '',
    `- configuration: ${digest === undefined ? 'none' : `\`${digest.slice(0, 16)}\``}`,
    `- version ${active?.version ?? 0}, tenant module ${serving}`,
    ...(running === null ? [] : [`- running: ${running.workflow_id} · ${running.stage}`]),
    ...(status.last_error === null ? [] : [`- last error: ${plain(status.last_error)}`]),
    '',
    '| generation | outcome | operator | ratio | to baseline | version |',
    '| --- | --- | --- | --- | --- | --- |',
    ...status.outcomes.slice(-SHOWN_MAX).map(row),
  ].join('\n');
}

function row(outcome: GenerationSummary): string {
  const cells = [
    outcome.workflow_id,
    outcome.outcome,
    outcome.operator === null ? '' : `${outcome.mutator}: ${outcome.operator}`,
    outcome.ratio?.toFixed(2) ?? '',
    outcome.ratio_to_baseline?.toFixed(2) ?? '',
    String(outcome.version ?? ''),
  ];
  return `| ${cells.map(plain).join(' | ')} |`;
}

function plain(text: string): string {
  return text.replaceAll(/[|\r\n`<>]/g, ' ').slice(0, 120);
}

/** The result of a generation that could not tell its own: terminated, timed out, never started. */
export function lostResult(
  input: GenerationInput,
  at_ms: number,
  detail: string,
  cancelled: boolean,
): GenerationResult {
  return {
    org: input.org,
    generation: input.generation,
    rerun: input.rerun,
    configuration: input.configuration.digest,
    outcome: cancelled ? 'cancelled' : 'failed',
    detail,
    started_ms: at_ms,
    ended_ms: at_ms,
    candidates: [],
    promoted: null,
    unconfirmed: null,
    inputs: input.inputs,
    benchmark: null,
    ...(input.submitted && { submitted: true, unevolved: true }),
  };
}
