import type { Operator } from '../operator.ts';
import { isFitted } from './group.ts';

/** How a string of the dictionary is recognised as a literal of the rules. */
export const literals: Operator = {
  name: 'literals',
  about: 'recognising literals',
  plain: 'search',
  options: (situation) => {
    const none = situation.level === 'tenant' && situation.tables.values.length === 0;
    return [
      { value: 'search', prior: none ? 4 : 1 },
      { value: 'map', prior: none ? 0.5 : 2 },
      { value: 'table', prior: none ? 0.5 : 6 },
    ];
  },
  matters: (genes) => !isFitted(genes),
};
