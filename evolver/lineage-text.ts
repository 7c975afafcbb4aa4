/** What the lineage says in words: messages of commits, their trailers, and notes. */
import { parseGenerationId } from './ids.ts';

export interface LineageCandidate {
  /** `<generation>/c<slot>`. */
  id: string;
  slot: number;
  source: string;
  mutator: string;
  operator: string;
  model: string | null;
  /** One line of its mutator: what it changed. */
  summary: string;
  /** Where it stopped and how, such as `build compile-error`; null when nothing stopped it. */
  refused: string | null;
  /** Why, in a line. */
  reason: string | null;
}

/** On training traffic. */
export interface LineageFigures {
  ratio: number | null;
  ci95: readonly [number, number] | null;
  ratio_to_baseline: number | null;
}

export interface LineageBest extends LineageCandidate {
  /** Digests of the source and of the component. */
  digest: string;
  module: string | null;
  parent: string | null;
  figures: LineageFigures;
}

export interface LineageEntry {
  generation: string;
  /** Digest of the rules blob. */
  configuration: string;
  outcome: string;
  specRs: string;
  /** The first form of the module. */
  seedRs: string;
  /** The candidate that passed every gate; null when none did, and the tree stays what it was. */
  best: LineageBest | null;
  rejected: readonly LineageCandidate[];
  /** From the workflow, never from a clock here. */
  committedAtMs: number;
}

export function messageOf(entry: LineageEntry): string {
  const { best } = entry;
  const trailers = [
    ['Generation', entry.generation],
    ['Configuration', entry.configuration],
    ['Parent', best?.parent ?? 'none'],
    ['Mutator', best?.mutator ?? 'none'],
    ['Model', best?.model ?? 'none'],
    ['Operator', best?.operator ?? 'none'],
    ['Ratio', best?.figures.ratio?.toFixed(4) ?? 'none'],
    ['Digest', best?.digest ?? 'none'],
    ['Verdict', entry.outcome],
  ].map(([name, value]) => `${name}: ${oneLine(value ?? '')}`);
  return `${subjectOf(entry)}\n\n${bodyOf(entry)}\n\n${trailers.join('\n')}\n`;
}

function subjectOf({ generation, best, outcome }: LineageEntry): string {
  const { number, rerun } = parseGenerationId(generation);
  const name = `generation ${number}${rerun > 0 ? `, re-run ${rerun}` : ''}`;
  if (best === null) return oneLine(`${name}: ${outcome}`);
  const ratio = best.figures.ratio === null ? '' : `${best.figures.ratio.toFixed(2)}x by `;
  return oneLine(`${name}: ${ratio}${best.mutator} ${best.operator}`).slice(0, 100);
}

/** What changed, and why this candidate. */
function bodyOf({ best, rejected, outcome }: LineageEntry): string {
  const others = `${rejected.length} other ${rejected.length === 1 ? 'candidate' : 'candidates'}`;
  if (best === null) return `The module stays what it was: ${oneLine(outcome)} (${others}).`;
  const lines = [`What: ${best.summary}`, `Why: ${figuresOf(best.figures)}`];
  const beside = rejected.length === 0 ? '' : `; it was chosen among ${others}`;
  return [...lines, `It passed every gate${beside}.`].map(oneLine).join('\n');
}

function figuresOf({ ratio, ci95, ratio_to_baseline: baseline }: LineageFigures): string {
  if (ratio === null) return 'not timed';
  const interval = ci95 === null ? '' : ` (${ci95.map((bound) => bound.toFixed(3)).join(' to ')})`;
  const more = baseline === null ? '' : `, ${baseline.toFixed(3)}x the baseline`;
  return `${ratio.toFixed(3)}x the incumbent${interval}${more}, on training traffic`;
}

/** The candidates that were not chosen, a line each. */
export function noteOf({ rejected }: LineageEntry): string {
  return `${rejected.map(rejection).join('\n')}\n`;
}

function rejection({ slot, mutator, operator, refused, reason }: LineageCandidate): string {
  const why = reason === null ? '' : ` (${reason})`;
  return oneLine(`c${slot} ${mutator} ${operator}: ${refused ?? 'not the best'}${why}`);
}

/** The same with their sources. */
export function sourcesNote({ rejected }: LineageEntry): string {
  return rejected.map((each) => `==> ${rejection(each)}\n${each.source.trimEnd()}\n`).join('\n');
}

/** A value must not become a trailer of its own. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 500);
}

export function parseTrailers(message: string): Record<string, string> {
  const block = message.trimEnd().split('\n\n').at(-1) ?? '';
  const lines = block.split('\n').map((line) => /^([A-Z][A-Za-z-]*): (.*)$/.exec(line));
  return Object.fromEntries(
    lines.flatMap((match) => (match === null ? [] : [[match[1], match[2]]])),
  );
}
