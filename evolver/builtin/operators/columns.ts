import type { Operator, Situation } from '../operator.ts';
import { isFitted } from './group.ts';

/**
 * Which columns of keys are decoded: those that some rule looks at, or of them only those that a
 * rule of a metric in the message looks at.
 */
export const columns: Operator = {
  name: 'columns',
  about: 'decoding keys',
  plain: 'all',
  options: (situation) => {
    if (!differ(situation)) return [{ value: 'all', prior: 1 }];
    return [
      { value: 'all', prior: 2 },
      { value: 'met', prior: 3 },
    ];
  },
  // Fitted ways decode a column when it is asked for.
  matters: (genes) => !isFitted(genes),
};

/** Whether a metric has no use for some other's key; of the fleet's rules, surely one has none. */
function differ(situation: Situation): boolean {
  if (situation.level === 'fleet') return true;
  const { keys, metricKeys } = situation.tables;
  return metricKeys.some((uses) => uses.length < keys.length);
}
