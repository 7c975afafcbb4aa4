/**
 * Where a module's speed comes from: its ratio to the baseline as a product of what specialisation,
 * the built-in search and models brought.
 */

/** A candidate among the ancestors of a module, as far as this looks at it. */
export interface Ancestor {
  mutator: string;
  /** Ratio to the baseline; null = it never was timed. */
  ratio: number | null;
}

export interface GainSplit {
  /** Ratio of the module to the baseline; the product of the others. */
  total: number;
  specialisation: number;
  builtin: number;
  llm: number;
}

/**
 * `line` leads from the module to its oldest ancestor; `specialised` is the ratio of the first form
 * on its own. Each step of the line counts for the mutator that made it. Ratios of a line were
 * measured at different times, so the steps are scaled to multiply to the total. Null while either
 * end of it is not measured.
 */
export function splitGain(line: readonly Ancestor[], specialised: number | null): GainSplit | null {
  const total = line[0]?.ratio ?? null;
  if (total === null || specialised === null || !(total > 0) || !(specialised > 0)) return null;
  const steps = { builtin: 0, llm: 0 };
  const timed = line.filter((each): each is Ancestor & { ratio: number } => each.ratio !== null);
  for (const [index, { mutator, ratio }] of timed.entries()) {
    if (mutator !== 'builtin' && mutator !== 'llm') break;
    steps[mutator] += Math.log(ratio / (timed[index + 1]?.ratio ?? specialised));
  }
  const evolved = Math.log(total / specialised);
  const share = shares(steps, evolved, line[0]?.mutator ?? '');
  return {
    total,
    specialisation: specialised,
    builtin: Math.exp(share.builtin),
    llm: Math.exp(share.llm),
  };
}

/** Steps that cancel out say nothing: then the last one to change the module counts. */
function shares(steps: { builtin: number; llm: number }, evolved: number, last: string) {
  const sum = steps.builtin + steps.llm;
  if (Math.abs(sum) < 1e-9) {
    return { builtin: last === 'llm' ? 0 : evolved, llm: last === 'llm' ? evolved : 0 };
  }
  const missing = evolved - sum;
  // What the two measurements of one module differ by belongs to whoever changed it most.
  const most = Math.abs(steps.llm) > Math.abs(steps.builtin) ? 'llm' : 'builtin';
  return { ...steps, [most]: steps[most] + missing };
}
