/**
 * The state of an organization and its transitions: pure functions of a state, a request and a
 * time.
 *
 *   unconfigured ──configure──► capturing ──enough traffic──► evolving ──spent──► settled
 *                                 ▲  ▲                          │                   │
 *                                 │  └──────insufficient────────┘                   │
 *                                 └───────────────configure, evolve─────────────────┘
 *
 * Spent is a used budget, a reached target, stagnation, or failures one after another.
 * `paused` is independent of the stage: it only stops new work from being started. State is plain
 * JSON, so that it survives continue-as-new unchanged.
 */
import { addSpending, budgetUsed, spentOf, whySpent } from './budget.ts';
import { isFleet, NO_CONFIGURATION } from './level.ts';
import {
  type ActiveModule,
  type Answers,
  type Budget,
  type CaptureStatus,
  type Challenged,
  type ConfigurationRef,
  type EvolutionSettings,
  type Gate,
  type GenerationResult,
  type GenerationSummary,
  generationId,
  type ModuleDemoted,
  type Observed,
  type OrganizationInput,
  type OrganizationStage,
  type Ref,
  type RerunRequest,
  type RerunStage,
  type Spending,
  type Submitted,
  WIRE_SCHEMA,
} from './messages.ts';
import { summarize } from './summary.ts';

export { budgetUsed, remaining } from './budget.ts';

export const OUTCOMES_MAX = 20;
export const ANSWERS_MAX = 64;
export const QUEUE_MAX = 8;
export const PROMOTIONS_MAX = 10;
/** Generations that fail one after another before the organization waits for somebody to look. */
export const FAILURES_MAX = 3;
/** Captured messages never exceed 512 a subject, so asking for more would wait for ever. */
const HELD_BACK_WANTED_MAX = 384;

export interface QueuedRerun {
  generation: number;
  rerun: number;
  inputs: Ref | null;
  from?: RerunStage;
  answers?: Answers;
  submitted?: Submitted;
}

/** A module that was promoted and may be returned to. */
export interface Promotion {
  version: number;
  configuration: string;
  module: string;
  statement: string;
}

export interface Answer {
  id: string;
  reply: unknown;
}

/** Against the budget, since evolving was begun. */
interface Used {
  generations: number;
  stagnation: number;
  since_ms: number | null;
  promoted: boolean;
  /** Absent in states from before it was counted. */
  spent?: Spending;
}

export interface OrganizationState {
  schema: number;
  org: string;
  evolver_queue: string;
  settings: EvolutionSettings;
  budget: Budget;
  stage: OrganizationStage;
  settled_reason: string | null;
  paused: boolean;
  paused_reason: string | null;
  configuration: ConfigurationRef | null;
  captured: CaptureStatus | null;
  held_back_wanted: number;
  generation: number;
  running: { generation: number; rerun: number } | null;
  queue: QueuedRerun[];
  active: ActiveModule | null;
  promotions: Promotion[];
  used: Used;
  failures: number;
  evolution_started_ms: number | null;
  first_promotion_ms: number | null;
  outcomes: GenerationSummary[];
  candidates_total: number;
  rejected_total: Partial<Record<Gate, number>>;
  answers: Answer[];
  last_error: string | null;
  /** When the traffic is looked at next; absent in runs that were begun before it was. */
  observe_at_ms?: number;
  observed?: Observed;
  /** A version of the fleet's module that the own one was not held against yet. */
  challenger?: number;
  challenged?: Challenged;
  /** Goes through the gates next, also while paused. */
  submitted?: Submitted;
  /** After a renewal that did not work, the next try. */
  renew_not_before_ms: number;
}

/**
 * A transition was asked for that the state does not allow: a defect of the caller, never of a
 * request.
 */
export class StateError extends Error {
  override readonly name = 'StateError';
}

function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new StateError(message);
}

export function initialState(input: OrganizationInput): OrganizationState {
  return check({
    schema: WIRE_SCHEMA,
    org: input.org,
    evolver_queue: input.evolver_queue,
    settings: input.settings,
    budget: input.budget,
    stage: 'unconfigured',
    settled_reason: null,
    paused: false,
    paused_reason: null,
    configuration: null,
    captured: null,
    held_back_wanted: input.settings.held_back_min,
    generation: 0,
    running: null,
    queue: [],
    active: null,
    promotions: [],
    used: { generations: 0, stagnation: 0, since_ms: null, promoted: false },
    failures: 0,
    evolution_started_ms: null,
    first_promotion_ms: null,
    outcomes: [],
    candidates_total: 0,
    rejected_total: {},
    answers: [],
    last_error: null,
    renew_not_before_ms: 0,
  });
}

