/**
 * Everything that crosses the border of the workflows: names, ids, task queues, updates, the query,
 * signals, search attribute keys and the wire types. Clients (API, command line), workers and
 * activities import this file; it has no behaviour and touches neither Node nor any service.
 *
 * Wire types are plain JSON in snake_case; nothing in them exceeds about 1 KB: bytes travel as
 * `Ref`s into the content-addressed store.
 */
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ChallengeVerdict } from '../activities/challenge/types.ts';
import { isFleet } from './level.ts';
import type {
  Allowance,
  Budget,
  BudgetUsed,
  EvolutionSettings,
  MutatorName,
  Spending,
} from './settings.ts';

export type {
  Allowance,
  Budget,
  BudgetUsed,
  EvolutionSettings,
  MutatorChoice,
  MutatorName,
  Spending,
} from './settings.ts';
export { DEFAULT_BUDGET, DEFAULT_SETTINGS, DRIFT_LIMITS, OBSERVE_MS } from './settings.ts';

/** Version of the plain JSON that is carried across continue-as-new and into children. */
export const WIRE_SCHEMA = 1;

export const WORKFLOW = {
  organization: 'organization',
  fleet: 'fleet',
  generation: 'generation',
  submission: 'submission',
} as const;

export const CONTROL_QUEUE = 'control';
export const LLM_QUEUE = 'llm';

/** The queue of one evolver host: builds, benchmarks and the archive, one activity at a time. */
export function evolverQueue(host: string): string {
  return `evolver-${host}`;
}

export function organizationId(org: string): string {
  return isFleet(org) ? WORKFLOW.fleet : `org/${org}`;
}

/** `rerun` 0 is the first attempt; later ones are `/r1`, `/r2` … */
export function generationId(org: string, generation: number, rerun = 0): string {
  const first = `${org}/gen/${generation}`;
  return rerun === 0 ? first : `${first}/r${rerun}`;
}

export const searchAttributes = {
  orgId: defineSearchAttributeKey('OrgId', SearchAttributeType.KEYWORD),
  generation: defineSearchAttributeKey('Generation', SearchAttributeType.INT),
  stage: defineSearchAttributeKey('Stage', SearchAttributeType.KEYWORD),
  outcome: defineSearchAttributeKey('Outcome', SearchAttributeType.KEYWORD),
  activeVersion: defineSearchAttributeKey('ActiveVersion', SearchAttributeType.INT),
};

// ---- shared wire types ------------------------------------------------------------------------

/** Bytes in the content-addressed store; `digest` is lowercase hex SHA-256. */
export interface Ref {
  digest: string;
  size: number;
  mediaType: string;
}

/** A compiled configuration: `digest` is that of the rules blob, which `blob` refers to. */
export interface ConfigurationRef {
  digest: string;
  blob: Ref;
  rules: number;
  effective_from_ms: number;
}

// ---- modules in service -----------------------------------------------------------------------

export type ManifestKind = 'promote' | 'rollback' | 'tombstone';

/**
 * What the active table says: the newest manifest of an organization. A tombstone has no module.
 */
export interface ActiveModule {
  version: number;
  kind: ManifestKind;
  configuration: string;
  module: string | null;
  size: number;
  issued_at_ms: number;
  expires_at_ms: number;
  /** SHA-256 of the statement's bytes: `previous` of the next manifest. */
  statement: string;
}

// ---- a generation -----------------------------------------------------------------------------

export type GenerationStage =
  | 'sample'
  | 'specialize'
  | 'mutate'
  | 'build'
  | 'prove'
  | 'benchmark'
  | 'record'
  | 'shadow'
  | 'sign'
  | 'publish'
  | 'confirm'
  | 'done';

/** Gates between a candidate and production, in order. */
export type Gate = 'source' | 'build' | 'module' | 'proof' | 'benchmark' | 'shadow' | 'signature';

export type CandidateState =
  /** still between gates */
  | 'open'
  /** stopped at `gate` with `verdict` */
  | 'rejected'
  /** passed every gate asked of it, but was not the best */
  | 'passed'
  | 'promoted';

/** One candidate as workflow, status and archive tell it. */
export interface CandidateOutcome {
  id: string;
  index: number;
  state: CandidateState;
  /** The last gate it went through or was stopped at. */
  gate: Gate | null;
  /**
   * One word of that gate: `pass`, `refused`, `compile-error`, `timeout`, `diverged`, `slow`,
   * `fail` …
   */
  verdict: string | null;
  /** At most 200 characters. */
  reason: string | null;
  /** `specialise` is the first form of a configuration's module, before any mutation. */
  mutator: MutatorName | 'specialise' | 'submitted';
  operator: string;
  module: string | null;
  /** Source to component. */
  build_seconds: number | null;
  /** Against the incumbent; and against the baseline, as generations are compared by it. */
  ratio: number | null;
  ci95: [number, number] | null;
  ratio_to_baseline: number | null;
}

