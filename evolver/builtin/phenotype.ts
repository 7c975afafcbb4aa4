/** From a genome to the text of `aggregate.rs`. */
import type { Rule } from '../../control/configuration/index.ts';
import { SOURCE_LIMIT, type TrafficProfile } from '../mutator.ts';
import { tabulate } from '../spec/tables.ts';
import { type Genome, normalise, printGenome } from './genome.ts';
import type { Situation } from './operator.ts';
import { isFitted, isMasks } from './operators/group.ts';
import { OPERATORS } from './operators/index.ts';
import { loadTemplate, render, type Settings, TemplateError } from './template.ts';

/**
 * The ways to process a message; each design has the general one, for what its own does not cover.
 */
type Way = 'lists' | 'direct' | 'masks' | 'fit';

const TEMPLATES: Record<Way, readonly string[]> = {
  lists: ['head', 'lists', 'tail'],
  direct: ['head', 'direct', 'tail'],
  masks: ['head', 'masks', 'partition', 'tail'],
  fit: ['fit'],
};

export function express(genome: Genome, rules: readonly Rule[], profile: TrafficProfile): string {
  return expressFor(genome, { level: 'tenant', tables: tabulate(rules), profile });
}

/** The generic module of a genome: it names no rule and holds no literal. */
export function expressFleet(genome: Genome, profile: TrafficProfile): string {
  return expressFor(genome, { level: 'fleet', profile });
}

export function expressFor(genome: Genome, situation: Situation): string {
  const genes = normalise(genome, situation);
  const way = wayOf(genes);
  const settings: Record<string, string | readonly string[]> = {
    ...genes,
    genome: printGenome(genes),
    way,
    has: quantities(situation),
    one_window: asksForWindow(way, genes) ? 'asked' : 'ignored',
    level: situation.level,
    // A constant where there is one, so that the compiler may look at what it holds.
    spec: situation.level === 'tenant' ? 'spec::SPEC' : 'self.spec',
  };
  for (const { name, plain, apply } of OPERATORS) {
    Object.assign(settings, apply?.(genes[name] ?? plain, situation));
  }
  return compose(way, settings);
}

/** Whether a module asks if a message lies within one window of every rule. */
function asksForWindow(way: Way, genes: Genome): boolean {
  return (
    way !== 'lists' ||
    genes.windows === 'single' ||
    genes.memo === 'twins' ||
    genes.known !== 'none'
  );
}

function compose(way: Way, settings: Settings): string {
  const source = tidy(render(TEMPLATES[way].map(loadTemplate).join('\n'), settings));
  const size = Buffer.byteLength(source);
  if (size >= SOURCE_LIMIT) {
    throw new TemplateError(`${settings.genome}: ${size} bytes, the limit is ${SOURCE_LIMIT}`);
  }
  return source;
}

function wayOf(genes: Genome): Way {
  if (genes.dispatch !== 'scan') return 'direct';
  if (isFitted(genes)) return 'fit';
  return isMasks(genes) ? 'masks' : 'lists';
}

/** What has to be kept beside counts. */
function quantities(situation: Situation): string[] {
  if (situation.level === 'fleet') return ['sum', 'max', 'min', 'extreme', 'count'];
  const kinds = new Set(situation.tables.rules.map((rule) => rule.kind));
  const has: string[] = [];
  if (kinds.has('sum') || kinds.has('avg')) has.push('sum');
  if (kinds.has('max')) has.push('max');
  if (kinds.has('min')) has.push('min');
  if (kinds.has('max') || kinds.has('min')) has.push('extreme');
  if (kinds.has('count')) has.push('count');
  return has;
}

/** But for the genome's line. Of the fleet, documentation would count as text that it spells. */
const COMMENT = /^\s*\/\/\/?(?! genome:).*$/;

/**
 * Tabs and no repeated empty lines; comments and empty lines, and then indentation, only while
 * there is room.
 */
function tidy(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.replace(/^( {4})+/, (all) => '\t'.repeat(all.length / 4)));
  const join = (kept: string[]) =>
    `${kept
      .join('\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim()}\n`;
  const full = join(lines);
  if (Buffer.byteLength(full) < SOURCE_LIMIT) return full;
  const bare = lines.filter((line) => line !== '' && !COMMENT.test(line));
  const dense = join(bare);
  return Buffer.byteLength(dense) < SOURCE_LIMIT ? dense : join(bare.map((line) => line.trim()));
}
