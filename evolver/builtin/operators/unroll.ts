import type { Operator } from '../operator.ts';
import { isFitted, isMasks } from './group.ts';

/**
 * How many steps of the innermost loop are written out: a guest checks its deadline once an
 * iteration.
 */
export const unroll: Operator = {
  name: 'unroll',
  about: 'unrolling loops',
  plain: '1',
  options: () => [
    { value: '1', prior: 2 },
    { value: '4', prior: 3 },
    { value: '8', prior: 2 },
  ],
  matters: (genes) => isMasks(genes) || isFitted(genes) || genes.dispatch !== 'scan',
};