export type GenerationOutcome =
  | 'promoted'
  /** candidates ran correctly, none is enough faster than the incumbent */
  | 'no-improvement'
  /** no candidate reached the benchmark, or all diverged or trapped there */
  | 'no-candidate'
  /** the shadow service refused every candidate asked about */
  | 'shadow-failed'
  /** too little held-back traffic */
  | 'insufficient'
  /** another manifest was published meanwhile */
  | 'conflict'
  /** the validator or an aggregator refused the manifest */
  | 'refused'
  | 'cancelled'
  /** a stage could not be carried out (an operational fault, not a verdict) */
  | 'failed';

export interface GenerationInput {
  schema: number;
  org: string;
  generation: number;
  rerun: number;
  configuration: ConfigurationRef;
  /** The module of its own that serves this configuration; null = the fleet's, or the baseline. */
  incumbent: ActiveModule | null;
  /** Newest version in the active table when the generation was started, 0 = none. */
  active_version: number;
  evolver_queue: string;
  settings: EvolutionSettings;
  /** Of a re-run: the stored inputs of the first attempt (sample, specialisation, candidates). */
  inputs: Ref | null;
  /** Of a re-run: the first stage that is carried out anew; absent = `build`. */
  from?: RerunStage;
  /** Of a re-run: whether models are asked anew; absent = `recorded`. */
  answers?: Answers;
  allowance?: Allowance;
  /** Instead of candidates: the workflow `submission` takes it through the gates. */
  submitted?: Submitted;
}

/** A component that a tenant brought. */
export interface Submitted {
  component: Ref;
  /** For people: of the file, say. */
  name: string;
}

/**
 * `sample`: everything anew; `mutate`: the same parents, inspirations and random states; `build`:
 * the same sources; `benchmark`: the components that were built.
 */
export type RerunStage = 'sample' | 'mutate' | 'build' | 'benchmark';
export type Answers = 'recorded' | 'fresh';

export interface GenerationResult {
  org: string;
  generation: number;
  rerun: number;
  configuration: string;
  outcome: GenerationOutcome;
  /** The stage that failed and why, for `failed`, `refused`, `conflict`. At most 300 characters. */
  detail: string | null;
  started_ms: number;
  ended_ms: number;
  candidates: CandidateOutcome[];
  promoted: ActiveModule | null;
  /** Published, but no aggregator confirmed it: the organization takes it back. */
  unconfirmed: ActiveModule | null;
  inputs: Ref | null;
  benchmark: Ref | null;
  /** It measured the first form alone, which no budget counts. */
  unevolved?: true;
  /** It had fewer candidates than wanted, as little was known yet: that is no stagnation. */
  growing?: true;
  spent?: Spending;
  /** A tenant brought its one candidate. */
  submitted?: true;
}

/** What an organization remembers of a finished generation. */
export interface GenerationSummary {
  generation: number;
  rerun: number;
  workflow_id: string;
  configuration: string;
  outcome: GenerationOutcome;
  detail: string | null;
  started_ms: number;
  ended_ms: number;
  candidates: number;
  /** Candidates stopped, by gate. */
  rejected: Partial<Record<Gate, number>>;
  /** Version and ratios of the promoted candidate. */
  version: number | null;
  mutator: CandidateOutcome['mutator'] | null;
  operator: string | null;
  ratio: number | null;
  ratio_to_baseline: number | null;
  build_seconds_median: number | null;
  inputs: Ref | null;
  submitted?: true;
}

/** A generation under way, as its child workflow reports it. */
export interface GenerationProgress {
  generation: number;
  rerun: number;
  workflow_id: string;
  stage: GenerationStage;
  since_ms: number;
  candidates: CandidateOutcome[];
}

// ---- an organization --------------------------------------------------------------------------

export type OrganizationStage =
  /** no configuration yet */
  | 'unconfigured'
  /** waiting until enough traffic of the configuration is captured */
  | 'capturing'
  | 'evolving'
  /** budget used, target reached, or stagnation: waits for a request or a new configuration */
  | 'settled';

export interface OrganizationInput {
  schema: number;
  org: string;
  /** The task queue of the evolver host that keeps this organization's archive. */
  evolver_queue: string;
  settings: EvolutionSettings;
  budget: Budget;
  /** Carried across continue-as-new; absent at the first start. */
  carried?: unknown;
}

export interface CaptureStatus {
  training: number;
  held_back: number;
  /** Of the fleet, which lets tenants go first: organizations that evolve at the moment. */
  evolving?: number;
}

/** A tenant's module was timed against the fleet's. */
export interface Challenged extends ChallengeVerdict {
  at_ms: number;
}

/** The last look at the traffic while a module served. */
export interface Observed {
  at_ms: number;
  verdict: 'steady' | 'moved' | 'shrunk' | 'insufficient';
  reason: string | null;
}

