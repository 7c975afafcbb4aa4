/** Answers of the API as lines for people. */
import type { z } from 'zod';
import type { GainSplit } from '../../evolver/gain.ts';
import type { Budget, BudgetUsed, OrganizationStatus } from '../../workflows/messages.ts';
import type { ProblemDocument } from '../api/problem.ts';
import type {
  candidateView,
  eventsPage,
  generationDetail,
  generationView,
} from '../api/schemas.ts';

export type GenerationView = z.output<typeof generationView>;
export type CandidateView = z.output<typeof candidateView>;
export type GenerationDetail = z.output<typeof generationDetail>;
export type EventView = z.output<typeof eventsPage>['events'][number];

export interface OrganizationView {
  org: string;
  configuration: { digest: string; effective_from_ms: number; rules: number } | null;
  status: OrganizationStatus | null;
  status_problem: string | null;
  active: {
    version: number;
    kind: string;
    configuration: string;
    /** Absent from an API of before. */
    issued_at_ms?: number;
  } | null;
  gain: GainSplit | null;
  /** Of the fleet: organizations without a module of their own. */
  serves?: string[] | null;
}

/** What came from elsewhere must not steer the terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' ');
}

export function time(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

export function ratio(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(2)}x`;
}

/** Columns padded to their widest cell, two spaces between. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Of the fleet, the rules are those of whom it serves. */
export function organizationRow(view: OrganizationView): string[] {
  const { status, active, serves, configuration } = view;
  const stage = status === null ? 'unknown' : stageOf(status);
  const serving = active === null ? 'baseline' : `v${active.version} ${active.kind}`;
  const since = active?.issued_at_ms === undefined ? '-' : time(active.issued_at_ms);
  const generation = status === null ? '-' : String(status.generation);
  const gain = active === null ? '-' : ratio(view.gain?.total ?? null);
  const rules = serves == null ? String(configuration?.rules ?? 0) : `of ${serves.length} others`;
  return [view.org, stage, generation, serving, since, gain, rules];
}

/** One rule that a configuration adds, changes or removes, as the API tells it. */
export interface RuleChange {
  rule: string;
  change: 'added' | 'changed' | 'removed';
  from_ms: number | null;
  until_ms: number | null;
}

export function changes(list: readonly RuleChange[]): string[] {
  return list.map(({ rule, change, from_ms, until_ms }) => {
    const until = until_ms === null ? '' : `, as it was for windows before ${time(until_ms)}`;
    const from = from_ms === null ? '' : `, for windows from ${time(from_ms)}`;
    return `  ${rule}: ${change}${from}${until}`;
  });
}

export const organizationHead = [
  ...['ORGANIZATION', 'STAGE', 'GENERATION', 'SERVING', 'SINCE', 'TO BASELINE', 'RULES'],
];

function stageOf(status: OrganizationStatus): string {
  const running = status.running === null ? '' : ` (${status.running.stage})`;
  return `${status.stage}${running}${status.paused ? ', paused' : ''}`;
}

export function organizationLines(view: OrganizationView): string[] {
  const { configuration, status, active } = view;
  const facts: [string, string][] = [['organization', view.org]];
  if (configuration !== null) {
    const from = time(configuration.effective_from_ms);
    const digest = configuration.digest.slice(0, 16);
    facts.push(['configuration', `${digest}, ${configuration.rules} rules, since ${from}`]);
  }
  facts.push(['serving', servingFact(active)]);
  if (view.serves != null) facts.push(['serves', view.serves.join(', ') || 'nobody']);
  if (view.gain !== null) facts.push(['gain', gainLine(view.gain)]);
  if (status === null) facts.push(['workflow', view.status_problem ?? 'unknown']);
  else facts.push(...statusFacts(status));
  const lines = table(facts.map(([name, value]) => [name, value]));
  const outcomes = status?.outcomes ?? [];
  if (outcomes.length === 0) return lines;
  const rows = outcomes.map((each) => [
    `${each.generation}${each.rerun === 0 ? '' : `/r${each.rerun}`}`,
    each.outcome,
    ratio(each.ratio_to_baseline),
    each.operator ?? each.detail ?? '',
  ]);
  return [...lines, '', ...table([['GENERATION', 'OUTCOME', 'TO BASELINE', 'BY'], ...rows])];
}

function servingFact(active: OrganizationView['active']): string {
  if (active === null) return 'baseline';
  const since = active.issued_at_ms === undefined ? '' : ` since ${time(active.issued_at_ms)}`;
  return `version ${active.version}${since}`;
}

function statusFacts(status: OrganizationStatus): [string, string][] {
  const facts: [string, string][] = [['stage', stageOf(status)]];
  const reason = status.settled_reason ?? status.paused_reason;
  if (reason !== null) facts.push(['because', reason]);
  if (status.captured !== null) {
    const { training, held_back } = status.captured;
    facts.push(['captured', `${training} training, ${held_back} held back`]);
  }
  const { challenged } = status;
  if (challenged !== undefined) {
    const times = ratio(challenged.ratio);
    facts.push([
      'against the fleet',
      `${challenged.verdict}, ${times} its version ${challenged.fleet}`,
    ]);
  }
  const used = status.budget_used;
  facts.push(['budget', budgetLine(status.budget)]);
  facts.push(['used', usedLine(used)]);
  const seen = status.observed;
  if (seen !== undefined) {
    const why = seen.reason === null ? '' : `: ${seen.reason}`;
    facts.push(['traffic', `${seen.verdict} at ${time(seen.at_ms)}${why}`]);
  }
  if (status.last_error !== null) facts.push(['last error', status.last_error]);
  return facts;
}

