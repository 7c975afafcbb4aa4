/** New names keep what filters and groups see of old ones, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeBlob,
  encodeBlob,
  parseFilter,
  type Rule,
} from '../../control/configuration/index.ts';
import { matches } from '../../control/configuration/match.ts';
import { decodeMessage, encodeMessage } from '../../control/payload/payload.ts';
import { writeRun } from '../../control/payload/streamvbyte.ts';
import { renameMessage } from './message.ts';
import { judgeMembers } from './observe.ts';
import { Renaming, renameRules, textsOf } from './rename.ts';
import { profileOf, rename, sharedBy } from './sample.ts';

const renaming = new Renaming(Buffer.alloc(32, 7));
const names = [
  ...['cpu', 'cpu.usage', 'cpu.usage_total', 'cpv', 'a', 'b', 'checkout-eu-1', 'checkout-eu-10'],
  ...['Checkout', 'HTTP/1.1', '0', '1', '10', 'könig', 'königsweg', '日本', '日本語', '🦀', '🦀🦀'],
];

test('renaming keeps lengths, and what is equal or begins with another', () => {
  for (const left of names) {
    const renamed = renaming.rename(left);
    assert.equal(Buffer.byteLength(renamed), Buffer.byteLength(left), left);
    assert.equal(renaming.rename(left), renamed);
    for (const right of names) {
      const other = renaming.rename(right);
      assert.equal(renamed === other, left === right, `${left}, ${right}`);
      assert.equal(renamed.startsWith(other), left.startsWith(right), `${left}, ${right}`);
    }
  }
});

test('renaming is another with another key, and a name is not its own', () => {
  const other = new Renaming(Buffer.alloc(32, 8));
  const long = names.filter((name) => name.length > 4);
  for (const name of long) {
    assert.notEqual(renaming.rename(name), name);
    assert.notEqual(renaming.rename(name), other.rename(name));
  }
});

const filter = 'service:checkout* AND NOT env IN (dev, test) AND (host:a OR zone:*)';
const rules: Rule[] = [
  {
    ...{ id: 'a.rule-1', metric: 'cpu.usage', groupBy: ['host', 'env'], windowMs: 10_000 },
    ...{ aggregate: 'sum', filter: parseFilter(filter) },
  },
  {
    ...{ id: 'b', metric: 'mem', groupBy: [], windowMs: 1_000 },
    ...{ aggregate: 'max', filter: parseFilter('*') },
  },
];

test('renamed rules are rules, and match what they matched', () => {
  const renamed = renameRules(rules, renaming);
  assert.equal(decodeBlob(encodeBlob(renamed)).length, rules.length);
  const [, after] = [rules, renamed].map(([first]) => first?.filter);
  const before = rules[0]?.filter;
  assert.ok(before !== undefined && after !== undefined);
  const sets: [string, string][][] = [
    [
      ['service', 'checkout-eu'],
      ['env', 'prod'],
      ['host', 'a'],
    ],
    [
      ['service', 'checkout'],
      ['env', 'dev'],
      ['host', 'a'],
    ],
    [
      ['service', 'check'],
      ['env', 'prod'],
      ['host', 'a'],
    ],
    [
      ['service', 'checkout'],
      ['env', 'prod'],
      ['host', 'b'],
    ],
    [
      ['service', 'checkout'],
      ['env', 'prod'],
      ['zone', 'b'],
    ],
    [],
  ];
  const found = sets.map((tags) => matches(before, new Map(tags)));
  const under = sets.map((tags) => {
    const renamedTags = tags.map(([k, v]) => [renaming.rename(k), renaming.rename(v)] as const);
    return matches(after, new Map(renamedTags));
  });
  assert.deepEqual(found, [true, false, false, false, true, false]);
  assert.deepEqual(under, found);
  const texts = new Set(textsOf(renamed));
  for (const text of textsOf(rules)) if (text.length > 4) assert.ok(!texts.has(text), text);
});

const sets = [
  {
    metric: 'cpu.usage',
    tags: [
      ['env', 'prod'],
      ['host', 'a'],
      ['zone', 'eu'],
    ] as const,
  },
  { metric: 'mem', tags: [['host', 'b']] as const },
  { metric: 'mem', tags: [] as const },
];
const points = [0, 1, 2, 0].map((set, at) => ({ set, ts: 1_700_000_000_000 + at, value: at / 3 }));

function renamedSets() {
  return sets.map(({ metric, tags }) => ({
    metric: renaming.rename(metric),
    tags: tags
      .map(([key, value]) => [renaming.rename(key), renaming.rename(value)] as const)
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  }));
}

test('a renamed message has the same points under the new names', () => {
  const message = encodeMessage(sets, points);
  const { message: renamed, texts } = renameMessage(message, renaming.rename);
  assert.equal(renamed.length, message.length);
  assert.deepEqual(decodeMessage(renamed).sets, renamedSets());
  assert.deepEqual(decodeMessage(renamed).points, decodeMessage(message).points);
  const all = sets.flatMap(({ metric, tags }) => [metric, ...tags.flat()]);
  assert.deepEqual([...texts].sort(), [...new Set(all)].sort());
});

test('a sparse column stays sparse', () => {
  const message = makeSparse(encodeMessage(sets, points));
  assert.deepEqual(decodeMessage(message).sets, decodeMessage(encodeMessage(sets, points)).sets);
  const { message: renamed } = renameMessage(message, renaming.rename);
  assert.deepEqual(decodeMessage(renamed).sets, renamedSets());
  const view = new DataView(renamed.buffer, renamed.byteOffset);
  const marked = [0, 1, 2].filter((key) => view.getUint32(48 + 8 * (8 + key) + 4, true) >= 2 ** 31);
  assert.equal(marked.length, 1);
});

/** The last key's column in its other form: one tag-set has it, the first. */
function makeSparse(message: Uint8Array): Uint8Array {
  const view = new DataView(message.buffer, message.byteOffset);
  const entry = 48 + 8 * (8 + 2);
  const [offset, length] = [view.getUint32(entry, true), view.getUint32(entry + 4, true)];
  const dense = message.subarray(offset, offset + length);
  const value = dense[1] ?? 0;
  const pairs = writeRun([0, value]);
  const column = Buffer.concat([Buffer.from([1, 0, 0, 0]), pairs]);
  const size = (offset + column.length + 7) & ~7;
  const out = new Uint8Array(size + 16);
  out.set(message.subarray(0, offset));
  out.set(column, offset);
  const written = new DataView(out.buffer);
  written.setUint32(4, out.length, true);
  written.setUint32(entry + 4, column.length + 2 ** 31, true);
  return out;
}

