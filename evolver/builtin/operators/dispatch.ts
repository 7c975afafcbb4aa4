import type { Tables } from '../../spec/tables.ts';
import type { Operator } from '../operator.ts';

const CASES_MAX = 65_536;

/**
 * From the literal of a tag straight to the rules that ask for it, instead of rule by rule. Holds
 * when every filter is one comparison, all of the same key, and no group-by needs another key: a
 * rule then has one group.
 */
export const dispatch: Operator = {
  name: 'dispatch',
  about: 'finding rules',
  structural: true,
  plain: 'scan',
  options: (situation) => {
    const tables = situation.level === 'tenant' ? situation.tables : null;
    if (tables === null || dispatchKey(tables) === null) return [{ value: 'scan', prior: 1 }];
    const options = [
      { value: 'scan', prior: 1 },
      { value: 'many', prior: 1.5 },
    ];
    if (isExclusive(tables)) options.push({ value: 'one', prior: 6 });
    return options;
  },
  matters: () => true,
  apply: (_, situation) => ({
    key: String((situation.level === 'tenant' ? dispatchKey(situation.tables) : null) ?? 0),
  }),
};

/** The one key that all filters compare, or null. */
export function dispatchKey(tables: Tables): number | null {
  const key = tables.tests[0]?.key;
  if (key === undefined || tables.metrics.length * tables.values.length > CASES_MAX) return null;
  const compared = tables.tests.every(
    (test) => test.kind === 'values' && test.key === key && test.values.length === 1,
  );
  const bare = tables.filters.every(
    (code) => code.length === 1 && code[0] === (code[0] ?? 0) % 2 ** 24,
  );
  const grouped = tables.groups.every((group) => group.every((each) => each === key));
  return compared && bare && grouped ? key : null;
}

/** Whether no tag-set can belong to two rules. */
function isExclusive(tables: Tables): boolean {
  const cases = tables.rules.map((rule) => `${rule.metric} ${rule.filter}`);
  return new Set(cases).size === cases.length;
}
