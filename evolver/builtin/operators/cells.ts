import type { Operator } from '../operator.ts';

/** Accumulators side by side in one record, or each quantity in an array of its own. */
export const cells: Operator = {
  name: 'cells',
  about: 'layout of accumulators',
  plain: 'record',
  options: () => [
    { value: 'record', prior: 2 },
    { value: 'arrays', prior: 2 },
  ],
  matters: (genes) => genes.dispatch !== 'scan',
  apply: (value) => {
    const one = (name: string) => (value === 'record' ? `cell.${name}` : `self.${name}[at]`);
    return { cell_sum: one('sum'), cell_max: one('max'), cell_min: one('min') };
  },
};
