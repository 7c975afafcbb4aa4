/**
 * The built-in mutator: a search over the grammar of designs. It proposes what is likely to be
 * good, a fresh draw, a change of the parent, or a cross with an inspiration; what the archive has
 * measured moves the odds of every choice. It judges nothing itself: a slow or wrong design loses
 * by measurement.
 */
import type { Mutator, Proposal, ProposalRequest, Tried } from '../mutator.ts';
import { type Random, random } from '../random.ts';
import { tabulate } from '../spec/tables.ts';
import { builtinArms, KINDS, type Kind, WEIGHTS } from './arms.ts';
import {
  describeGenome,
  distance,
  FIRST_GENOME,
  type Genome,
  normalise,
  parseGenome,
  printGenome,
} from './genome.ts';
import type { Operator, Setting, Situation } from './operator.ts';
import { OPERATORS } from './operators/index.ts';
import { expressFor } from './phenotype.ts';
import { TemplateError } from './template.ts';
import { additiveWorth } from './worth.ts';

/** Draws until a design is new; beyond that a known one is proposed, for the caller to refuse. */
const DRAWS_MAX = 64;
/** How far a fresh draw keeps from designs that are not measured yet, while draws last. */
const SPREAD = 2;
/** A parent this far behind the best is not worth small changes. */
const WEAK = 0.75;
/** How sharply odds follow worth: a choice that adds 2 % is e times as likely. */
const TEMPERATURE = 0.02;
/** What is known makes no choice more than e^4 times as likely, or as unlikely. */
const BELIEF_MAX = 4;
/** What is likely is drawn with odds to the power of one more than this. */
const SHARPNESS = 3;

interface Search {
  situation: Situation;
  random: Random;
  parent: Genome;
  inspirations: Genome[];
  known: Set<string>;
  /** Designs that were proposed and not measured: siblings, mostly. */
  open: Genome[];
  /** Whether the parent is the first form, or far behind the best design known. */
  weak: boolean;
  odds: (operator: Operator) => Setting[];
  /** What is known of a choice: logarithm of how many times as likely it is for that. */
  belief: (operator: Operator, value: string) => number;
}

/** It always finds something to propose. */
export interface BuiltinMutator extends Mutator {
  propose(request: ProposalRequest): Promise<Proposal>;
}

export function builtinMutator(): BuiltinMutator {
  return { name: 'builtin', arms: builtinArms, propose: async (request) => propose(request) };
}

export function propose(request: ProposalRequest): Proposal {
  const search = prepare(request);
  let last: { kind: Kind; genome: Genome; source: string } | null = null;
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const kind = asked(request, search) ?? pickKind(search);
    const genome = normalise(drawGenome(search, kind, draw), search.situation);
    const source = expressIfItFits(genome, search.situation);
    if (source === null) continue;
    last = { kind, genome, source };
    if (!search.known.has(printGenome(genome)) && isApart(search, genome, kind, draw)) break;
  }
  last ??= { kind: 'seed', genome: FIRST_GENOME, source: first(search.situation) };
  return toProposal(last, search);
}

function prepare(request: ProposalRequest): Search {
  const situation = situationOf(request);
  const read = (source: string) => {
    const genome = parseGenome(source);
    return genome === null ? FIRST_GENOME : normalise(genome, situation);
  };
  const tried = request.tried ?? [];
  const parent = read(request.parent.source);
  const seen = [parent, FIRST_GENOME, ...tried.map(({ source }) => read(source))];
  const open = tried.filter(({ ratio }) => ratio === null).map(({ source }) => read(source));
  return {
    situation,
    random: random(request.random),
    parent,
    inspirations: request.inspirations.map(({ source }) => read(source)),
    known: new Set(seen.map(printGenome)),
    open,
    weak: distance(parent, FIRST_GENOME) === 0 || isFarBehind(request),
    ...learned(situation, tried, read),
  };
}

function situationOf({ level, rules, profile }: ProposalRequest): Situation {
  if (level === 'fleet') return { level, profile };
  return { level: 'tenant', tables: tabulate(rules), profile };
}

function isFarBehind({ parent, tried, inspirations }: ProposalRequest): boolean {
  const ratios = [...(tried ?? []), ...inspirations].map(({ ratio }) => ratio ?? 0);
  return parent.ratio != null && parent.ratio < WEAK * Math.max(0, ...ratios);
}

function pickKind({ random, weak, inspirations }: Search): Kind {
  const weights = WEIGHTS[weak ? 'weak' : 'strong'];
  const possible = KINDS.map((kind) =>
    kind === 'cross' && inspirations.length === 0 ? 0 : weights[kind],
  );
  return KINDS[random.weighted(possible)] ?? 'seed';
}

/** The kind of the bandit's arm, where it is one of these and possible. */
function asked({ arm }: ProposalRequest, { inspirations }: Search): Kind | null {
  const kind = KINDS.find((each) => each === arm?.kind) ?? null;
  return kind === 'cross' && inspirations.length === 0 ? null : kind;
}

