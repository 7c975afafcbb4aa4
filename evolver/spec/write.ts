/** Prints tables as `spec.rs`. A tenant's text gets there only as numbers of byte arrays. */
import type { Aggregate } from '../../control/configuration/index.ts';
import { loadTemplate, render } from '../builtin/template.ts';
import {
  ARGUMENT_MASK,
  type KeyUse,
  OPERATION,
  type RuleRow,
  type Tables,
  type Test,
} from './tables.ts';

const KINDS: Record<Aggregate, string> = {
  sum: 'Sum',
  max: 'Max',
  min: 'Min',
  count: 'Count',
  avg: 'Avg',
};
const LINE = 100;

export function writeSpec(tables: Tables, blob: Uint8Array, digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new RangeError(`not a digest: ${digest}`);
  const groupKeys = Math.max(0, ...tables.groups.map((group) => group.length));
  return [
    `// The rules of configuration ${digest}, as constants. Generated; not to be edited.`,
    '#![forbid(unsafe_code)]',
    '#![allow(dead_code)]',
    '',
    TYPES,
    constant('TEST', 'u32', String(OPERATION.test)),
    constant('TRUE', 'u32', String(OPERATION.true)),
    constant('NOT', 'u32', String(OPERATION.not)),
    constant('AND', 'u32', String(OPERATION.and)),
    constant('OR', 'u32', String(OPERATION.or)),
    constant('ARGUMENT', 'u32', String(ARGUMENT_MASK)),
    '/// Most operands that a filter holds at a time, and most keys in a group-by.',
    constant('STACK', 'usize', String(tables.stack)),
    constant('GROUP_KEYS', 'usize', String(groupKeys)),
    '',
    list('METRICS', '&[u8]', tables.metrics.map(bytes)),
    list('KEYS', '&[u8]', tables.keys.map(bytes)),
    '/// Literals of comparisons, sorted by bytes.',
    list('VALUES', '&[u8]', tables.values.map(bytes)),
    '/// Leaves of filters: a key and what is asked of its value.',
    list('TESTS', '(u32, Test)', tables.tests.map(test)),
    '/// Filters in postfix code.',
    list('FILTERS', '&[u32]', tables.filters.map(numbers)),
    list('GROUPS', '&[u32]', tables.groups.map(numbers)),
    '/// Window sizes in milliseconds.',
    list('WINDOWS', 'u32', tables.windows.map(String)),
    list('RULES', 'Rule', tables.rules.map(rule)),
    '/// By metric: its rules, and the keys that they look at.',
    list('METRIC_RULES', '&[u32]', tables.metricRules.map(numbers)),
    list('METRIC_KEYS', '&[KeyUse]', tables.metricKeys.map(keyUses(tables))),
    '/// By literal: pairs of a key and a test that it passes there.',
    list('LITERAL_TESTS', '&[(u32, u32)]', tables.literalTests.map(pairs)),
    `pub static RULES_BLOB: &[u8] = ${wrapped('&[', [...blob].map(String), '];')}`,
    '',
    support(),
  ].join('\n');
}

/**
 * What every design needs and none changes: decoding columns, and the general way for rare
 * messages.
 */
function support(): string {
  const settings = { match: 'set', literals: 'search' };
  const parts = ['support', 'search', 'lists'].map(loadTemplate);
  return render(parts.join('\n'), settings);
}

const TYPES = `#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sum,
    Max,
    Min,
    Count,
    Avg,
}

#[derive(Clone, Copy)]
pub enum Test {
    Present,
    Value(u32),
    Values(&'static [u32]),
    Prefix(&'static [u8]),
}

/// Indexes into the tables below.
pub struct Rule {
    pub metric: u32,
    pub filter: u32,
    pub group: u32,
    pub kind: Kind,
    pub window: u32,
}

/// A key that the rules of a metric look at, and their tests of it.
pub struct KeyUse {
    pub key: u32,
    pub tests: &'static [u32],
    /// Those that no literal decides.
    pub loose: &'static [Loose],
}

/// A text passes when its first eight bytes under the mask are these, and it starts with \`rest\`,
/// which is empty where the first bytes say it all.
pub struct Loose {
    pub test: u32,
    pub mask: u64,
    pub head: u64,
    pub rest: &'static [u8],
}

/// Operations of a filter's code, and what of a word is the argument.`;

function constant(name: string, type: string, value: string): string {
  return `pub const ${name}: ${type} = ${value};`;
}

function list(name: string, type: string, items: readonly string[]): string {
  // A constant, so that its length is one too; a large table is one object in memory.
  const storage = name === 'KEYS' || name === 'VALUES' || name === 'METRICS' ? 'const' : 'static';
  return `pub ${storage} ${name}: &[${type}] = ${wrapped('&[', items, '];')}`;
}

function bytes(text: string): string {
  return numbers([...new TextEncoder().encode(text)]);
}

function numbers(items: readonly number[]): string {
  return `&[${items.join(', ')}]`;
}

function keyUses(tables: Tables): (uses: readonly KeyUse[]) => string {
  const one = ({ key, tests, loose }: KeyUse) => {
    const texts = loose.map(looseTest).join(', ');
    return `KeyUse { key: ${key}, tests: ${numbers(tests)}, loose: &[${texts}] }`;
  };
  const looseTest = (index: number) => {
    const test = tables.tests[index];
    return loosePrefix(index, test?.kind === 'prefix' ? test.prefix : '');
  };
  return (uses) => `&[${uses.map(one).join(', ')}]`;
}

function loosePrefix(test: number, prefix: string): string {
  const text = new TextEncoder().encode(prefix);
  const eight = (byte: (at: number) => number) =>
    `u64::from_le_bytes([${Array.from({ length: 8 }, (_, at) => byte(at)).join(', ')}])`;
  const mask = eight((at) => (at < text.length ? 255 : 0));
  const head = eight((at) => text[at] ?? 0);
  // A shorter text is filled up with zeros, so a zero in the prefix has to be looked at again.
  const rest = text.length > 8 || text.includes(0) ? [...text] : [];
  return `Loose { test: ${test}, mask: ${mask}, head: ${head}, rest: ${numbers(rest)} }`;
}

function pairs(items: readonly (readonly [number, number])[]): string {
  return `&[${items.map(([a, b]) => `(${a}, ${b})`).join(', ')}]`;
}

function test(each: Test): string {
  switch (each.kind) {
    case 'present':
      return `(${each.key}, Test::Present)`;
    case 'prefix':
      return `(${each.key}, Test::Prefix(${bytes(each.prefix)}))`;
    case 'values': {
      const [only, ...more] = each.values;
      const what = more.length === 0 ? `Value(${only})` : `Values(${numbers(each.values)})`;
      return `(${each.key}, Test::${what})`;
    }
  }
}

function rule(row: RuleRow): string {
  const { metric, filter, group, kind, window } = row;
  const fields = `metric: ${metric}, filter: ${filter}, group: ${group}`;
  return `Rule { ${fields}, kind: Kind::${KINDS[kind]}, window: ${window} }`;
}

/** Items separated by commas, in lines of bounded length. */
function wrapped(open: string, items: readonly string[], close: string): string {
  const lines: string[] = [];
  let line = '';
  for (const item of items) {
    if (line !== '' && line.length + item.length + 2 > LINE - 4) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? `${item},` : ` ${item},`;
  }
  if (line !== '') lines.push(line);
  if (lines.length === 0) return `${open}${close}`;
  return `${open}\n${lines.map((each) => `    ${each}\n`).join('')}${close}`;
}
