import type { Operator } from '../operator.ts';
import { isMasks } from './group.ts';

/**
 * Whether a part of a group is a lone tag-set is anybody's guess where keys have many values: a
 * branch, or both outcomes worked out and one selected.
 */
export const split: Operator = {
  name: 'split',
  about: 'splitting groups',
  plain: 'branch',
  options: () => [
    { value: 'branch', prior: 2 },
    { value: 'select', prior: 2 },
  ],
  matters: isMasks,
};
