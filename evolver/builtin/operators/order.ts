import type { Operator, Situation } from '../operator.ts';
import { isFitted, isMasks } from './group.ts';

/** Beyond this the table would crowd the source. */
const KEYS_MAX = 64;

/** By which key a tree of group-bys splits first: keys of many values leave the least to do. */
export const order: Operator = {
  name: 'order',
  about: 'order of keys',
  plain: 'written',
  options: (situation) => {
    const options = [{ value: 'written', prior: 1 }];
    // Keys of the fleet are those of whoever it serves.
    if (situation.level === 'fleet') return options;
    const { tables, profile } = situation;
    if (profile.keys.length === 0 || tables.keys.length > KEYS_MAX) return options;
    const few = tables.groups.every((group) => group.length < 2);
    return [...options, { value: 'rare', prior: few ? 1 : 6 }, { value: 'common', prior: 0.5 }];
  },
  matters: (genes) => isMasks(genes) || isFitted(genes),
  apply: (value, situation) => ({
    ranks: ranks(situation, value === 'common' ? 1 : -1).join(', '),
  }),
};

/** Key by key, its place among all keys by cardinality. */
function ranks(situation: Situation, direction: 1 | -1): number[] {
  if (situation.level === 'fleet') return [];
  const { tables, profile } = situation;
  const known = new Map(profile.keys.map((each) => [each.key, each.cardinality]));
  const places = tables.keys.map((_, index) => index);
  const cardinality = (index: number) => known.get(tables.keys[index] ?? '') ?? 1;
  const sorted = places.sort((a, b) => direction * (cardinality(a) - cardinality(b)) || a - b);
  return tables.keys.map((_, index) => sorted.indexOf(index));
}
