/** Arms of the search: who proposes a candidate, with which model, and how. */

export type PatchKind = 'diff' | 'full' | 'crossover';

/** One arm of the bandit. */
export interface Arm {
  mutator: 'builtin' | 'llm';
  /** How it works: `likely`, `seed`, `mutate`, `cross` (built-in); `single`, `rlm` of a model. */
  kind: string;
  model: string | null;
  patch: PatchKind;
}

export interface WeightedArm extends Arm {
  /** How likely it is taken before anything is measured; above 0. */
  weight: number;
  /** Expected cost of one proposal, in dollars. */
  usd: number;
  /** It combines the parent with another candidate: without one it is not offered. */
  needsInspirations: boolean;
}

/** `builtin/<kind>`, `rlm/<model>` or `single/<model>/<patch>`: what rows and plans store. */
export function armId({ mutator, kind, model, patch }: Arm): string {
  if (mutator === 'builtin') return `builtin/${kind}`;
  return kind === 'rlm' ? `rlm/${model}` : `${kind}/${model}/${patch}`;
}
