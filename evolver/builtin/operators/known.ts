import type { Operator, Setting } from '../operator.ts';
import { isFitted } from './group.ts';

/** More rules need the memory themselves that series would be remembered in. */
const RULES_MAX = 4_000;
/** Of more rules a series there is not room for enough series. */
const TAKERS_MAX = 32;
/** Of fewer, matching anew costs about what remembering does. */
const TAKERS_LIKELY = 8;
/** More have no room for a column each. */
const COLUMNS_MAX = 400;
/** Where messages have more tag-sets, hardly another way comes near. */
const SETS_MANY = 200;

/**
 * What the filters and group-bys say of a tag-set is remembered from message to message, in a
 * bounded table that compares contents: series by series the groups, for messages that lie within
 * one window; or rule by rule a column of all series.
 */
export const known: Operator = {
  name: 'known',
  about: 'series met before',
  plain: 'none',
  options: (situation) => {
    const none = { value: 'none', prior: 3 };
    // Instances of the fleet are many, and their rules of any size.
    if (situation.level === 'fleet') return [none];
    const all = situation.tables.rules.length;
    const { rules, sets, singleWindow } = situation.profile;
    const takers = (rules ?? []).reduce((sum, share) => sum + share, 0);
    const settings: Setting[] = [none];
    if (all <= RULES_MAX && takers <= TAKERS_MAX && singleWindow > 0) {
      const prior = (takers < TAKERS_LIKELY ? 0.5 : 3) * singleWindow;
      settings.push({ value: 'series', prior });
    }
    if (all <= COLUMNS_MAX) {
      const dense = takers >= TAKERS_LIKELY && 2 * takers >= all;
      const many = sets.median >= SETS_MANY;
      settings.push({ value: 'grid', prior: dense ? (many ? 12 : 2) : 0.3 });
    }
    return settings;
  },
  matters: (genes) => !isFitted(genes),
};
