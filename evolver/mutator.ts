/**
 * The seam between a generation and whoever proposes new sources: the built-in grammar or a
 * language model.
 */
import type { Rule } from '../control/configuration/index.ts';
import type { Arm, PatchKind, WeightedArm } from './arms.ts';
import type { TrafficProfile } from './profile.ts';
import type { RandomState } from './random.ts';

export type { TrafficProfile } from './profile.ts';
export type { RandomState } from './random.ts';

/** The largest `aggregate.rs`, in bytes; the source policy refuses a larger one. */
export const SOURCE_LIMIT = 16_384;

export interface Parent {
  id: string;
  source: string;
  /** Ratio to the baseline on training traffic, when it was measured. */
  ratio?: number | null;
}

export interface Inspiration {
  id: string;
  source: string;
  ratio: number;
}

/** What was tried in this configuration: sources of candidates with their outcome, newest last. */
export interface Tried {
  source: string;
  /** Ratio to the baseline; null when the candidate never was timed (refused, wrong, trapped). */
  ratio: number | null;
}

/**
 * Who a module is for. `tenant`: one configuration, with its rules as constants in `spec.rs`.
 * `fleet`: every organization, with rules as data; its `spec.rs` is always the same
 * (`specialiseFleet`), and its source holds no name and no value of anybody.
 */
export type Level = 'tenant' | 'fleet';

export interface ProposalRequest {
  /** Id of the candidate that the proposal becomes. */
  id?: string;
  /** Absent = `tenant`. */
  level?: Level;
  /** Empty at the level of the fleet, whose profile has no keys and no rules either. */
  rules: readonly Rule[];
  parent: Parent;
  inspirations: readonly Inspiration[];
  random: RandomState;
  profile: TrafficProfile;
  /** Sources not to propose again, and what they were worth. */
  tried?: readonly Tried[];
  /** How to propose; without one the mutator chooses. */
  arm?: Arm;
  allowance?: Allowance;
  /** Says why a source is nothing new; null = it is. */
  repetition?: (source: string) => string | null;
  /** Without it a model cannot be asked. */
  dialogue?: Dialogue;
  /** Of a re-run: the candidate whose recorded conversation answers, as long as it is the same. */
  recordedOf?: string;
}

/** Where a conversation belongs, and how it went on after proposals that failed a check. */
export interface Dialogue {
  org: string;
  configuration: string;
  /** What the proposals before this one failed by, in turn. */
  failures: readonly string[];
  signal?: AbortSignal;
}

/** What a proposal may still cost; null = no limit. */
export interface Allowance {
  usd: number | null;
  tokens: number | null;
}

export interface Charge {
  microUsd: number;
  tokensIn: number;
  tokensOut: number;
}

export interface Proposal {
  source: string;
  /** The operators applied, e.g. `seed:mask64+fast-window` or `cross+unroll`. */
  operator: string;
  /** One line for people. */
  summary: string;
  /** Where the next proposal's draws go on. */
  random: RandomState;
  /** What it is made of; without it, that of the arm. */
  patchKind?: PatchKind;
  model?: string;
  /** Digests of the prompt, and of the whole conversation. */
  prompt?: string;
  transcript?: string;
  charge?: Charge;
}

/** No proposal came of it: an answer, not a fault, and charged for all the same. */
export interface NoProposal {
  none: string;
  transcript?: string;
  charge?: Charge;
}

export interface Mutator {
  readonly name: 'builtin' | 'llm';
  /**
   * The ways in which it can propose; absent = one, of its own choice. `weak`: the parent is the
   * first form, or far behind the best.
   */
  arms?(weak: boolean): readonly WeightedArm[];
  /** Whether what is left for the organization is enough to begin; absent = it costs nothing. */
  affords?(arm: Arm, org: string): boolean;
  /** What proposals with such ids were charged so far; absent = they cost nothing. */
  charged?(ids: string): Charge;
  propose(request: ProposalRequest): Promise<Proposal | NoProposal>;
}
