/** A filter told in the plainest way: a missing key matches no leaf. */
import type { Filter } from './index.ts';

export function matches(filter: Filter, tags: ReadonlyMap<string, string>): boolean {
  switch (filter.op) {
    case 'all':
      return true;
    case 'present':
      return tags.has(filter.key);
    case 'eq':
      return tags.get(filter.key) === filter.value;
    case 'prefix':
      return tags.get(filter.key)?.startsWith(filter.prefix) ?? false;
    case 'in':
      return filter.values.includes(tags.get(filter.key) ?? '');
    case 'not':
      return !matches(filter.filter, tags);
    case 'and':
      return filter.filters.every((part) => matches(part, tags));
    case 'or':
      return filter.filters.some((part) => matches(part, tags));
  }
}
