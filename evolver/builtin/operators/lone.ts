import type { Operator } from '../operator.ts';
import { isMasks } from './group.ts';

/**
 * Tag-sets that are alone in their groups, most of what group-bys of many keys answer: their
 * records written one by one, or prepared but for the rule and copied in one go.
 */
export const lone: Operator = {
  name: 'lone',
  about: 'records of lone tag-sets',
  plain: 'each',
  options: () => [
    { value: 'each', prior: 2 },
    { value: 'run', prior: 2 },
  ],
  matters: isMasks,
};
