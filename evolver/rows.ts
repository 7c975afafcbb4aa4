/** What the archive stores and tells: inputs are what a caller writes, rows what it reads back. */
import type { RandomState } from './random.ts';
import type { Features } from './search/features.ts';

export interface GenerationInput {
  /** `<org>/gen/<n>` or `<org>/gen/<n>/r<k>`; organization, number and re-run are read from it. */
  id: string;
  /** Digest of the rules blob. */
  configuration: string;
  /** The parent candidate's id; null = the first form of the configuration's module. */
  parent: string | null;
  random: RandomState;
  /** Where the draws of its plan ended. */
  randomAfter?: RandomState | null;
  /** Digests of the plan and of the profile of its traffic. */
  plan?: string | null;
  profile?: string | null;
  epoch?: number;
  startedAtMs: number;
}

export interface GenerationEnd {
  outcome: string;
  detail?: string | null;
  /** Id of the promoted candidate. */
  promoted?: string | null;
  /** Commit of the lineage. */
  commit?: string | null;
  random?: RandomState | null;
  endedAtMs: number;
}

export interface GenerationRow {
  id: string;
  org: string;
  configuration: string;
  number: number;
  rerun: number;
  parent: string | null;
  random: RandomState;
  randomAfter: RandomState | null;
  /** Figures of one epoch were measured on traffic of one kind. */
  epoch: number;
  plan: string | null;
  /** Digest of its stored inputs, from which it is run again. */
  inputs: string | null;
  profile: string | null;
  /** `running` until it ended. */
  outcome: string;
  detail: string | null;
  promoted: string | null;
  commit: string | null;
  startedAtMs: number;
  endedAtMs: number | null;
  candidates: number;
}

export interface InspirationRef {
  role: string;
  id: string;
}

export interface CandidateInput {
  /** `<generation>/c<slot>`. */
  id: string;
  island?: number;
  parent: string | null;
  inspirations?: readonly InspirationRef[];
  mutator: 'builtin' | 'llm' | 'specialise';
  operator: string;
  patchKind?: string;
  summary?: string;
  model?: string | null;
  /** Digest of the prompt. */
  prompt?: string | null;
  transcript?: string | null;
  /** Of the bandit. */
  arm?: string | null;
  features?: Features | null;
  /** Digest of aggregate.rs. */
  source: string;
  /** Digest of the normalised syntax tree. */
  syntax?: string | null;
  cost?: Partial<Cost>;
  createdAtMs: number;
}

export interface Cost {
  usd: number;
  tokensIn: number;
  tokensOut: number;
  seconds: number;
}

/** Results that arrive later; null and absent leave what is stored alone. */
export interface CandidateResult {
  /** Added to those that are stored. */
  features?: Features | null;
  syntax?: string | null;
  module?: string | null;
  moduleSize?: number | null;
  buildMs?: number | null;
  /** Digest of the benchmark's evidence. */
  benchmark?: string | null;
  ratioToBaseline?: number | null;
  /** Over the incumbent. */
  ratio?: number | null;
  ci95?: readonly [number, number] | null;
  usPerMessage?: number | null;
  fuelPerPoint?: number | null;
}

export interface Verdict {
  gate: string;
  passed: boolean;
  /** One word. */
  verdict: string;
  text?: string | null;
  /** Digest of what the verdict rests on. */
  evidence?: string | null;
  atMs: number;
}

export interface CandidateRow {
  id: string;
  generation: string;
  org: string;
  configuration: string;
  slot: number;
  island: number;
  parent: string | null;
  inspirations: InspirationRef[];
  mutator: string;
  operator: string;
  patchKind: string;
  summary: string;
  model: string | null;
  prompt: string | null;
  transcript: string | null;
  arm: string | null;
  features: Features | null;
  source: string;
  syntax: string | null;
  module: string | null;
  moduleSize: number | null;
  buildMs: number | null;
  benchmark: string | null;
  ratioToBaseline: number | null;
  ratio: number | null;
  ci95: [number, number] | null;
  usPerMessage: number | null;
  fuelPerPoint: number | null;
  cost: Cost;
  createdAtMs: number;
  children: number;
  verdicts: Verdict[];
}

export interface AttemptInput {
  /** `<generation>/c<slot>/a<n>`. */
  id: string;
  generation: string;
  mutator: string;
  stage: string;
  outcome: string;
  detail?: string | null;
  source?: string | null;
  /** Digest of the conversation in which it was made. */
  transcript?: string | null;
  arm?: string | null;
  costUsd?: number;
  tokensIn?: number;
  tokensOut?: number;
  atMs: number;
}

/** What the bandit looks back on: a candidate, or a slot that came to nothing. */
export interface TrialRow {
  arm: string;
  ratio: number | null;
  parentRatio: number | null;
  usd: number;
  generation: number;
}

export interface ObservationInput {
  /** `<org>/observation/<time>`. */
  id: string;
  org: string;
  configuration: string;
  /** The module that served. */
  module: string | null;
  /** Digest of the profile. */
  profile: string;
  messages: number;
  /** From the traffic that the module was measured on; null = that is not known. */
  distance: number | null;
  /** Ratio to what serves without the module, now; null = not measured. */
  advantage: number | null;
  verdict: 'steady' | 'moved' | 'shrunk';
  reason: string | null;
  atMs: number;
}

export interface PromotionInput {
  org: string;
  version: number;
  configuration: string;
  kind: 'promote' | 'rollback' | 'tombstone';
  candidate: string | null;
  module: string | null;
  /** Digest of the statement. */
  manifest?: string | null;
  atMs: number;
}

export interface Page<Row> {
  rows: Row[];
  /** Hand it to the next call; null = there is no more. */
  next: string | null;
}

export interface Totals {
  generations: number;
  candidates: number;
  attempts: number;
  promoted: number;
  costUsd: number;
  /** Candidates stopped, by gate. */
  rejected: Record<string, number>;
}
