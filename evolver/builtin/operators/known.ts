import type { Operator, TenantSituation } from '../operator.ts';
import { isFitted } from './group.ts';

/** More rules need the memory themselves that series would be remembered in. */
const RULES_MAX = 4_000;
/** Of more rules a series there is not room for enough series. */
const TAKERS_MAX = 32;

/**
 * What the filters and group-bys say of a tag-set is remembered from message to message, in a
 * bounded table that compares contents. It serves messages that lie within one window.
 */
export const known: Operator = {
  name: 'known',
  about: 'series met before',
  plain: 'none',
  options: (situation) => {
    const none = { value: 'none', prior: 3 };
    // Instances of the fleet are many, and their rules of any size.
    if (situation.level === 'fleet' || !isFew(situation)) return [none];
    const { singleWindow } = situation.profile;
    return singleWindow === 0 ? [none] : [none, { value: 'series', prior: 3 * singleWindow }];
  },
  matters: (genes) => !isFitted(genes),
};

/** Whether a series has few rules: those that take a point in are counted, where that was done. */
function isFew({ tables, profile }: TenantSituation): boolean {
  const takers = (profile.rules ?? []).reduce((sum, share) => sum + share, 0);
  return tables.rules.length <= RULES_MAX && takers <= TAKERS_MAX;
}
