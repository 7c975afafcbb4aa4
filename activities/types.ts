/**
 * What every stage takes and answers. Workflows import this file's types and nothing else of
 * `activities/`.
 *
 * Expected negatives are values of the verdict unions; an activity throws only for operational
 * faults.
 */
import type { Instructions } from '../evolver/search/features.ts';
import type {
  ActiveModule,
  CandidateOutcome,
  CaptureStatus,
  ConfigurationRef,
  Gate,
  GenerationOutcome,
  ManifestKind,
  Ref,
} from '../workflows/messages.ts';
import type { ChallengeInput, ChallengeVerdict } from './challenge/types.ts';
import type {
  AdmitInput,
  Admitted,
  GenerationInputs,
  MutateInput,
  MutateVerdict,
  Plan,
  PlanInput,
  ReadmitInput,
} from './mutate/types.ts';
import type { ObserveInput, ObserveVerdict } from './observe/types.ts';

/** Names one generation; every idempotency key begins with it. */
export interface GenerationKey {
  org: string;
  generation: number;
  rerun: number;
}

export type * from './mutate/types.ts';

/**
 * Captured training messages, split by content: candidates are timed on `fit`, an elite again on
 * `check`.
 */
export interface Corpus {
  fit: Ref;
  check: Ref;
}

// ---- sample -----------------------------------------------------------------------------------

export interface SampleInput extends GenerationKey {
  configuration: ConfigurationRef;
  messages_min: number;
}
export type SampleVerdict =
  | { verdict: 'sampled'; corpus: Corpus; profile: Ref; messages: number }
  | { verdict: 'insufficient'; messages: number };

// ---- specialize -------------------------------------------------------------------------------

export interface SpecializeInput extends GenerationKey {
  configuration: ConfigurationRef;
}
export interface Specialization {
  spec: Ref;
  seed: Ref;
}

// ---- build ------------------------------------------------------------------------------------

export interface CandidateBuildInput extends GenerationKey {
  candidate: string;
  source: Ref;
  spec: Ref;
  /** Digest of the configuration in which the component must be new; absent: it need not be. */
  new_in?: string;
  /** Of a re-run: the candidate whose recorded build answers, while its bytes are there. */
  recorded?: string;
  /** Of the fleet: in whose traffic none of its literals may occur. */
  corpus?: Corpus;
}
export type SourceVerdict =
  | { verdict: 'pass' }
  | { verdict: 'refused'; rule: string; reason: string; line: number; column: number };
export type BuildVerdict =
  /**
   * `linked`: the record of the libraries that the component was linked with. `twin`: a candidate
   * of before with the same component.
   */
  | { verdict: 'built'; component: Ref; linked: Ref; seconds: number; twin?: string }
  | { verdict: 'compile-error'; reason: string; log: Ref; seconds: number }
  | { verdict: 'timeout' | 'out-of-memory' | 'too-large'; reason: string; seconds: number };
export interface ModuleInput extends GenerationKey {
  candidate: string;
  component: Ref;
  /** A tenant brought it: it may be larger, and import the empty WASI world. */
  foreign?: true;
}
export type ModuleVerdict =
  /** What its code consists of; absent in what was recorded before that was counted. */
  | { verdict: 'pass'; instructions?: Instructions }
  | { verdict: 'refused'; rule: string; reason: string };

// ---- prove ------------------------------------------------------------------------------------

export interface ProveInput extends GenerationKey {
  candidates: { id: string; component: Ref; linked: Ref }[];
}
/** Versions of the verifier and of what it stands on. */
export interface VerifierTools {
  verus: string;
  rust: string;
  z3: string;
  vstd: string;
}
/** How far the codec that a component links is proven; stands in the manifest as it is here. */
export type Proof =
  | { verdict: 'attested'; codec: string; attestation: string; date: string }
  | {
      verdict: 'verified';
      codec: string;
      functions_verified: number;
      errors: 0;
      tools: VerifierTools;
    };
export type ProofVerdict =
  | Proof
  /** `reason` is one of the words of `activities/prove`; the codec is null where none was found. */
  | { verdict: 'refused'; codec: string | null; reason: string; detail: string };
export interface ProvedCandidate {
  id: string;
  proof: ProofVerdict;
  /** The attestation, or the verifier's log. */
  evidence: string | null;
  seconds: number | null;
}
export interface ProveResult {
  candidates: ProvedCandidate[];
}

