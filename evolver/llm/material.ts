/** The dynamic part of a prompt: what is to be improved, and what is known about it. */
import { printFilter, type Rule } from '../../control/configuration/index.ts';
import type { PatchKind } from '../arms.ts';
import type { ProposalRequest } from '../mutator.ts';
import { tabulate } from '../spec/tables.ts';
import { writeSpec } from '../spec/write.ts';
import { Prompt } from './fence.ts';

const RULES_SHOWN = 40;
const INSPIRATIONS_SHOWN = 3;
const SOURCE_CHARS = 20_000;
const SPEC_CHARS = 40_000;
const TEXT_CHARS = 8_000;
/** A list of constants is shown as far as it tells its shape. */
const LIST_LINES = 4;

const TASKS: Record<PatchKind, string> = {
  diff: 'Improve the parent by edits: answer with <edits>.',
  full: 'Write a new version, as different from the parent as helps: answer with <file>.',
  crossover: 'Combine the parent with what is best in the inspirations: answer with <file>.',
};

/** Everything that a single answer is made from. */
export function singlePrompt(
  request: ProposalRequest,
  patch: PatchKind,
  errors: readonly string[],
): Prompt {
  const prompt = opening(request)
    .data('parent: aggregate.rs', request.parent.source, SOURCE_CHARS)
    .data('spec.rs: long lists cut', specOutline(request.rules), SPEC_CHARS);
  for (const { source, ratio } of request.inspirations.slice(0, INSPIRATIONS_SHOWN)) {
    prompt.say(`An inspiration, ${ratio.toFixed(3)} × the baseline:`);
    prompt.data('inspiration: aggregate.rs', source, SOURCE_CHARS);
  }
  for (const error of errors) prompt.data('a recent failure', error, TEXT_CHARS);
  return prompt.say(TASKS[patch]);
}

/** Where an exploration begins: it reads the rest by itself. */
export function explorationPrompt(request: ProposalRequest): Prompt {
  return opening(request)
    .data('parent: aggregate.rs', request.parent.source, SOURCE_CHARS)
    .say('Explore as far as it helps, then submit an improved version.');
}

export function specOutline(rules: readonly Rule[]): string {
  const spec = writeSpec(tabulate(rules), new Uint8Array(), '0'.repeat(64));
  const lines = spec.split('\n');
  const kept: string[] = [];
  let inList = 0;
  for (const line of lines.slice(1)) {
    if (inList > 0 && /^\];$/.test(line)) {
      if (inList > LIST_LINES + 1) kept.push(`    // … ${inList - LIST_LINES - 1} more lines`);
      inList = 0;
    }
    if (inList === 0 || inList <= LIST_LINES) kept.push(line);
    if (inList > 0 || /= &\[$/.test(line)) inList += 1;
  }
  return kept.join('\n');
}

function opening(request: ProposalRequest): Prompt {
  const { parent, profile, rules } = request;
  const worth =
    parent.ratio == null ? 'not timed yet' : `${parent.ratio.toFixed(3)} × the baseline`;
  return new Prompt()
    .say(`The parent is ${worth}. Its configuration has ${rules.length} rules.`)
    .data('rules', rules.slice(0, RULES_SHOWN).map(ruleLine).join('\n'), TEXT_CHARS)
    .data('profile of the traffic', JSON.stringify(profile), TEXT_CHARS);
}

function ruleLine(rule: Rule, index: number): string {
  const { metric, aggregate, windowMs, groupBy, filter } = rule;
  const by = groupBy.length === 0 ? '' : ` by ${groupBy.join(', ')}`;
  return `${index}: ${aggregate} of ${metric}${by} in ${windowMs} ms where ${printFilter(filter)}`;
}
