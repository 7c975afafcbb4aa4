/** What the ledgers of the mutators say, whatever became of the proposals. */
import type { Mutator } from '../../evolver/mutator.ts';
import type { Deps } from '../deps.ts';
import type { Spent } from '../types.ts';

/** Of all proposals whose ids begin so. */
export function charged(mutators: Deps['mutators'], ids: string): Omit<Spent, 'seconds'> {
  const charges = ledgers(mutators).map((mutator) => mutator.charged(ids));
  const sum = (part: (charge: (typeof charges)[number]) => number) =>
    charges.reduce((total, charge) => total + part(charge), 0);
  return {
    micro_usd: sum(({ microUsd }) => microUsd),
    tokens_in: sum(({ tokensIn }) => tokensIn),
    tokens_out: sum(({ tokensOut }) => tokensOut),
  };
}

export function keepsLedger(mutators: Deps['mutators']): boolean {
  return ledgers(mutators).length > 0;
}

type Ledger = Required<Pick<Mutator, 'charged'>>;

function ledgers(mutators: Deps['mutators']): Ledger[] {
  return Object.values(mutators).filter((mutator): mutator is Mutator & Ledger => {
    return mutator.charged !== undefined;
  });
}
