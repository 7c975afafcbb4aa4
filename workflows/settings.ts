/** Budget and settings of an organization's evolution: wire types and their defaults. */
import { DEFAULT_SEARCH, type SearchSettings } from '../evolver/search/settings.ts';

/**
 * When evolving by itself ends. A new configuration and the update `evolve` start a fresh count.
 */
export interface Budget {
  /** Generations at most. */
  generations: number;
  /** Seconds at most, from the first generation on. */
  seconds: number;
  /**
   * Generations in a row without a promotion, after the first promotion. Those that `search.growth`
   * held small do not count.
   */
  stagnation: number;
  /**
   * Ends as soon as a promoted module reaches this ratio to the baseline (training); null = none.
   */
  target_ratio: number | null;
  /** Dollars, tokens and candidates at most; null or absent = no limit. */
  usd?: number | null;
  tokens?: number | null;
  evaluations?: number | null;
}

/** What a generation spent, and an evolution so far. */
export interface Spending {
  micro_usd: number;
  tokens: number;
  /** Candidates. */
  evaluations: number;
}

/** What may still be spent; null = no limit. */
export interface Allowance {
  usd: number | null;
  tokens: number | null;
}

export interface BudgetUsed {
  generations: number;
  seconds: number;
  stagnation: number;
  usd: number;
  tokens: number;
  evaluations: number;
}

export type MutatorName = 'builtin' | 'llm';
/** Which mutators propose; `all` = every one that the deployment has. */
export type MutatorChoice = MutatorName | 'all';

/**
 * Every setting of an organization's evolution; carried in the workflow's input and validated
 * there.
 */
export interface EvolutionSettings {
  /** Candidates a generation, at most (`search.growth`). */
  candidates: number;
  /** Questions to the shadow service a generation. */
  questions: number;
  /**
   * A candidate is worth a question when the lower bound of its ratio to the incumbent exceeds
   * this.
   */
  promotion_ratio: number;
  /** Captured messages needed before evolving: readable ones and held-back ones. */
  training_min: number;
  held_back_min: number;
  /** How often captured traffic is looked at: first and longest pause, milliseconds. */
  capture_poll_ms: number;
  capture_poll_ms_max: number;
  /** Seconds of one interleaved benchmark. */
  benchmark_seconds: number;
  mutator: MutatorChoice;
  /** The search; absent in organizations from before it could be set: the defaults. */
  search?: SearchSettings;
  /**
   * How often the traffic of a settled organization is looked at, and what starts a new evolution:
   * the distance from the traffic that its module was measured on (1 = a trait doubled), and the
   * share of its gain over the baseline that must be left. Absent: the defaults.
   */
  observe_ms?: number;
  drift_distance?: number;
  drift_advantage?: number;
  /** Life of a manifest; it is renewed at half of it. */
  manifest_life_ms: number;
  /** How long the aggregators may take to confirm a swap. */
  confirm_seconds: number;
  /** Evolve by itself once a new configuration has enough traffic. */
  evolve_on_configure: boolean;
  /**
   * Continue-as-new after this many generations in one run, also when the server does not ask for
   * it.
   */
  generations_per_run: number;
}

export const OBSERVE_MS = 10 * 60_000;
export const DRIFT_LIMITS = { distance: 1, advantage: 0.5 };

export const DEFAULT_BUDGET: Budget = {
  generations: 6,
  seconds: 15 * 60,
  stagnation: 3,
  target_ratio: null,
  usd: null,
  tokens: null,
  evaluations: null,
};

export const DEFAULT_SETTINGS: EvolutionSettings = {
  candidates: 4,
  questions: 3,
  promotion_ratio: 1.1,
  training_min: 64,
  held_back_min: 64,
  capture_poll_ms: 2_000,
  capture_poll_ms_max: 30_000,
  benchmark_seconds: 12,
  mutator: 'all',
  search: DEFAULT_SEARCH,
  observe_ms: OBSERVE_MS,
  drift_distance: DRIFT_LIMITS.distance,
  drift_advantage: DRIFT_LIMITS.advantage,
  manifest_life_ms: 7 * 24 * 3_600_000,
  confirm_seconds: 60,
  evolve_on_configure: true,
  generations_per_run: 100,
};
