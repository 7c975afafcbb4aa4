/**
 * Plans a generation: for each slot an island, a parent, inspirations, an arm and a random state.
 * Pure: rows, settings and a random state decide, so the same ones give the same plan.
 */
import { armId, type WeightedArm } from '../arms.ts';
import { type RandomState, seedRandom } from '../random.ts';
import { parentWeights, sampleParent } from '../sampling.ts';
import { chooseArm, type Trial } from './bandit.ts';
import type { Featured } from './features.ts';
import { chooseInspirations, type Inspired } from './inspirations.ts';
import {
  elitesOf,
  type Islander,
  islandOf,
  type Migrant,
  membersOf,
  migration,
  migrationDue,
} from './islands.ts';
import type { SearchSettings } from './settings.ts';

export interface ParentRow extends Islander, Featured {
  source: string;
  ratioToBaseline: number | null;
  children: number;
}

export interface Past<Row extends ParentRow> {
  /** Correct and timed, best first. */
  ranked: readonly Row[];
  migrants: readonly Migrant[];
  trials: readonly Trial[];
}

export interface SlotRequest {
  generation: number;
  count: number;
  settings: SearchSettings;
  /** What the present parent allows; `weak`: small changes of it are worth little. */
  arms(weak: boolean): readonly WeightedArm[];
  /** Of the first attempt: a re-run draws the same. */
  seed: string;
  state: RandomState;
}

export interface PlannedSlot<Row> {
  index: number;
  island: number;
  parent: Row | null;
  inspirations: Inspired<Row>[];
  arm: WeightedArm;
  random: RandomState;
}

export interface PlannedSlots<Row> {
  slots: PlannedSlot<Row>[];
  /** Copied to another island before this generation. */
  migrants: Migrant[];
  /** Where the draws ended. */
  state: RandomState;
}

/** A parent this far behind the best is not worth small changes. */
const WEAK = 0.75;

export function planSlots<Row extends ParentRow>(
  past: Past<Row>,
  request: SlotRequest,
): PlannedSlots<Row> {
  const { settings, generation } = request;
  const due = migrationDue(generation, settings.migrate_every, settings.islands);
  const fresh = due
    ? migration(past.ranked, settings.islands, settings.migrants, past.migrants)
    : [];
  const migrants = [...past.migrants, ...fresh];
  const elites = elitesOf(past.ranked, settings.archive, settings.islands, migrants);
  const slots: PlannedSlot<Row>[] = [];
  let state = request.state;
  for (let index = 0; index < request.count; index++) {
    const taken = slots.map(({ arm }) => armId(arm));
    const planned = planSlot({ ...past, elites, migrants }, request, { index, taken, state });
    state = planned.state;
    slots.push(planned.slot);
  }
  return { slots, migrants: fresh, state };
}

interface Turn {
  index: number;
  /** Arms of the slots before. */
  taken: string[];
  state: RandomState;
}

function planSlot<Row extends ParentRow>(
  past: Past<Row> & { elites: readonly Row[] },
  { settings, generation, arms, seed }: SlotRequest,
  { index, taken, state }: Turn,
): { slot: PlannedSlot<Row>; state: RandomState } {
  const island = islandOf(index, settings.islands);
  const members = membersOf(past.elites, island, settings.islands, past.migrants);
  const weights = (rows: readonly Row[]) => parentWeights(rows.map(scored), settings, generation);
  const sampled = sampleParent(members, weights, state);
  const parent = sampled?.row ?? null;
  const inspirations = chooseInspirations(
    past.elites,
    parent,
    settings.inspirations_top,
    settings.inspirations_diverse,
  );
  const offered = arms(isWeak(parent, past.elites)).filter(
    ({ needsInspirations }) => !needsInspirations || inspirations.length > 0,
  );
  const chosen = chooseArm(offered, past.trials, taken, settings, sampled?.state ?? state);
  const random = seedRandom(`${seed}/c${index}/${chosen.state.words.join('.')}`);
  const slot = { index, island, parent, inspirations, arm: chosen.arm, random };
  return { slot, state: chosen.state };
}

function scored({ ratioToBaseline, children }: ParentRow) {
  return { score: ratioToBaseline ?? 0, children };
}

function isWeak(parent: ParentRow | null, elites: readonly ParentRow[]): boolean {
  if (parent === null || parent.mutator === 'specialise') return true;
  return (parent.ratioToBaseline ?? 0) < WEAK * (elites[0]?.ratioToBaseline ?? 0);
}
