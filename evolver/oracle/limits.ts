/** A configuration at every limit at once, and messages that its rules take. */

import {
  type Configuration,
  compileConfiguration,
  type RuleInput,
} from '../../control/configuration/index.ts';
import { encodeMessage, type Point, type TagSet } from '../../control/payload/payload.ts';
import type { Random } from '../random.ts';

const RULES = 10_000;
const TEXT = 200;
/** Rules whose names are all as long as they may be; more would not fit into a blob. */
const LONG = 4_500;
/** Rules with filters as deep and as wide as they may be. */
const DEEP = 400;
const DEPTH = 16;
const LEAVES = 64;
const METRICS = 40;
const KEYS = 24;
const VALUES = 60;
const GROUP_KEYS = 8;

const short = (kind: string, index: number) => `${kind}${index}`;
const long = (kind: string, index: number) => `${kind}${index}-`.padEnd(TEXT, 'x');

export function configurationAtLimits(random: Random): Configuration {
  const rules = Array.from({ length: RULES }, (_, index): RuleInput => {
    const name = index < LONG ? long : short;
    const id = `r${index}`;
    return {
      id: index < LONG ? id.padEnd(100, 'y') : id,
      metric: name('m', random.below(METRICS)),
      filter: filterOf(index, random),
      group_by:
        index % 50 === 0 && index >= LONG ? keys(GROUP_KEYS, random) : keys(index % 2, random),
      aggregate: (['sum', 'max', 'min', 'count', 'avg'] as const)[index % 5] ?? 'sum',
      window: index % 7 === 0 ? '1s' : '1h',
    };
  });
  return compileConfiguration('oracle', rules);
}

function filterOf(index: number, random: Random): string {
  if (index < LONG) {
    const value = index % 2 === 0 ? long('v', index) : '*';
    return `${long('k', random.below(KEYS))}:${value}`;
  }
  if (index < LONG + DEEP) return deep(random);
  const key = short('k', random.below(KEYS));
  if (index % 4 === 0) return `${key}:v${random.below(9)}*`;
  if (index % 4 === 1) return `NOT ${key}:${short('v', random.below(VALUES))}`;
  return `${key}:${short('v', random.below(VALUES))}`;
}

/** Connectives take turns, for one directly in its like is none of its own. */
function deep(random: Random): string {
  let filter = leaf(random);
  const own = Math.floor(LEAVES / (DEPTH - 1));
  for (let depth = 1; depth < DEPTH; depth++) {
    const more = Array.from({ length: own - (depth === 1 ? 1 : 0) }, () => leaf(random));
    filter = `(${[filter, ...more].join(depth % 2 === 0 ? ' AND ' : ' OR ')})`;
  }
  return filter.slice(1, -1);
}

function leaf(random: Random): string {
  return `${short('k', random.below(KEYS))}:${short('v', random.below(VALUES))}`;
}

function keys(count: number, random: Random): string[] {
  const first = random.below(KEYS);
  return Array.from({ length: count }, (_, index) => short('k', (first + index) % KEYS));
}

/** Of a width each; the last metric is none of the rules'. */
export function messagesAtLimits(random: Random, widths: readonly number[]): Uint8Array[] {
  return widths.map((width) => {
    const sets = Array.from({ length: width }, (_, index): TagSet => {
      const name = index % 5 === 0 ? long : short;
      const tags = Array.from({ length: KEYS }, (_, key): [string, string] => [
        name('k', key),
        short('v', random.below(VALUES)),
      ]);
      const metric = name('m', random.below(3));
      return { metric, tags: tags.sort(([a], [b]) => (a < b ? -1 : 1)) };
    });
    const points = Array.from({ length: 4 * width }, (_, index): Point => {
      const ts = 1_700_000_000_000 + random.below(5_000);
      return { set: index % width, ts, value: random.unit() - 0.5 };
    });
    return encodeMessage(sets, points);
  });
}