// ---- benchmark --------------------------------------------------------------------------------

export interface BenchmarkInput extends GenerationKey {
  configuration: ConfigurationRef;
  corpus: Corpus;
  candidates: { id: string; component: Ref }[];
  /** Null = what serves without a tenant's module: the fleet's, or the baseline. */
  incumbent: ActiveModule | null;
  seconds: number;
  promotion_ratio: number;
  /** Of a quick run: what is surely below it is timed no further. Absent: no quick run. */
  quick_ratio?: number;
  /** Of what takes some hundred times as long as others: so many messages are enough. */
  messages_max?: number;
  /** A short look at a proposal: never the measurement that a promotion rests on. */
  trial?: true;
}
export interface Measurement {
  /** On training messages. */
  us_per_message: number;
  fuel_per_point: number;
  /** Comparable between generations (`benchmark/cascade.ts`). */
  ratio_to_baseline: number;
  /** To the incumbent (the reference); of an elite on messages that were kept apart. */
  ratio: number;
  ci95: [number, number];
}
export type BenchmarkVerdict = { id: string } & (
  | ({ verdict: 'faster' | 'slow' } & Measurement)
  /** Of the fleet: an organization surely loses by it. */
  | ({ verdict: 'loses'; reason: string } & Measurement)
  | { verdict: 'diverged' | 'trapped' | 'unmeasured'; reason: string }
);
export interface BenchmarkResult {
  evidence: Ref;
  seconds: number;
  candidates: BenchmarkVerdict[];
}

// ---- record -----------------------------------------------------------------------------------

/** One gate's answer for one candidate. */
export interface GateRecord {
  candidate: string;
  gate: Gate;
  passed: boolean;
  verdict: string;
  reason: string | null;
  evidence: string | null;
  seconds: number | null;
  /** What the module policy counted in the component. */
  instructions?: Instructions;
}
export interface RecordInput extends GenerationKey {
  configuration: ConfigurationRef;
  spec: Ref;
  /** Workflow time: it is in the commit, which must be the same when written again. */
  at_ms: number;
  /** The commit is made by `commit`, once the shadow has answered. */
  commits_later?: true;
  answers: GateRecord[];
  candidates: CandidateOutcome[];
}
export interface Recorded {
  /** Commit of the lineage; null = it is made later, by `commit`. */
  commit: string | null;
}
export interface CommitInput extends GenerationKey {
  configuration: ConfigurationRef;
  spec: Ref;
  seed: Ref;
  at_ms: number;
  /** The candidate that passed the shadow; null = none. */
  winner: string | null;
  outcome: string;
  candidates: CandidateOutcome[];
}
export interface Committed {
  commit: string;
}
export interface ConcludeInput extends GenerationKey {
  configuration: ConfigurationRef;
  outcome: GenerationOutcome;
  detail: string | null;
  commit: string | null;
  answers: GateRecord[];
  candidates: CandidateOutcome[];
  promoted: ActiveModule | null;
  /** The generation could not tell its end: what it told before stands. */
  lost?: true;
}
export interface Concluded {
  /** What the ledger of model calls says of the generation; null = nobody keeps one. */
  spent: { micro_usd: number; tokens: number } | null;
}

// ---- shadow -----------------------------------------------------------------------------------

export interface ShadowInput extends GenerationKey {
  configuration: string;
  candidate: string;
  component: Ref;
  /** A tenant brought it: its speed is not judged. */
  foreign?: true;
}
export type ShadowVerdict =
  | { verdict: 'pass' | 'fail' | 'insufficient' }
  | { verdict: 'refused'; reason: string; detail: string };

// ---- sign and publish -------------------------------------------------------------------------

export interface ActiveReading {
  active: ActiveModule | null;
  /** Revision of the active table's entry; 0 = there is none. */
  revision: number;
  /** The next version: above the table's and above any that an aggregator accepted. */
  next_version: number;
}