/** The state of the run before, or a first one. */
export function openState(input: OrganizationInput): OrganizationState {
  if (input.carried === undefined || input.carried === null) {
    const state = initialState(input);
    return isFleet(input.org) ? configure(state, NO_CONFIGURATION) : state;
  }
  const carried = input.carried as OrganizationState;
  ensure(carried.schema === WIRE_SCHEMA, `carried state has schema ${carried.schema}`);
  ensure(carried.org === input.org, `carried state is that of ${carried.org}`);
  return check({ ...carried, running: null });
}

/** Every state that a transition returns satisfies this. */
export function check(state: OrganizationState): OrganizationState {
  const configured = state.configuration !== null;
  ensure(configured === (state.stage !== 'unconfigured'), `stage ${state.stage} and configuration`);
  ensure((state.settled_reason !== null) === (state.stage === 'settled'), 'settled and its reason');
  ensure(state.paused || state.paused_reason === null, 'a reason to pause without a pause');
  ensure(state.outcomes.length <= OUTCOMES_MAX, `${state.outcomes.length} outcomes`);
  ensure(state.answers.length <= ANSWERS_MAX, `${state.answers.length} answers`);
  ensure(state.queue.length <= QUEUE_MAX, `${state.queue.length} queued re-runs`);
  ensure(state.promotions.length <= PROMOTIONS_MAX, `${state.promotions.length} promotions`);
  const running = state.running;
  ensure(
    running === null || running.generation <= state.generation,
    'a generation from the future',
  );
  return state;
}

export function configure(state: OrganizationState, next: ConfigurationRef): OrganizationState {
  if (state.configuration?.digest === next.digest) return state;
  const { settings } = state;
  const waiting = settings.evolve_on_configure;
  return check({
    ...state,
    stage: waiting ? 'capturing' : 'settled',
    settled_reason: waiting ? null : 'evolving by itself is off',
    configuration: next,
    captured: null,
    held_back_wanted: settings.held_back_min,
    queue: [],
    used: { generations: 0, stagnation: 0, since_ms: null, promoted: false },
    failures: 0,
    evolution_started_ms: null,
    first_promotion_ms: null,
  });
}

/** A request to evolve: a fresh count against the budget. */
export function evolve(state: OrganizationState, budget: Budget): OrganizationState {
  ensure(state.configuration !== null, 'evolve without a configuration');
  return check({
    ...state,
    budget,
    stage: state.stage === 'evolving' ? 'evolving' : 'capturing',
    settled_reason: null,
    used: { generations: 0, stagnation: 0, since_ms: null, promoted: state.used.promoted },
    failures: 0,
  });
}

export function setBudget(state: OrganizationState, budget: Budget): OrganizationState {
  return check({ ...state, budget });
}

export function pause(state: OrganizationState, reason: string | null): OrganizationState {
  return check({ ...state, paused: true, paused_reason: reason });
}

export function resume(state: OrganizationState): OrganizationState {
  return check({ ...state, paused: false, paused_reason: null });
}

export function captured(state: OrganizationState, status: CaptureStatus): OrganizationState {
  if (state.stage !== 'capturing') return state;
  const captured =
    status.training >= state.settings.training_min && status.held_back >= state.held_back_wanted;
  const enough = captured && (status.evolving ?? 0) === 0;
  return check({ ...state, captured: status, stage: enough ? 'evolving' : 'capturing' });
}

export function enqueueRerun(
  state: OrganizationState,
  { generation, from, answers }: RerunRequest,
): OrganizationState {
  const known = state.outcomes.filter((outcome) => outcome.generation === generation);
  ensure(known.length > 0, `generation ${generation} is not known`);
  const queued = state.queue.filter((item) => item.generation === generation).length;
  const rerun = Math.max(...known.map((outcome) => outcome.rerun)) + queued + 1;
  const inputs = known.find((outcome) => outcome.inputs !== null)?.inputs ?? null;
  const how = { ...(from && { from }), ...(answers && { answers }) };
  return check({ ...state, queue: [...state.queue, { generation, rerun, inputs, ...how }] });
}

export function beginGeneration(
  state: OrganizationState,
  step: QueuedRerun,
  now_ms: number,
): OrganizationState {
  ensure(state.running === null, 'a generation is under way already');
  ensure(!state.paused || step.submitted !== undefined, 'paused');
  const { submitted: _, ...rest } = state;
  const fresh = step.rerun === 0;
  ensure(!fresh || step.generation === state.generation + 1, `generation ${step.generation}`);
  return check({
    ...(step.submitted === undefined ? state : rest),
    running: { generation: step.generation, rerun: step.rerun },
    generation: Math.max(state.generation, step.generation),
    queue: fresh ? state.queue : state.queue.slice(1),
    used: { ...state.used, since_ms: state.used.since_ms ?? now_ms },
    evolution_started_ms: state.evolution_started_ms ?? now_ms,
  });
}

