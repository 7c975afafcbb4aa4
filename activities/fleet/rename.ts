/**
 * New names for everything that an organization calls something. A name of a metric, a key, a value
 * or a rule becomes another of the same length, by a map of the organization's own that its key
 * decides and that nobody can turn back without it.
 *
 * What filters see of names stays true: equal names stay equal, different ones different, and one
 * begins with another after it if it did before. Every character is moved within its kind by a
 * distance that the characters before it decide: lowercase letters and digits among themselves,
 * capitals among themselves, characters of two, three and four bytes among themselves; signs stay.
 */
import { createHmac } from 'node:crypto';
import type { Filter, Rule } from '../../control/configuration/index.ts';

export class Renaming {
  readonly #key: Uint8Array;
  readonly #names = new Map<string, string>();
  readonly #distances = new Map<string, number>();

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  readonly rename = (name: string): string => {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    let renamed = '';
    let before = '';
    for (const character of name) {
      renamed += this.#move(character, before);
      before += character;
    }
    this.#names.set(name, renamed);
    return renamed;
  };

  #move(character: string, before: string): string {
    const code = character.codePointAt(0) ?? 0;
    const kind = KINDS.find((each) => each.place(code) !== null);
    if (kind === undefined) return character;
    const place = ((kind.place(code) ?? 0) + this.#distance(before)) % kind.size;
    return String.fromCodePoint(kind.code(place));
  }

  #distance(before: string): number {
    const known = this.#distances.get(before);
    if (known !== undefined) return known;
    const distance = createHmac('sha256', this.#key).update(before).digest().readUInt32LE(0);
    this.#distances.set(before, distance);
    return distance;
  }
}

/** Characters that take each other's place; all of one kind have the same length in bytes. */
interface Kind {
  size: number;
  place(code: number): number | null;
  code(place: number): number;
}

function ranges(...of: readonly (readonly [first: number, last: number])[]): Kind {
  const size = of.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  const place = (code: number) => {
    let start = 0;
    for (const [first, last] of of) {
      if (code >= first && code <= last) return start + code - first;
      start += last - first + 1;
    }
    return null;
  };
  const code = (at: number) => {
    let left = at;
    for (const [first, last] of of) {
      if (left <= last - first) return first + left;
      left -= last - first + 1;
    }
    throw new RangeError(`${at} is not below ${size}`);
  };
  return { size, place, code };
}

const KINDS: readonly Kind[] = [
  ranges([0x61, 0x7a], [0x30, 0x39]),
  ranges([0x41, 0x5a]),
  ranges([0x80, 0x7ff]),
  ranges([0x800, 0xd7ff], [0xe000, 0xffff]),
  ranges([0x10000, 0x10ffff]),
];

export function renameRules(rules: readonly Rule[], { rename }: Renaming): Rule[] {
  return rules.map((rule) => ({
    ...rule,
    id: rename(rule.id),
    metric: rename(rule.metric),
    groupBy: rule.groupBy.map(rename),
    filter: renameFilter(rule.filter, rename),
  }));
}

function renameFilter(filter: Filter, rename: (name: string) => string): Filter {
  switch (filter.op) {
    case 'all':
      return filter;
    case 'present':
      return { ...filter, key: rename(filter.key) };
    case 'eq':
      return { ...filter, key: rename(filter.key), value: rename(filter.value) };
    case 'prefix':
      return { ...filter, key: rename(filter.key), prefix: rename(filter.prefix) };
    case 'in':
      return { ...filter, key: rename(filter.key), values: filter.values.map(rename) };
    case 'not':
      return { ...filter, filter: renameFilter(filter.filter, rename) };
    default:
      return { ...filter, filters: filter.filters.map((each) => renameFilter(each, rename)) };
  }
}

/** Every text that rules are made of. */
export function textsOf(rules: readonly Rule[]): string[] {
  return rules.flatMap((rule) => [
    rule.id,
    rule.metric,
    ...rule.groupBy,
    ...textsOfFilter(rule.filter),
  ]);
}

function textsOfFilter(filter: Filter): string[] {
  switch (filter.op) {
    case 'all':
      return [];
    case 'present':
      return [filter.key];
    case 'eq':
      return [filter.key, filter.value];
    case 'prefix':
      return [filter.key, filter.prefix];
    case 'in':
      return [filter.key, ...filter.values];
    case 'not':
      return textsOfFilter(filter.filter);
    default:
      return filter.filters.flatMap(textsOfFilter);
  }
}
