import type { Operator } from '../operator.ts';
import { isMasks } from './group.ts';

/**
 * What the tag-sets of a group come to: added to the group's accumulator one after the other, or
 * gathered beforehand and written once.
 */
export const subsets: Operator = {
  name: 'subsets',
  about: 'gathering groups',
  plain: 'added',
  options: () => [
    { value: 'added', prior: 2 },
    { value: 'once', prior: 2 },
  ],
  matters: isMasks,
};
