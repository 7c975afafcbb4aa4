/**
 * Prints tables as `spec.rs`. A tenant's text gets there only as numbers and as byte strings of
 * nothing but hexadecimal escapes, which a compiler reads faster than lists of numbers.
 */
import type { Aggregate } from '../../control/configuration/index.ts';
import type { KeyUse, RuleRow, Tables, Test } from './tables.ts';

const KINDS: Record<Aggregate, string> = {
  sum: 'Sum',
  max: 'Max',
  min: 'Min',
  count: 'Count',
  avg: 'Avg',
};
const LINE = 100;
const INDENT = '        ';

export function writeSpec(tables: Tables, blob: Uint8Array, digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new RangeError(`not a digest: ${digest}`);
  const groupKeys = Math.max(0, ...tables.groups.map((group) => group.length));
  return [
    `// The rules of configuration ${digest}, as constants. Generated; not to be edited.`,
    '#![forbid(unsafe_code)]',
    '#![allow(unused_imports)]',
    '',
    'use ratchet_api::Refusal;',
    'pub use ratchet_design::*;',
    '',
    OF,
    '',
    `static RULES_BLOB: &[u8] = ${wrapped(blob)};`,
    '',
    'pub static SPEC: &Spec = &Spec {',
    field('metrics', listed(tables.metrics.map(bytes))),
    field('keys', listed(tables.keys.map(bytes))),
    field('values', listed(tables.values.map(bytes))),
    field('tests', listed(tables.tests.map(test))),
    field('filters', listed(tables.filters.map(numbers))),
    field('stack', String(tables.stack)),
    field('groups', listed(tables.groups.map(numbers))),
    field('group_keys', String(groupKeys)),
    field('windows', listed(tables.windows.map(String))),
    field('rules', listed(tables.rules.map(rule))),
    field('metric_rules', listed(tables.metricRules.map(numbers))),
    field('metric_keys', listed(tables.metricKeys.map(keyUses(tables)))),
    field('literal_tests', listed(tables.literalTests.map(pairs))),
    '};',
    '',
  ].join('\n');
}

const OF = `/// The tables, for the rules that they were made of and for no others.
pub fn of(rules: &[u8]) -> Result<&'static Spec, Refusal> {
    if rules == RULES_BLOB {
        Ok(SPEC)
    } else {
        Err(Refusal("another configuration's rules"))
    }
}`;

function field(name: string, value: string): string {
  return `    ${name}: ${value},`;
}

function bytes(text: string): string {
  return `b"${escaped(new TextEncoder().encode(text))}"`;
}

function escaped(text: Uint8Array): string {
  return Array.from(text, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** A byte string in lines of bounded length. */
function wrapped(text: Uint8Array): string {
  const each = Math.floor((LINE - INDENT.length - 1) / 4);
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += each) {
    lines.push(`${INDENT}${escaped(text.subarray(at, at + each))}`);
  }
  return `b"${['', ...lines].join('\\\n')}"`;
}

function numbers(items: readonly number[]): string {
  return `&[${items.join(', ')}]`;
}

function keyUses(tables: Tables): (uses: readonly KeyUse[]) => string {
  const one = ({ key, tests, present, loose }: KeyUse) => {
    const texts = loose.map(looseTest).join(', ');
    const passed = present ?? 'NONE';
    const asked = `key: ${key}, tests: ${numbers(tests)}, present: ${passed}`;
    return `KeyUse { ${asked}, loose: &[${texts}] }`;
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

/** A slice of items, in lines of bounded length. */
function listed(items: readonly string[]): string {
  const lines: string[] = [];
  let line = '';
  for (const item of items) {
    if (line !== '' && line.length + item.length + 2 > LINE - INDENT.length) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? `${item},` : ` ${item},`;
  }
  if (line !== '') lines.push(line);
  if (lines.length === 0) return '&[]';
  return `&[\n${lines.map((each) => `${INDENT}${each}\n`).join('')}    ]`;
}
