/** An organization's state as Markdown, for the Temporal UI. */
import type { GenerationSummary, OrganizationStatus } from './messages.ts';

const SHOWN_MAX = 10;

export function organizationMarkdown(status: OrganizationStatus): string {
  const { active, configuration, running } = status;
  const stage = status.paused ? `paused (${status.paused_reason ?? 'by request'})` : status.stage;
  const settled = status.settled_reason === null ? '' : `: ${status.settled_reason}`;
  const serving =
    active?.module == null ? 'none (fleet or baseline)' : `\`${active.module.slice(0, 12)}\``;
  return [
    `**${status.org}** · ${stage}${settled}`,
    '',
    `- configuration: ${configuration === null ? 'none' : `\`${configuration.digest.slice(0, 16)}\``}`,
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
