import type { Operator, Situation } from '../operator.ts';
import { isFitted, isMasks } from './group.ts';

/**
 * Greatest and least values: floats compared one by one, or integers of the same order, without a
 * branch.
 */
export const extremes: Operator = {
  name: 'extremes',
  about: 'greatest and least values',
  plain: 'compare',
  options: (situation) => {
    if (!isAsked(situation)) return [{ value: 'compare', prior: 1 }];
    return [
      { value: 'compare', prior: 2 },
      { value: 'keys', prior: 3 },
    ];
  },
  matters: (genes) => isMasks(genes) || isFitted(genes),
  apply: (value) => ({ bound: value === 'keys' ? 'i64' : 'f64' }),
};

/** Whether a rule asks for a greatest or least value; of the fleet, surely one does. */
function isAsked(situation: Situation): boolean {
  if (situation.level === 'fleet') return true;
  return situation.tables.rules.some(({ kind }) => kind === 'max' || kind === 'min');
}
