/** Every setting of the search, with its default. Validation: `workflows/validate.ts`. */

export interface SearchSettings {
  /** Parents are drawn by rank, by score and children, or by score at a falling temperature. */
  sampling: 'power' | 'weighted' | 'softmax';
  /** Of `power`: 1 gives the best of 40 about 23 % of the draws; 0 is uniform. */
  alpha: number;
  /** Of `weighted`: how sharply a score above the median counts. */
  lambda: number;
  /** Of `softmax`: the temperature falls from `hot` to `cold` over `cycle` generations, again and
   * again. */
  hot: number;
  cold: number;
  cycle: number;
  /** Populations that draw their parents apart from each other. */
  islands: number;
  /** Every so many generations each island's best are copied to the next island. */
  migrate_every: number;
  migrants: number;
  /** Candidates that parents and inspirations are drawn from. */
  archive: number;
  /** Inspirations of a proposal: the best, and those whose code differs most. */
  inspirations_top: number;
  inspirations_diverse: number;
  /** The bandit: weight of what is little tried, share of free draws, memory per generation. */
  exploration: number;
  epsilon: number;
  decay: number;
  /** How strongly an arm's cost counts against it; 0 = not at all. */
  cost_weight: number;
  /** Times that a mutator is asked for a slot, while what it proposes is known already. */
  novelty_tries: number;
  /**
   * A generation has at most so many candidates for each design that came to a verdict before it:
   * what the first ones teach is worth waiting for. 0: as many as are wanted. A generation that is
   * held small is no stagnation.
   */
  growth: number;
  /** A candidate surely below this ratio to the incumbent in a quick run is timed no further. */
  quick_ratio: number;
}

export const DEFAULT_SEARCH: SearchSettings = {
  sampling: 'power',
  alpha: 1,
  lambda: 10,
  hot: 1.2,
  cold: 0.15,
  cycle: 8,
  islands: 2,
  migrate_every: 5,
  migrants: 1,
  archive: 40,
  inspirations_top: 2,
  inspirations_diverse: 2,
  exploration: 1,
  epsilon: 0.2,
  decay: 0.95,
  cost_weight: 0.5,
  novelty_tries: 3,
  growth: 1,
  quick_ratio: 0.8,
};
