/**
 * The seam between a generation and whoever proposes new sources: the built-in grammar or a
 * language model.
 */
import type { Rule } from '../control/configuration/index.ts';
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

export interface ProposalRequest {
  rules: readonly Rule[];
  parent: Parent;
  inspirations: readonly Inspiration[];
  random: RandomState;
  profile: TrafficProfile;
  /** Sources not to propose again, and what they were worth. */
  tried?: readonly Tried[];
}

export interface Proposal {
  source: string;
  /** The operators applied, e.g. `seed:mask64+fast-window` or `cross+unroll`. */
  operator: string;
  /** One line for people. */
  summary: string;
  /** Where the next proposal's draws go on. */
  random: RandomState;
}

export interface Mutator {
  readonly name: 'builtin' | 'llm';
  propose(request: ProposalRequest): Promise<Proposal>;
}
