/** From a genome to the text of `aggregate.rs`. */
import type { Rule } from '../../control/configuration/index.ts';
import { SOURCE_LIMIT, type TrafficProfile } from '../mutator.ts';
import { type Tables, tabulate } from '../spec/tables.ts';
import { type Genome, normalise, printGenome } from './genome.ts';
import type { Situation } from './operator.ts';
import { isMasks } from './operators/group.ts';
import { OPERATORS } from './operators/index.ts';
import { loadTemplate, render, type Settings, TemplateError } from './template.ts';

/**
 * The ways to process a message; each design has the general one, for what its own does not cover.
 */
type Way = 'lists' | 'direct' | 'masks';

const TEMPLATES: Record<Way, readonly string[]> = {
  lists: ['lists'],
  direct: ['direct'],
  masks: ['masks', 'tests', 'partition'],
};

export function express(genome: Genome, rules: readonly Rule[], profile: TrafficProfile): string {
  return expressTables(genome, { tables: tabulate(rules), profile });
}

export function expressTables(genome: Genome, situation: Situation): string {
  const genes = normalise(genome, situation);
  const way = wayOf(genes);
  const settings: Record<string, string | readonly string[]> = {
    ...genes,
    genome: printGenome(genes),
    way,
    has: quantities(situation.tables),
  };
  for (const { name, plain, apply } of OPERATORS) {
    Object.assign(settings, apply?.(genes[name] ?? plain, situation));
  }
  return compose(way, settings);
}

function compose(way: Way, settings: Settings): string {
  const finder = settings.literals === 'search' ? 'search' : 'literals';
  const parts = ['head', finder, 'pull', ...TEMPLATES[way], 'tail'];
  const source = tidy(render(parts.map(loadTemplate).join('\n'), settings));
  const size = Buffer.byteLength(source);
  if (size >= SOURCE_LIMIT) {
    throw new TemplateError(`${settings.genome}: ${size} bytes, the limit is ${SOURCE_LIMIT}`);
  }
  return source;
}

function wayOf(genes: Genome): Way {
  if (genes.dispatch !== 'scan') return 'direct';
  return isMasks(genes) ? 'masks' : 'lists';
}

/** What has to be kept beside counts. */
function quantities(tables: Tables): string[] {
  const kinds = new Set(tables.rules.map((rule) => rule.kind));
  const has: string[] = [];
  if (kinds.has('sum') || kinds.has('avg')) has.push('sum');
  if (kinds.has('max')) has.push('max');
  if (kinds.has('min')) has.push('min');
  if (kinds.has('max') || kinds.has('min')) has.push('extreme');
  if (kinds.has('count')) has.push('count');
  return has;
}

const COMMENT = /^\s*\/\/\/.*$/;

/** Tabs, no repeated empty lines, and comments and empty lines only while there is room. */
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
  return join(lines.filter((line) => line !== '' && !COMMENT.test(line)));
}
