import type { Operator } from '../operator.ts';
import { isFitted } from './group.ts';

/** More rules need the memory themselves that series would be remembered in. */
const RULES_MAX = 4_000;
/** Of more rules a series there is not room for enough series. */
const TAKERS_MAX = 32;
/** Of fewer, matching anew costs about what remembering does. */
const TAKERS_LIKELY = 8;

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
    if (situation.level === 'fleet' || situation.tables.rules.length > RULES_MAX) return [none];
    const { rules, singleWindow } = situation.profile;
    const takers = (rules ?? []).reduce((sum, share) => sum + share, 0);
    if (takers > TAKERS_MAX || singleWindow === 0) return [none];
    const prior = (takers < TAKERS_LIKELY ? 0.5 : 3) * singleWindow;
    return [none, { value: 'series', prior }];
  },
  matters: (genes) => !isFitted(genes),
};
