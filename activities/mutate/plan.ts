/** Which parents, inspirations, arms and random states a generation's proposals begin with. */
import { z } from 'zod';
import type { Archive, CandidateRow, Scope } from '../../evolver/archive.ts';
import { armId, type WeightedArm } from '../../evolver/arms.ts';
import type { Mutator } from '../../evolver/mutator.ts';
import { type RandomState, seedRandom } from '../../evolver/random.ts';
import type { Migrant } from '../../evolver/search/islands.ts';
import { DEFAULT_SEARCH } from '../../evolver/search/settings.ts';
import { type PlannedSlot, planSlots } from '../../evolver/search/slots.ts';
import { generationId } from '../../workflows/messages.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import type { PlanInput } from '../types.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const randomState = z.object({
  algorithm: z.literal('xoshiro128**'),
  words: z.tuple([z.number(), z.number(), z.number(), z.number()]),
});
const relative = z.object({ id: z.string(), source: digest, ratio: z.number().nullable() });
const arm = z.object({
  mutator: z.enum(['builtin', 'llm']),
  kind: z.string(),
  model: z.string().nullable(),
  patch: z.enum(['diff', 'full', 'crossover']),
});
/** A candidate of an earlier epoch, measured anew. */
const again = relative.extend({
  mutator: z.enum(['builtin', 'llm', 'specialise']),
  operator: z.string(),
  parent: z.string().nullable(),
});

export const planSchema = z.object({
  schema: z.literal(1),
  configuration: z.object({ digest, blob: digest }),
  seed: digest,
  profile: digest,
  slots: z.array(
    z.object({
      index: z.int(),
      mutator: z.enum(['builtin', 'llm', 'specialise']),
      island: z.int().default(0),
      /** Without one, the seed is the parent. */
      parent: relative.nullable(),
      inspirations: z.array(relative.extend({ role: z.string().default('top') })),
      arm: arm.nullable().default(null),
      again: again.nullable().default(null),
      random: randomState,
    }),
  ),
  tried: z.array(z.object({ source: digest, ratio: z.number().nullable() })),
  /** Digests of what is known, for the check of novelty. */
  known: z.array(z.object({ source: digest, syntax: digest.nullable() })).default([]),
  novelty_tries: z.int().default(1),
});

export type PlanDocument = z.output<typeof planSchema>;
export type SlotDocument = PlanDocument['slots'][number];

export interface Planned {
  document: PlanDocument;
  epoch: number;
  migrants: Migrant[];
  random: { before: RandomState; after: RandomState };
  /** Generation 0 of the configuration: its first form, alone. */
  unevolved: boolean;
  /** Held below the candidates that it may have. */
  growing: boolean;
}

/** Whose sources a proposal is told, and whose digests it may not repeat. */
const TRIED_MAX = 128;
const KNOWN_MAX = 512;

/** Pure in the archive's rows of earlier generations: planned again, it is the same plan. */
export function planGeneration(
  archive: Archive,
  input: PlanInput,
  mutators: Deps['mutators'],
): Planned {
  const { org, configuration, generation } = input;
  const seed = `${generationId(org, generation)}/${configuration.digest}`;
  const before = seedRandom(seed);
  const epoch = archive.epoch(org, configuration.digest);
  const scope = { org, configuration: configuration.digest, epoch, before: generation };
  const known = archive.tried(scope, KNOWN_MAX);
  const make = (slots: SlotDocument[]) => documentOf(input, known, slots);
  const plain = { epoch, migrants: [], random: { before, after: before } };
  const answered = known.filter(isAnswered).length;
  if (answered === 0) {
    const elites = earlierElites(archive, scope, input.candidates);
    const slots = elites.map((row, index) => againSlot(row, index, before));
    const unevolved = slots.length === 0;
    const document = make(unevolved ? [firstSlot(before)] : slots);
    return { ...plain, document, unevolved, growing: false };
  }
  const count = countOf(input, answered);
  const planned = planSlots(past(archive, scope), {
    generation,
    count,
    settings: input.search ?? DEFAULT_SEARCH,
    arms: (weak) => armsOf(mutators, input, weak),
    seed,
    state: before,
  });
  const random = { before, after: planned.state };
  const document = make(planned.slots.map(slotDocument));
  const growing = count < input.candidates && answered < KNOWN_MAX;
  return { document, epoch, migrants: planned.migrants, random, unevolved: false, growing };
}

