import type { Spread } from '../../profile.ts';
import type { Operator } from '../operator.ts';

/** Bits of the widest masks: beyond them only fitted ways have one that is quick. */
const WIDE = 128;

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
    const fleet = level === 'fleet';
    return [
      { value: 'point', prior: 0.1 },
      { value: 'set', prior: 0.7 },
      { value: 'bits64', prior: fleet ? 1 : narrow },
      { value: 'bits128', prior: fleet ? 1 : wide },
      { value: 'fit64', prior: narrow },
      { value: 'fit128', prior: fleet || profile.sets.max > WIDE ? 6 + wide : 4 },
    ];
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