export function endGeneration(
  state: OrganizationState,
  result: GenerationResult,
): OrganizationState {
  const running = state.running;
  ensure(running !== null, 'no generation is under way');
  ensure(running.generation === result.generation, `generation ${result.generation} ended`);
  const summary = summarize(result);
  const next: OrganizationState = {
    ...state,
    running: null,
    outcomes: [...state.outcomes, summary].slice(-OUTCOMES_MAX),
    candidates_total: state.candidates_total + result.candidates.length,
    rejected_total: addCounts(state.rejected_total, summary.rejected),
    last_error: result.outcome === 'failed' ? result.detail : state.last_error,
  };
  // A generation that outlived its configuration counts in the record only.
  if (result.configuration !== state.configuration?.digest) return check(next);
  return settle(count(next, result, running.rerun === 0), result);
}

function count(state: OrganizationState, result: GenerationResult, fresh: boolean) {
  const promoted = result.outcome === 'promoted';
  const failed = result.outcome === 'failed';
  // The first form says how good the specialisation is, not how the search goes.
  const free = result.outcome === 'cancelled' || result.unevolved === true;
  // Nor do a few candidates that were to teach what to look for; none at all teach nothing.
  const small = result.growing === true && result.candidates.length > 0;
  const telling = state.used.promoted && !free && !small;
  return {
    ...state,
    failures: failed ? state.failures + 1 : 0,
    first_promotion_ms: state.first_promotion_ms ?? (promoted ? result.ended_ms : null),
    used: {
      ...state.used,
      generations: state.used.generations + (fresh && !free ? 1 : 0),
      stagnation: promoted ? 0 : state.used.stagnation + (telling ? 1 : 0),
      promoted: state.used.promoted || promoted,
      ...(result.spent && { spent: addSpending(spentOf(state), result.spent) }),
    },
  };
}

function settle(state: OrganizationState, result: GenerationResult): OrganizationState {
  if (state.stage !== 'evolving') return check(state);
  const reason = whySettled(state, result.ended_ms, promotedRatio(result));
  if (reason !== null) return check({ ...state, stage: 'settled', settled_reason: reason });
  if (result.outcome !== 'insufficient') return check(state);
  const wanted = Math.min(HELD_BACK_WANTED_MAX, state.held_back_wanted * 2);
  return check({ ...state, stage: 'capturing', held_back_wanted: wanted });
}

function whySettled(state: OrganizationState, now_ms: number, ratio: number | null): string | null {
  const { budget, used } = state;
  const target = budget.target_ratio;
  if (target !== null && ratio !== null && ratio >= target) return 'target ratio reached';
  if (state.failures >= FAILURES_MAX)
    return `${state.failures} generations failed one after another`;
  if (used.generations >= budget.generations)
    return `budget of ${budget.generations} generations used`;
  if (budgetUsed(state, now_ms).seconds >= budget.seconds)
    return `budget of ${budget.seconds} s used`;
  const spent = whySpent(budget, spentOf(state));
  if (spent !== null) return spent;
  if (used.promoted && used.stagnation >= budget.stagnation) {
    return `${used.stagnation} generations without improvement`;
  }
  return null;
}

function promotedRatio(result: GenerationResult): number | null {
  const promoted = result.candidates.find((candidate) => candidate.state === 'promoted');
  return promoted?.ratio_to_baseline ?? null;
}

function addCounts(
  left: Partial<Record<Gate, number>>,
  right: Partial<Record<Gate, number>>,
): Partial<Record<Gate, number>> {
  const sum = { ...left };
  for (const [gate, count] of Object.entries(right) as [Gate, number][]) {
    sum[gate] = (sum[gate] ?? 0) + count;
  }
  return sum;
}

/** The active table was read, or written by this organization. */
export function adoptActive(
  state: OrganizationState,
  active: ActiveModule | null,
): OrganizationState {
  if (active === null || active.version < (state.active?.version ?? 0)) return state;
  const next = { ...state, active };
  if (active.kind !== 'promote' || active.module === null) return check(next);
  const promotion: Promotion = {
    version: active.version,
    configuration: active.configuration,
    module: active.module,
    statement: active.statement,
  };
  const newest = state.promotions.at(-1);
  // A renewal is the same module again: it replaces its entry instead of adding one.
  const others =
    newest?.module === active.module ? state.promotions.slice(0, -1) : state.promotions;
  if (state.promotions.some((item) => item.version === active.version)) return check(next);
  return check({ ...next, promotions: [...others, promotion].slice(-PROMOTIONS_MAX) });
}