function usedLine({ generations, seconds, usd, tokens, evaluations }: BudgetUsed): string {
  const money = usd > 0 || tokens > 0 ? `, $${usd.toFixed(4)}, ${tokens} tokens` : '';
  return `${generations} generations, ${evaluations} evaluations, ${seconds} s${money}`;
}

/** The ratio to the baseline as a product: specialisation, built-in search, models. */
export function gainLine({ total, specialisation, builtin, llm }: GainSplit): string {
  const parts = `${ratio(specialisation)} specialisation, ${ratio(builtin)} built-in`;
  return `${ratio(total)} the baseline = ${parts}, ${ratio(llm)} models`;
}

export function budgetLine(budget: Budget): string {
  const target = budget.target_ratio === null ? '' : `, target ${budget.target_ratio}x`;
  const { generations, seconds, stagnation } = budget;
  const { usd = null, tokens = null, evaluations = null } = budget;
  const spending = [
    usd === null ? '' : `, $${usd}`,
    tokens === null ? '' : `, ${tokens} tokens`,
    evaluations === null ? '' : `, ${evaluations} evaluations`,
  ].join('');
  return `${generations} generations, ${seconds} s, stagnation ${stagnation}${target}${spending}`;
}

export function generationLines(rows: readonly GenerationView[]): string[] {
  const head = ['GENERATION', 'OUTCOME', 'CANDIDATES', 'STARTED', 'SECONDS', 'DETAIL'];
  const cells = rows.map((row) => [
    `${row.generation}${row.rerun === 0 ? '' : `/r${row.rerun}`}`,
    row.outcome,
    String(row.candidates),
    time(row.started_at_ms),
    row.ended_at_ms === null ? '-' : ((row.ended_at_ms - row.started_at_ms) / 1_000).toFixed(0),
    row.detail ?? '',
  ]);
  return table([head, ...cells]);
}

export function detailLines(view: GenerationDetail): string[] {
  const { generation, candidates, attempts } = view;
  const head = ['SLOT', 'MUTATOR', 'OPERATOR', 'TO BASELINE', 'TO INCUMBENT', 'SOURCE', 'GATES'];
  const cells = candidates.map((each) => [
    String(each.slot),
    each.mutator,
    each.operator,
    ratio(each.ratio_to_baseline),
    ratio(each.ratio),
    each.source.slice(0, 12),
    each.verdicts.map((verdict) => `${verdict.gate}:${verdict.verdict}`).join(' '),
  ]);
  const failures = candidates.flatMap((each) =>
    each.verdicts
      .filter((verdict) => !verdict.passed && verdict.text !== null)
      .map((verdict) => `slot ${each.slot}, ${verdict.gate}: ${verdict.text}`),
  );
  return [
    ...generationLines([generation]),
    '',
    ...table([head, ...cells]),
    ...(failures.length === 0 ? [] : ['', ...failures]),
    ...(attempts.length === 0 ? [] : ['', ...attempts.map(attemptLine)]),
  ];
}

/** `…/c1/a2` is the second attempt in slot 1. */
function attemptLine({ id, outcome, detail, cost }: GenerationDetail['attempts'][number]): string {
  const [slot, attempt] = id.split('/').slice(-2);
  const money = cost.usd > 0 ? ` ($${cost.usd.toFixed(4)})` : '';
  return `tried, ${slot}.${attempt}: ${outcome}${detail === null ? '' : `: ${detail}`}${money}`;
}

export function eventLine(event: EventView): string {
  const facts = Object.entries(event.body)
    .filter(([name]) => name !== 'at' && name !== 'org')
    .map(([name, value]) => `${name}=${shorten(value)}`);
  return [time(event.at_ms), event.kind.padEnd(10), ...facts].join(' ');
}

function shorten(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text.slice(0, 200);
}

const contextColumns = 80;

/** A problem document: title and detail, then each problem with a caret under its column. */
export function problemLines(document: ProblemDocument): string[] {
  const { problems } = document;
  if (problems === undefined) return [`${document.title}: ${document.detail}`];
  return [
    document.title,
    ...problems.flatMap((problem) => {
      const place = [
        problem.rule === '' ? '' : `rule ${problem.rule}`,
        problem.field,
        problem.column === undefined ? '' : `column ${problem.column}`,
      ];
      const line = `  ${place.filter((each) => each !== '').join(', ')}: ${problem.message}`;
      if (problem.text === undefined || problem.column === undefined) return [line];
      return [line, ...caretLines(problem.text, problem.column)];
    }),
  ];
}

/** The part of `text` around a column, and a caret below that column. */
export function caretLines(text: string, column: number): string[] {
  const characters = [...text.replace(/[\r\n\t]/g, ' ')];
  const start = Math.max(0, column - 1 - contextColumns / 2);
  const part = characters.slice(start, start + contextColumns).join('');
  return [`    ${plain(part)}`, `    ${' '.repeat(column - 1 - start)}^`];
}