function drawGenome(search: Search, kind: Kind, draw: number): Genome {
  if (kind === 'likely') return drawLikely(search, draw);
  if (kind === 'seed') return drawAll(search);
  if (kind === 'mutate') return mutate(search, search.parent);
  const other = search.inspirations[search.random.below(search.inspirations.length)];
  const crossed = cross(search.random, search.parent, other ?? search.parent);
  // A cross of relatives is often one of them again: a change makes it worth measuring.
  return search.random.unit() < 0.5 ? crossed : mutate(search, crossed);
}

function drawAll({ odds, open, random }: Search): Genome {
  const spread = (operator: Operator): Setting[] => {
    if (!operator.structural) return odds(operator);
    const taken = (value: string) => open.filter((each) => each[operator.name] === value).length;
    return odds(operator).map(({ value, prior }) => ({ value, prior: prior / (1 + taken(value)) }));
  };
  return Object.fromEntries(
    OPERATORS.map((operator) => [operator.name, pick(random, spread(operator))]),
  );
}

/** What odds promise most of what is new: the more draws were in vain, the further away. */
function drawLikely({ odds, random }: Search, draw: number): Genome {
  const sharpness = 1 + (SHARPNESS * (DRAWS_MAX - draw)) / DRAWS_MAX;
  const sharp = (operator: Operator) =>
    odds(operator).map(({ value, prior }) => ({ value, prior: prior ** sharpness }));
  return Object.fromEntries(
    OPERATORS.map((operator) => [operator.name, pick(random, sharp(operator))]),
  );
}

/**
 * Another choice for one operator that matters, sometimes for two; rather there where a better one
 * is known, and hardly where all others are known to be worse.
 */
function mutate({ odds, belief, random }: Search, genome: Genome): Genome {
  const changed: Record<string, string> = { ...genome };
  const changes = random.unit() < 0.35 ? 2 : 1;
  for (let change = 0; change < changes; change++) {
    const free = OPERATORS.filter((operator) => operator.matters(changed)).map((operator) => {
      const other = (setting: Setting) => setting.value !== changed[operator.name];
      return { operator, others: odds(operator).filter(other) };
    });
    const hopes = free.map(({ operator, others }) => {
      const gains = others.map(({ value }) => belief(operator, value));
      return Math.exp(Math.max(...gains) - belief(operator, changed[operator.name] ?? ''));
    });
    if (hopes.every((hope) => hope === 0)) break;
    const { operator, others } = free[random.weighted(hopes)] as (typeof free)[number];
    changed[operator.name] = pick(random, others);
  }
  return changed;
}

function cross(random: Random, a: Genome, b: Genome): Genome {
  return Object.fromEntries(
    OPERATORS.map(({ name, plain }) => [name, (random.unit() < 0.5 ? a[name] : b[name]) ?? plain]),
  );
}

function pick(random: Random, settings: readonly Setting[]): string {
  const weights = settings.map(({ prior }) => prior);
  return (settings[random.weighted(weights)] as Setting).value;
}

/**
 * A fresh draw keeps its distance from siblings, so that one generation looks at different places.
 */
function isApart({ open }: Search, genome: Genome, kind: Kind, draw: number): boolean {
  if (kind !== 'seed' || draw > DRAWS_MAX / 2) return true;
  return open.every((other) => distance(other, genome) >= SPREAD);
}

/** Prior odds, moved by what each choice seems to be worth. */
function learned(
  situation: Situation,
  tried: readonly Tried[],
  read: (source: string) => Genome,
): Pick<Search, 'odds' | 'belief'> {
  // What somebody else wrote has no choices, so its gain says nothing about any.
  const measured = tried
    .filter((each): each is Tried & { ratio: number } => each.ratio !== null && each.ratio > 0)
    .filter(({ source }) => parseGenome(source) !== null)
    .map(({ source, ratio }) => ({ genome: read(source), gain: Math.log(ratio) }));
  const worth = additiveWorth(measured, OPERATORS);
  const belief = (operator: Operator, value: string) => {
    const told = worth(operator, value) / TEMPERATURE;
    return Math.max(-BELIEF_MAX, Math.min(BELIEF_MAX, told));
  };
  const known = new Map<string, Setting[]>();
  const odds = (operator: Operator) => {
    const moved = ({ value, prior }: Setting) => {
      return { value, prior: prior * Math.exp(belief(operator, value)) };
    };
    const settings = known.get(operator.name) ?? operator.options(situation).map(moved);
    known.set(operator.name, settings);
    return settings;
  };
  return { odds, belief };
}

function expressIfItFits(genome: Genome, situation: Situation): string | null {
  try {
    return expressFor(genome, situation);
  } catch (error) {
    if (error instanceof TemplateError) return null;
    throw error;
  }
}

function first(situation: Situation): string {
  return expressFor(FIRST_GENOME, situation);
}

function toProposal(
  { kind, genome, source }: { kind: Kind; genome: Genome; source: string },
  { parent, random }: Search,
): Proposal {
  const from = kind === 'seed' || kind === 'likely' ? FIRST_GENOME : parent;
  const changes = describeGenome(genome, from);
  const base = from === FIRST_GENOME ? 'the first form' : 'its parent';
  const summary = `${changes.length} choices differ from ${base}: ${changes.join(', ') || 'none'}`;
  const operator = `${kind}:${changes.join('+') || 'none'}`.slice(0, 200);
  return { source, operator, summary, random: random.state() };
}