/** A demoted module must never be returned to. */
export function demote(state: OrganizationState, demoted: ModuleDemoted): OrganizationState {
  const promotions = state.promotions.filter((item) => item.module !== demoted.module);
  return check({ ...state, promotions });
}

/** The promotion that a rollback returns to, or null for what serves without a tenant module. */
export function rollbackTarget(
  state: OrganizationState,
  toVersion: number | null,
): Promotion | null {
  const configuration = state.configuration?.digest;
  const eligible = state.promotions.filter((item) => item.configuration === configuration);
  if (toVersion !== null) return eligible.find((item) => item.version === toVersion) ?? null;
  const current = eligible.findLastIndex((item) => item.module === state.active?.module);
  if (current === -1) return null;
  return eligible[current - 1] ?? null;
}

/** The tenant module that serves the present configuration, if one does. */
export function incumbent(state: OrganizationState): ActiveModule | null {
  const active = state.active;
  if (active === null || active.module === null) return null;
  return active.configuration === state.configuration?.digest ? active : null;
}

export function remember(state: OrganizationState, id: string, reply: unknown): OrganizationState {
  const others = state.answers.filter((answer) => answer.id !== id);
  return check({ ...state, answers: [...others, { id, reply }].slice(-ANSWERS_MAX) });
}

export function renewalDue(state: OrganizationState): number | null {
  const active = incumbent(state);
  if (active === null) return null;
  const half = active.issued_at_ms + Math.floor((active.expires_at_ms - active.issued_at_ms) / 2);
  return Math.max(half, state.renew_not_before_ms);
}

export type Step =
  | { step: 'renew' }
  | { step: 'capture' }
  | { step: 'observe' }
  | { step: 'challenge' }
  | { step: 'generation'; what: QueuedRerun }
  | { step: 'wait'; until_ms: number | null };

/** What the organization does next: the only place that decides it. */
export function nextStep(state: OrganizationState, now_ms: number): Step {
  const due = renewalDue(state);
  if (due !== null && due <= now_ms) return { step: 'renew' };
  const generation = state.generation + 1;
  const { submitted } = state;
  if (submitted !== undefined && state.running === null) {
    return { step: 'generation', what: { generation, rerun: 0, inputs: null, submitted } };
  }
  if (state.paused || state.running !== null) return { step: 'wait', until_ms: due };
  if (isChallenged(state)) return { step: 'challenge' };
  const rerun = state.queue[0];
  if (rerun !== undefined) return { step: 'generation', what: rerun };
  if (state.stage === 'capturing') return { step: 'capture' };
  if (state.stage !== 'evolving') return settledStep(state, due, now_ms);
  return { step: 'generation', what: { generation, rerun: 0, inputs: null } };
}

/** Another module of the fleet serves, and there is a module that it could take the place of. */
function isChallenged(state: OrganizationState): boolean {
  return state.challenger !== undefined && incumbent(state) !== null;
}

export function fleetChanged(state: OrganizationState, version: number): OrganizationState {
  return check({ ...state, challenger: Math.max(version, state.challenger ?? 0) });
}

/** The own module was held against the fleet's; what came up meanwhile is still to be done. */
export function challenged(state: OrganizationState, seen: Challenged): OrganizationState {
  const { challenger, ...rest } = state;
  const later = challenger !== undefined && challenger > (seen.fleet ?? challenger);
  return check({ ...rest, ...(later && { challenger }), challenged: seen });
}

/** While nothing else is to be done, the traffic is watched. */
function settledStep(state: OrganizationState, due: number | null, now_ms: number): Step {
  const at = state.observe_at_ms;
  // The fleet looks for organizations to be measured on also where it came to nothing.
  const watches = incumbent(state) !== null || isFleet(state.org);
  if (state.stage !== 'settled' || at === undefined || !watches) {
    return { step: 'wait', until_ms: due };
  }
  if (at <= now_ms) return { step: 'observe' };
  return { step: 'wait', until_ms: due === null ? at : Math.min(due, at) };
}

/** The traffic was looked at: what moved starts a new evolution. */
export function observed(state: OrganizationState, seen: Observed): OrganizationState {
  const next = check({ ...state, observed: seen });
  const drifted = seen.verdict === 'moved' || seen.verdict === 'shrunk';
  const evolves = state.settings.evolve_on_configure && state.stage === 'settled';
  return drifted && evolves ? evolve(next, state.budget) : next;
}

export function runningId(state: OrganizationState): string | null {
  const running = state.running;
  if (running === null) return null;
  return generationId(state.org, running.generation, running.rerun);
}