export interface OrganizationStatus {
  org: string;
  stage: OrganizationStage;
  paused: boolean;
  paused_reason: string | null;
  /** Why evolving ended, when settled. */
  settled_reason: string | null;
  configuration: ConfigurationRef | null;
  captured: CaptureStatus | null;
  /** Number of the newest generation, 0 before the first. */
  generation: number;
  running: GenerationProgress | null;
  queued: string[];
  /** Newest manifest, also when it belongs to an earlier configuration. */
  active: ActiveModule | null;
  budget: Budget;
  budget_used: BudgetUsed;
  /** Since the current configuration. */
  evolution_started_ms: number | null;
  first_promotion_ms: number | null;
  /** Newest last, at most 20. */
  outcomes: GenerationSummary[];
  /** Candidates of all generations of this organization, and those stopped, by gate. */
  candidates_total: number;
  rejected_total: Partial<Record<Gate, number>>;
  last_error: string | null;
  observed?: Observed;
  challenged?: Challenged;
  /** A component that waits for the generation under way to end. */
  submitted?: Submitted;
}

// ---- updates, query, signals ------------------------------------------------------------------

/**
 * `request_id` makes a repeated request answer as the first did, also across continue-as-new (the
 * last 64 are kept). Use the same string as the update id.
 */
export interface RequestBase {
  request_id?: string;
}

/** The caller has stored the blob and written the KV bucket `configurations` before. */
export interface ConfigureRequest extends RequestBase {
  configuration: ConfigurationRef;
}
export interface ConfigureReply {
  digest: string;
  /** False when this configuration was in force already. */
  changed: boolean;
}

export interface EvolveRequest extends RequestBase {
  /** Replaces parts of the organization's budget from now on. */
  budget?: Partial<Budget>;
}
export interface EvolveReply {
  next_generation: number;
  budget: Budget;
}

export interface PauseRequest extends RequestBase {
  reason?: string;
  /** Cancel a generation under way (its children are killed); otherwise it runs to its end. */
  cancel_running?: boolean;
}
export interface PauseReply {
  paused: boolean;
}

export interface RerunRequest extends RequestBase {
  generation: number;
  from?: RerunStage;
  answers?: Answers;
}
export interface RerunReply {
  workflow_id: string;
  generation: number;
  rerun: number;
}

export interface RollbackRequest extends RequestBase {
  /**
   * A version promoted earlier for the present configuration; absent = the one before the active
   * one.
   */
  to_version?: number;
  /** Back to what serves without a tenant module. */
  to_baseline?: boolean;
  reason?: string;
}
/** A rollback also cancels a generation under way and pauses; `resume` starts evolving again. */
export interface RollbackReply {
  version: number;
  kind: ManifestKind;
  module: string | null;
}

export interface BudgetRequest extends RequestBase {
  budget: Partial<Budget>;
}
export interface BudgetReply {
  budget: Budget;
}

/** The caller has stored the component. */
export interface SubmitRequest extends RequestBase, Submitted {}
export interface SubmitReply {
  generation: number;
  workflow_id: string;
}

/** A refused update fails with an `ApplicationFailure` of one of these types. */
export const REJECTION = {
  /** the request itself is malformed */
  invalid: 'InvalidRequest',
  /** well formed, but not possible in the present state */
  conflict: 'NotPossibleNow',
  /** names a generation or version that is not known */
  unknown: 'Unknown',
} as const;

export const configureUpdate = defineUpdate<ConfigureReply, [ConfigureRequest]>('configure');
export const evolveUpdate = defineUpdate<EvolveReply, [EvolveRequest]>('evolve');
export const pauseUpdate = defineUpdate<PauseReply, [PauseRequest]>('pause');
export const resumeUpdate = defineUpdate<PauseReply, [RequestBase]>('resume');
export const rerunGenerationUpdate = defineUpdate<RerunReply, [RerunRequest]>('rerunGeneration');
export const rollbackUpdate = defineUpdate<RollbackReply, [RollbackRequest]>('rollback');
export const submitUpdate = defineUpdate<SubmitReply, [SubmitRequest]>('submit');
export const setBudgetUpdate = defineUpdate<BudgetReply, [BudgetRequest]>('setBudget');

export const statusQuery = defineQuery<OrganizationStatus>('status');

export interface ModuleDemoted {
  configuration: string;
  module: string;
  reason: string;
}
export const moduleDemotedSignal = defineSignal<[ModuleDemoted]>('moduleDemoted');

/** Another module of the fleet serves: a tenant's own must earn its place against it. */
export interface FleetChanged {
  version: number;
}
export const fleetChangedSignal = defineSignal<[FleetChanged]>('fleetChanged');

/** From a generation to its organization. */
export const generationProgressSignal = defineSignal<[GenerationProgress]>('generationProgress');
