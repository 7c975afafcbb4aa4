import type { Operator } from '../operator.ts';
import { isMasks } from './group.ts';

/** Whether room for the records is made beforehand. */
export const emit: Operator = {
  name: 'emit',
  about: 'writing records',
  plain: 'push',
  options: () => [
    { value: 'push', prior: 2 },
    { value: 'reserve', prior: 2 },
  ],
  matters: (genes) => isMasks(genes) || genes.dispatch !== 'scan',
};
