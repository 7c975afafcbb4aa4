import type { Operator, Situation } from '../operator.ts';
import { isFitted } from './group.ts';

/** Of tag-sets that differ only in what no rule looks at, one is looked at for all. */
export const memo: Operator = {
  name: 'memo',
  about: 'tag-sets alike',
  plain: 'none',
  options: (situation) => {
    const prior = unseenKeys(situation) > 0 ? 0.8 : 0.2;
    return [
      { value: 'none', prior: 3 },
      { value: 'twins', prior },
    ];
  },
  // One by one, points are matched whatever tag-set they are of.
  matters: (genes) => genes.dispatch !== 'scan' || (genes.match !== 'point' && !isFitted(genes)),
};

/** How many keys of the traffic the rules of some metric do not look at. */
function unseenKeys(situation: Situation): number {
  const seen = situation.profile.keys.length;
  if (situation.level === 'fleet') return seen;
  const uses = situation.tables.metricKeys.map((keys) => keys.length);
  return Math.max(0, seen - Math.min(...uses, seen));
}
