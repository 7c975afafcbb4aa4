/** What an evolution has used of its budget, and what is left: pure functions of a state. */
import type { Allowance, Budget, BudgetUsed, Spending } from './messages.ts';
import type { OrganizationState } from './state.ts';

export function whySpent(budget: Budget, spent: Spending): string | null {
  const { usd = null, tokens = null, evaluations = null } = budget;
  if (usd !== null && spent.micro_usd >= usd * 1e6) return `budget of $${usd} used`;
  if (tokens !== null && spent.tokens >= tokens) return `budget of ${tokens} tokens used`;
  if (evaluations !== null && spent.evaluations >= evaluations) {
    return `budget of ${evaluations} evaluations used`;
  }
  return null;
}

export function spentOf({ used }: OrganizationState): Spending {
  return used.spent ?? { micro_usd: 0, tokens: 0, evaluations: 0 };
}

export function addSpending(left: Spending, right: Spending): Spending {
  return {
    micro_usd: left.micro_usd + right.micro_usd,
    tokens: left.tokens + right.tokens,
    evaluations: left.evaluations + right.evaluations,
  };
}

/** What the next generation may spend, and how many candidates it may have. */
export function remaining(state: OrganizationState): {
  allowance: Allowance;
  candidates: number;
} {
  const { usd = null, tokens = null, evaluations = null } = state.budget;
  const spent = spentOf(state);
  const left = evaluations === null ? Number.POSITIVE_INFINITY : evaluations - spent.evaluations;
  return {
    allowance: {
      usd: usd === null ? null : Math.max(0, usd - spent.micro_usd / 1e6),
      tokens: tokens === null ? null : Math.max(0, tokens - spent.tokens),
    },
    candidates: Math.max(1, Math.min(state.settings.candidates, left)),
  };
}

export function budgetUsed(state: OrganizationState, now_ms: number): BudgetUsed {
  const { generations, stagnation, since_ms } = state.used;
  const { micro_usd, tokens, evaluations } = spentOf(state);
  const seconds = since_ms === null ? 0 : Math.max(0, Math.round((now_ms - since_ms) / 1_000));
  return { generations, stagnation, seconds, usd: micro_usd / 1e6, tokens, evaluations };
}