/** Settings of an organization that was started long ago may lack what is new. */
function countOf({ candidates, search }: PlanInput, answered: number): number {
  const growth = search?.growth ?? DEFAULT_SEARCH.growth;
  return growth === 0 ? candidates : Math.min(candidates, Math.ceil(growth * answered));
}

/** The first form is measured before anything is made of it, and again if that came to nothing. */
function isAnswered(row: CandidateRow): boolean {
  return row.verdicts.some(({ verdict }) => verdict !== 'fault');
}

/** Traffic changed: the best of before are measured on what there is now. */
function earlierElites(archive: Archive, scope: Scope, count: number): CandidateRow[] {
  for (let epoch = scope.epoch - 1; epoch >= 0; epoch--) {
    const ranked = archive.ranked({ ...scope, epoch });
    const first = ranked.find(({ mutator }) => mutator === 'specialise');
    const best = ranked.filter((row) => row !== first).slice(0, count - 1);
    if (ranked.length > 0) return first === undefined ? best : [first, ...best];
  }
  return [];
}

function past(archive: Archive, scope: Scope) {
  const trials = archive.trials(scope).map(({ generation, ...trial }) => ({
    ...trial,
    age: scope.before - 1 - generation,
  }));
  return { ranked: archive.ranked(scope), migrants: archive.migrants(scope), trials };
}

function armsOf(
  mutators: Deps['mutators'],
  { org, mutator: choice }: Pick<PlanInput, 'org' | 'mutator'>,
  weak: boolean,
): WeightedArm[] {
  const chosen = (['builtin', 'llm'] as const).filter((name) => {
    return mutators[name] !== undefined && (choice === 'all' || choice === name);
  });
  const arms = chosen.flatMap((name) => ownArms(mutators[name] as Mutator, weak));
  // A slot that cannot be paid would stay empty. Where none can, that is what the slots say.
  const paid = arms.filter((arm) => mutators[arm.mutator]?.affords?.(arm, org) ?? true);
  if (arms.length > 0) return paid.length > 0 ? paid : arms;
  throw fatal('invalidProfile', `mutator ${choice} is not available here`);
}

function ownArms(mutator: Mutator, weak: boolean): readonly WeightedArm[] {
  const any = { kind: 'any', model: null, patch: 'full', weight: 1, usd: 0 } as const;
  return mutator.arms?.(weak) ?? [{ ...any, mutator: mutator.name, needsInspirations: false }];
}

function documentOf(
  { configuration, specialization, profile, search = DEFAULT_SEARCH }: PlanInput,
  known: readonly CandidateRow[],
  slots: SlotDocument[],
): PlanDocument {
  return {
    schema: 1,
    configuration: { digest: configuration.digest, blob: configuration.blob.digest },
    seed: specialization.seed.digest,
    profile: profile.digest,
    slots,
    tried: known.slice(-TRIED_MAX).map(({ source, ratioToBaseline: ratio }) => ({ source, ratio })),
    known: known.map(({ source, syntax }) => ({ source, syntax })),
    novelty_tries: search.novelty_tries,
  };
}

function firstSlot(random: RandomState): SlotDocument {
  const none = { parent: null, inspirations: [], arm: null, again: null };
  return { ...none, index: 0, mutator: 'specialise', island: 0, random: mutable(random) };
}

function againSlot(row: CandidateRow, index: number, random: RandomState): SlotDocument {
  const { mutator, operator, parent } = row;
  const again = {
    ...relativeOf(row),
    mutator: mutator as SlotDocument['mutator'],
    operator,
    parent,
  };
  return { ...firstSlot(random), index, island: row.island, again };
}

function slotDocument({ index, island, ...slot }: PlannedSlot<CandidateRow>): SlotDocument {
  const { mutator, kind, model, patch } = slot.arm;
  return {
    index,
    island,
    mutator,
    parent: slot.parent === null ? null : relativeOf(slot.parent),
    inspirations: slot.inspirations.map(({ role, row }) => ({ role, ...relativeOf(row) })),
    arm: { mutator, kind, model, patch },
    again: null,
    random: mutable(slot.random),
  };
}

function relativeOf(row: CandidateRow) {
  return { id: row.id, source: row.source, ratio: row.ratioToBaseline };
}

function mutable(state: RandomState): SlotDocument['random'] {
  return { algorithm: state.algorithm, words: [...state.words] };
}

/** The arm of a slot, as rows store it. */
export function armOf(slot: SlotDocument): string | null {
  return slot.arm === null ? null : armId(slot.arm);
}
