/** What stage `mutate` takes and answers: plans, proposals, and what they cost. */
import type { SearchSettings } from '../../evolver/search/settings.ts';
import type {
  Allowance,
  Answers,
  ConfigurationRef,
  Gate,
  MutatorChoice,
  MutatorName,
  Ref,
} from '../../workflows/messages.ts';
import type { Corpus, GenerationKey, Specialization } from '../types.ts';

/** A candidate before any gate. */
export interface CandidateSource {
  id: string;
  index: number;
  source: Ref;
  mutator: MutatorName | 'specialise';
  operator: string;
  summary: string;
  /** Archive id of the parent; null for the first form. */
  parent: string | null;
  /** How it came to be; absent in what was recorded before it was kept. */
  origin?: CandidateOrigin;
  cost?: Spent;
}

export interface CandidateOrigin {
  /** `armId` of the bandit's arm; null = none was chosen. */
  arm: string | null;
  patch: string;
  island: number;
  inspirations: { role: string; id: string }[];
  model: string | null;
  /** Digests: of the prompt, of the conversation, of the normalised tokens of the source. */
  prompt: string | null;
  transcript: string | null;
  syntax: string | null;
}

/** What was spent on something. */
export interface Spent {
  micro_usd: number;
  tokens_in: number;
  tokens_out: number;
  seconds: number;
}

/** Something proposed that did not become a candidate: a row of the attempts. */
export interface AttemptRecord {
  outcome: string;
  detail: string;
  source: string | null;
  /** Digest of the conversation so far; null = there was none. */
  transcript: string | null;
  micro_usd: number;
  tokens_in: number;
  tokens_out: number;
}

export interface PlanInput extends GenerationKey {
  configuration: ConfigurationRef;
  specialization: Specialization;
  profile: Ref;
  candidates: number;
  mutator: MutatorChoice;
  /** Absent: the defaults. */
  search?: SearchSettings;
  /** With these the inputs of the generation are stored before the mutators are asked. */
  corpus?: Corpus;
  messages?: number;
}
/** `plan` holds parents, inspirations and random states; a slot is one proposal to make. */
export interface Plan {
  plan: Ref;
  slots: PlanSlot[];
  /** The first form alone: generation 0 of its configuration. */
  unevolved?: true;
  /** Fewer candidates than wanted, as little is known yet (`search.growth`). */
  growing?: true;
  /** The inputs without candidates: enough to run the generation again. */
  inputs?: Ref;
}
export interface PlanSlot {
  index: number;
  mutator: MutatorName | 'specialise';
  parent: string | null;
  /** Of the bandit. */
  arm?: string | null;
}
export interface MutateInput extends GenerationKey {
  plan: Ref;
  index: number;
  mutator: MutatorName | 'specialise';
  /** Sources proposed in this generation before: not to be proposed again. */
  siblings: Ref[];
  /** What the proposal may cost; absent: no limit. */
  allowance?: Allowance;
  /** Of a re-run: the candidate of the first attempt, and whether models are asked anew. */
  recorded?: CandidateSource;
  answers?: Answers;
  /** What a model's proposals for this slot failed by so far. */
  failures?: ProposalFailure[];
}
/** Why a proposal goes back to the model that made it. */
export interface ProposalFailure {
  gate: Gate;
  verdict: string;
  reason: string;
  /** The compiler's. */
  log: Ref | null;
  source: Ref;
  /** To the baseline, of one that was right and slower than its parent. */
  ratio: number | null;
}
export type MutateVerdict = (
  | { verdict: 'proposed'; candidate: CandidateSource; parent_ratio?: number | null }
  | { verdict: 'none'; reason: string; cost?: Spent; transcript?: string }
) & { attempts?: AttemptRecord[] };

/** A slot without a candidate, and why. */
export interface MissingSlot {
  index: number;
  mutator: string;
  reason: string;
  arm?: string | null;
  /** Absent after a fault: the ledger says. */
  cost?: Spent;
  transcript?: string;
}

/** Everything a re-run needs; stored as one document. */
export interface GenerationInputs {
  schema: number;
  configuration: string;
  corpus: Corpus;
  profile: Ref;
  messages: number;
  specialization: Specialization;
  candidates: CandidateSource[];
  /** From which the mutators can be asked again; absent in what was stored before it was kept. */
  plan?: Plan;
}
export interface AdmitInput extends GenerationKey {
  configuration: ConfigurationRef;
  inputs: GenerationInputs;
  missing: MissingSlot[];
  /** By slot: what was proposed on the way. */
  attempts?: Record<string, AttemptRecord[]>;
}
export interface Admitted {
  inputs: Ref;
}
/** A re-run: the same inputs under the ids of this attempt, admitted to the archive. */
export interface ReadmitInput extends GenerationKey {
  configuration: ConfigurationRef;
  inputs: Ref;
  /** Its mutators are asked again: the candidates are told, and not admitted. */
  again?: 'mutate';
}
