/** Which parents, inspirations and random states a generation's proposals begin with. */
import { z } from 'zod';
import type { Archive, CandidateRow } from '../../evolver/archive.ts';
import { type RandomState, seedRandom } from '../../evolver/random.ts';
import { sampleParent } from '../../evolver/sampling.ts';
import type { PlanInput } from '../types.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const randomState = z.object({
  algorithm: z.literal('xoshiro128**'),
  words: z.tuple([z.number(), z.number(), z.number(), z.number()]),
});
const relative = z.object({ id: z.string(), source: digest, ratio: z.number().nullable() });

export const planSchema = z.object({
  schema: z.literal(1),
  configuration: z.object({ digest, blob: digest }),
  seed: digest,
  profile: digest,
  slots: z.array(
    z.object({
      index: z.int(),
      mutator: z.enum(['builtin', 'llm', 'specialise']),
      /** Without one, the seed is the parent. */
      parent: relative.nullable(),
      inspirations: z.array(relative),
      random: randomState,
    }),
  ),
  tried: z.array(z.object({ source: digest, ratio: z.number().nullable() })),
});

export type PlanDocument = z.output<typeof planSchema>;
type Slot = PlanDocument['slots'][number];

const TRIED_MAX = 128;

/** Pure in the archive's rows: planned again before anything was added, it is the same plan. */
export function planGeneration(
  archive: Archive,
  input: PlanInput,
  generation: string,
): PlanDocument {
  const { org, configuration } = input;
  const ranked = archive.ranked(org, configuration.digest);
  const tried = archive.tried(org, configuration.digest, TRIED_MAX);
  let state = seedRandom(`${generation}/${configuration.digest}`);
  const slots: Slot[] = [];
  for (let index = 0; index < input.candidates; index++) {
    const sampled = sampleParent(ranked, state);
    state = sampled?.state ?? state;
    const random = seedRandom(`${generation}/c${index}/${state.words.join('.')}`);
    const parent = sampled === null ? null : relativeOf(sampled.row);
    const inspirations =
      parent === null
        ? []
        : archive.inspirations(org, configuration.digest, parent.id).map(relativeOf);
    // The first form of a module is a candidate too, until it has been timed once.
    const first = index === 0 && tried.length === 0;
    const mutator = first ? 'specialise' : input.mutator;
    slots.push({ index, mutator, parent, inspirations, random: mutable(random) });
  }
  return {
    schema: 1,
    configuration: { digest: configuration.digest, blob: configuration.blob.digest },
    seed: input.specialization.seed.digest,
    profile: input.profile.digest,
    slots,
    tried: tried.map((row) => ({ source: row.source, ratio: row.ratioToBaseline })),
  };
}

function relativeOf(row: CandidateRow) {
  return { id: row.id, source: row.source, ratio: row.ratioToBaseline };
}

function mutable(state: RandomState): Slot['random'] {
  return { algorithm: state.algorithm, words: [...state.words] };
}