test('a sample tells of shapes, and its words are the old names and the new', () => {
  const blob = encodeBlob(rules);
  const sampled = rename({ digest: 'a'.repeat(64), blob }, [encodeMessage(sets, points)]);
  assert.equal(sampled.messages.length, 1);
  for (const word of ['cpu.usage', 'checkout', 'zone', 'prod']) {
    assert.ok(sampled.words.includes(word), word);
  }
  const after = textsOf(sampled.rules);
  assert.ok(after.every((text) => sampled.words.includes(text)));
  const again = rename({ digest: 'a'.repeat(64), blob }, [encodeMessage(sets, points)]);
  assert.notDeepEqual(textsOf(again.rules), after, 'the key is thrown away');
  const profile = profileOf([sampled, again]);
  assert.deepEqual([profile.messages, profile.keys, profile.rules], [2, [], []]);
  assert.equal(profile.singleWindow, 1);
});

test('messages that enough organizations have', () => {
  for (const [counts, expected] of [
    [[], 0],
    [[512], 0],
    [[512, 7], 7],
    [[7, 512, 80], 80],
  ] as const) {
    assert.equal(sharedBy(counts), expected, `${counts}`);
  }
});

test('when the search goes on: half of those that could be measured never were', () => {
  const cases: [known: string, now: string, verdict: string][] = [
    ['abc', 'abc', 'steady'],
    ['abc', 'ab', 'steady'],
    ['abc', 'abcd', 'steady'],
    ['abc', 'abde', 'moved'],
    ['abc', 'd', 'moved'],
    ['abc', '', 'steady'],
  ];
  for (const [known, now, verdict] of cases) {
    assert.equal(judgeMembers([...known], [...now]).verdict, verdict, `${known}, ${now}`);
  }
});
