import type { Operator } from '../operator.ts';

/** Comparing a string with the literal that its hash points to. */
export const compare: Operator = {
  name: 'compare',
  about: 'comparing strings',
  plain: 'slice',
  options: () => [
    { value: 'slice', prior: 2 },
    { value: 'words', prior: 3 },
  ],
  matters: (genes) => genes.literals === 'table',
};
