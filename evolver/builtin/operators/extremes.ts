import type { Operator } from '../operator.ts';
import { isMasks } from './group.ts';

/**
 * Greatest and least values: floats compared one by one, or integers of the same order, without a
 * branch.
 */
export const extremes: Operator = {
  name: 'extremes',
  about: 'greatest and least values',
  plain: 'compare',
  options: ({ tables }) => {
    const asked = tables.rules.some(({ kind }) => kind === 'max' || kind === 'min');
    if (!asked) return [{ value: 'compare', prior: 1 }];
    return [
      { value: 'compare', prior: 2 },
      { value: 'keys', prior: 3 },
    ];
  },
  matters: (genes) => isMasks(genes),
};