/** What a statement says of how a module came to be: built here, or brought by a tenant. */
export type Origin = BuiltOrigin | ForeignOrigin;
export interface ForeignOrigin {
  name: string;
  /** Its codec is not ours, and nobody proved it. */
  proof: { verdict: 'foreign' };
  benchmark: BuiltOrigin['benchmark'];
}
export interface BuiltOrigin {
  commit: string;
  mutator: CandidateOutcome['mutator'];
  operator: string;
  prompt: string | null;
  /** Which model made it; null = none. */
  model: string | null;
  linked: Ref;
  proof: Proof;
  benchmark: { evidence: string; ratio: number; ci95: [number, number] };
}
export type ManifestSubject =
  | { of: 'candidate'; kind: 'promote'; module: Ref; origin: Origin }
  /** The same module again (renewal), or an earlier one: module and origin of that statement. */
  | { of: 'earlier'; kind: 'promote' | 'rollback'; statement: string }
  | { of: 'nothing'; kind: 'tombstone' };
export interface SignInput {
  org: string;
  configuration: string;
  version: number;
  previous: string | null;
  issued_at_ms: number;
  expires_at_ms: number;
  subject: ManifestSubject;
  workflow: { id: string; run_id: string };
}
export type SignVerdict =
  | { verdict: 'signed'; envelope: Ref; active: ActiveModule }
  | { verdict: 'refused'; reason: string; detail: string };

export interface PublishInput {
  org: string;
  envelope: Ref;
  active: ActiveModule;
  revision: number;
}
export type PublishVerdict =
  | { verdict: 'published'; revision: number }
  | { verdict: 'conflict'; reason: string };

export interface ConfirmInput {
  org: string;
  configuration: string;
  version: number;
  kind: ManifestKind;
  since_ms: number;
  seconds: number;
}
export type ConfirmVerdict =
  | { verdict: 'swapped' }
  | { verdict: 'refused'; reason: string }
  | { verdict: 'timeout' };

// ---- the table --------------------------------------------------------------------------------

export interface CaptureInput {
  org: string;
  configuration: string;
}
export interface DemotionInput {
  org: string;
  configuration: string;
  module: string;
  reason: string;
}
export interface ManifestInput {
  org: string;
  active: ActiveModule;
}
export interface RestoreInput {
  org: string;
}
export interface Restored {
  /** Number of the newest generation in the archive, 0 = none. */
  generation: number;
}

/** All activities, by name. `control/workers.ts` says which queue runs which. */
export interface Activities {
  // queue `control`
  captureStatus(input: CaptureInput): Promise<CaptureStatus>;
  readActive(input: { org: string; configuration: string | null }): Promise<ActiveReading>;
  shadow(input: ShadowInput): Promise<ShadowVerdict>;
  sign(input: SignInput): Promise<SignVerdict>;
  publish(input: PublishInput): Promise<PublishVerdict>;
  confirm(input: ConfirmInput): Promise<ConfirmVerdict>;
  // queue of the evolver host; `mutate` also on queue `llm`
  restore(input: RestoreInput): Promise<Restored>;
  sample(input: SampleInput): Promise<SampleVerdict>;
  specialize(input: SpecializeInput): Promise<Specialization>;
  plan(input: PlanInput): Promise<Plan>;
  mutate(input: MutateInput): Promise<MutateVerdict>;
  admit(input: AdmitInput): Promise<Admitted>;
  readmit(input: ReadmitInput): Promise<GenerationInputs>;
  checkSource(input: CandidateBuildInput): Promise<SourceVerdict>;
  build(input: CandidateBuildInput): Promise<BuildVerdict>;
  checkModule(input: ModuleInput): Promise<ModuleVerdict>;
  prove(input: ProveInput): Promise<ProveResult>;
  benchmark(input: BenchmarkInput): Promise<BenchmarkResult>;
  record(input: RecordInput): Promise<Recorded>;
  commit(input: CommitInput): Promise<Committed>;
  /** Nothing where a history from before it told what was spent is replayed. */
  conclude(input: ConcludeInput): Promise<Concluded | undefined>;
  observe(input: ObserveInput): Promise<ObserveVerdict>;
  challenge(input: ChallengeInput): Promise<ChallengeVerdict>;
  recordDemotion(input: DemotionInput): Promise<void>;
  recordManifest(input: ManifestInput): Promise<void>;
}

/** Types of faults that no retry can mend; the retry policies name them. */
export const FATAL = {
  invalidProfile: 'InvalidProfile',
  keyRefused: 'KeyRefused',
  notAuthorised: 'NotAuthorised',
  missingObject: 'MissingObject',
  kit: 'KitUnusable',
  llmAuth: 'LlmAuth',
  llmBadRequest: 'LlmBadRequest',
  llmRefusal: 'LlmRefusal',
  verifierMissing: 'VerifierMissing',
} as const;
