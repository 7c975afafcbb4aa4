import type { Spread } from '../../profile.ts';
import type { Operator } from '../operator.ts';

/**
 * Where filters are evaluated: for every point, for every tag-set, or as bits over tag-sets. `fit`:
 * metric by metric, by narrow bits, wide ones (up to the number) or lists, whatever it takes. Who
 * serves everybody meets messages of every width.
 */
export const match: Operator = {
  name: 'match',
  about: 'matching filters',
  structural: true,
  plain: 'set',
  options: ({ level, profile }) => {
    const [narrow, wide] = odds(profile.sets);
    const rest = [
      { value: 'point', prior: 0.1 },
      { value: 'set', prior: 0.7 },
    ];
    if (level === 'fleet') {
      const bits = [
        { value: 'bits64', prior: 1 },
        { value: 'bits128', prior: 1 },
      ];
      const fit = [
        { value: 'fit64', prior: narrow },
        { value: 'fit128', prior: 6 + wide },
      ];
      return [...rest, ...bits, ...fit];
    }
    return [...rest, { value: 'bits64', prior: narrow }, { value: 'bits128', prior: wide }];
  },
  // Dispatch by a literal decides by itself; only the way for rare messages would match then.
  matters: (genes) => genes.dispatch === 'scan',
  apply: (value) => ({ bits: value === 'bits128' ? '128' : '64' }),
};

/**
 * A message with more tag-sets than bits goes the slow general way: a few of those cost more than
 * narrow bits save on all others.
 */
function odds({ median, max }: Spread): [narrow: number, wide: number] {
  if (median > 64) return [1, 8];
  return max > 64 ? [3, 6] : [8, 2];
}
