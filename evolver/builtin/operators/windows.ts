import type { Operator } from '../operator.ts';
import { isFitted } from './group.ts';

/** Messages that lie within one window of every rule need no timestamps at all. */
export const windows: Operator = {
  name: 'windows',
  about: 'timestamps',
  plain: 'general',
  options: ({ profile }) => [
    { value: 'general', prior: 1 },
    { value: 'single', prior: 2 + 6 * profile.singleWindow },
  ],
  matters: (genes) => !isFitted(genes),
};
