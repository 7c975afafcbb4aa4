import type { Operator } from '../operator.ts';

/**
 * How groups share work. `flat`: group-bys form a tree, each step splits only what still shares a
 * group, and a subset that a step leaves whole keeps its sums. `shared`: equal subsets of different
 * branches are found, too.
 */
export const group: Operator = {
  name: 'group',
  about: 'sharing between group-bys',
  plain: 'flat',
  options: (situation) => {
    const many = situation.level === 'fleet' || situation.tables.groups.length > 4;
    return [
      { value: 'flat', prior: 4 },
      { value: 'shared', prior: many ? 4 : 1 },
    ];
  },
  matters: (genes) => isMasks(genes) || isFitted(genes),
  apply: (value) => ({ shared: String(value === 'shared') }),
};

/** Whether filters are bits over tag-sets. */
export function isMasks(genes: Readonly<Record<string, string>>): boolean {
  return genes.dispatch === 'scan' && (genes.match === 'bits64' || genes.match === 'bits128');
}

/** Whether the way is chosen message by message, by the width of its metrics. */
export function isFitted(genes: Readonly<Record<string, string>>): boolean {
  return genes.dispatch === 'scan' && (genes.match === 'fit64' || genes.match === 'fit128');
}
