/**
 * What the search is held against. All arms propose by the same built-in mutator, through the same
 * gates, with the same budget; they differ in what a proposal is made from.
 */
import { type PlanDocument, planSchema } from '../../activities/mutate/plan.ts';

export const ARMS = ['search', 'independent', 'sequential'] as const;
export type Arm = (typeof ARMS)[number];

/** A parent, as plans have it. */
export type Relative = NonNullable<PlanDocument['slots'][number]['parent']>;

/** Candidates a generation, at most: hill climbing looks at each before it takes the next step. */
export const BATCH: Readonly<Record<Arm, number>> = { search: 4, independent: 4, sequential: 1 };

/** A control arm whose draws are known already is asked again: it shall use its whole budget. */
const NOVELTY_TRIES = 16;

/**
 * The plan of an arm, from that of the search. `independent`: every candidate is drawn fresh, and
 * nothing that was measured is known to it. `sequential`: every candidate is a change of the best
 * so far, which is all that it knows of what was measured. Neither proposes a source again.
 */
export function planOf(arm: Arm, document: PlanDocument, best: Relative | null): PlanDocument {
  if (arm === 'search') return document;
  const climbs = arm === 'sequential';
  const tried = climbs ? document.tried.map(({ source }) => ({ source, ratio: null })) : [];
  const kind = climbs ? 'mutate' : 'seed';
  const patch = climbs ? 'diff' : 'full';
  const slots = document.slots.map((slot) =>
    slot.mutator === 'builtin'
      ? {
          ...slot,
          ...{ parent: climbs ? best : null, inspirations: [], island: 0 },
          arm: { mutator: 'builtin' as const, kind, model: null, patch },
        }
      : slot,
  );
  return planSchema.parse({ ...document, slots, tried, novelty_tries: NOVELTY_TRIES });
}
