import type { Operator } from '../operator.ts';

/** Where filters are evaluated: for every point, for every tag-set, or as bits over tag-sets. */
export const match: Operator = {
  name: 'match',
  about: 'matching filters',
  structural: true,
  plain: 'set',
  options: ({ profile }) => {
    const wide = profile.sets.median > 64;
    return [
      { value: 'point', prior: 0.1 },
      { value: 'set', prior: 0.7 },
      { value: 'bits64', prior: wide ? 3 : 8 },
      { value: 'bits128', prior: wide ? 6 : 2 },
    ];
  },
  // Dispatch by a literal decides by itself; only the way for rare messages would match then.
  matters: (genes) => genes.dispatch === 'scan',
  apply: (value) => ({ bits: value === 'bits128' ? '128' : '64' }),
};
