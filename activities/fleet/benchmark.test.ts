/** Reports of several organizations become one, and whom a candidate harms refuses it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ContentStore } from '../../control/store/index.ts';
import { benchmarkAnswer, type Candidate, measured } from '../../workflows/candidates.ts';
import { type Report, timedVerdict } from '../benchmark/report.ts';
import { archivedVerdicts } from '../record/index.ts';
import { fleetBench, meanRatio, mergeReports } from './benchmark.ts';
import { writeFleetCorpus } from './corpus.ts';

type Given = readonly [ratio: number, low: number, high: number];

function report([ratio, low, high]: Given, baseline = 0.5): Report {
  const module = (name: string, us: number) => ({
    ...{ name, us_per_message: us, us_min: us, fuel_per_point: 20, records: 5 },
  });
  const ratios = [
    { name: 'c1', reference: 'incumbent', ratio, ci95: [low, high] as [number, number] },
    ...[{ name: 'baseline', reference: 'incumbent', ratio: baseline }].map((each) => ({
      ...each,
      ci95: [baseline, baseline] as [number, number],
    })),
  ];
  const modules = [module('incumbent', 10), module('c1', 10 / ratio), module('baseline', 20)];
  const figures = { messages: 48, points: 9_600, rounds: 40 };
  return { ...figures, modules, ratios, divergence: null, trap: null };
}

test('the mean of ratios is geometric, and surer than each of them', () => {
  const of = (given: Given[]) =>
    meanRatio(given.map(([ratio, low, high]) => ({ ratio, ci95: [low, high] })));
  const one = of([[2, 1.8, 2.2]]);
  assert.deepEqual(
    [one.ratio, ...one.ci95].map((x) => x.toFixed(6)),
    ['2.000000', '1.800000', '2.200000'],
  );
  const two = of([
    [4, 3.6, 4.4],
    [1, 0.9, 1.1],
  ]);
  assert.equal(two.ratio.toFixed(6), '2.000000');
  assert.ok(two.ci95[0] > 1.8 && two.ci95[0] < 2 && two.ci95[1] < 2.2 && two.ci95[1] > 2);
});

const cases: [name: string, given: Given[], verdict: string, reason: string | null][] = [
  [
    'fast for all',
    [
      [2, 1.9, 2.1],
      [1.5, 1.4, 1.6],
    ],
    'faster',
    null,
  ],
  [
    'fast for some, the same for others',
    [
      [2, 1.9, 2.1],
      [1, 0.99, 1.01],
    ],
    'faster',
    null,
  ],
  [
    'no gain',
    [
      [1.05, 1, 1.1],
      [1.02, 1, 1.1],
    ],
    'slow',
    null,
  ],
  [
    'one organization surely loses',
    [
      [4, 3.9, 4.1],
      [0.95, 0.93, 0.979],
      [3, 2.9, 3.1],
    ],
    'loses',
    'organization 2 of 3 loses: ratio 0.950, at most 0.979',
  ],
  [
    'one may lose',
    [
      [4, 3.9, 4.1],
      [0.95, 0.9, 0.98],
    ],
    'faster',
    null,
  ],
];
for (const [name, given, expected, reason] of cases) {
  test(`fleet benchmark: ${name}`, () => {
    const merged = mergeReports(given.map((each) => report(each)));
    assert.equal(merged.messages, 48 * given.length);
    const verdict = timedVerdict(merged, 'c1', 1.1, null);
    assert.equal(verdict.verdict, expected);
    assert.ok('ratio' in verdict);
    // The baseline does half of what the incumbent does, everywhere.
    assert.equal((verdict.ratio_to_baseline / verdict.ratio).toFixed(6), '2.000000');
    const answered = benchmarkAnswer(verdict, 'evidence');
    assert.equal(answered.pass, expected === 'faster');
    if (reason !== null) assert.equal(answered.reason, reason);
  });
}

test('who harms somebody is right all the same: it stays a parent, and is not promoted', () => {
  const merged = mergeReports([report([4, 3.9, 4.1]), report([0.5, 0.4, 0.6])]);
  const verdict = timedVerdict(merged, 'c1', 1.1, null);
  const candidate = { outcome: { ratio: null } } as unknown as Candidate;
  measured(candidate, verdict);
  assert.ok((candidate.outcome.ratio ?? 0) > 1);
  const plain = { candidate: 'c1', reason: null, evidence: null, seconds: null };
  const rows = archivedVerdicts({ ...plain, gate: 'benchmark', passed: false, verdict: 'loses' });
  assert.deepEqual(
    rows.map((row) => [row.gate, row.passed, row.verdict]),
    [
      ['benchmark', true, 'timed'],
      ['promotion', false, 'loses'],
    ],
  );
});

const directory = await mkdtemp(join(tmpdir(), 'ratchet-fleet-'));
after(() => rm(directory, { recursive: true }));

test('each organization measures under its own rules, until one finds a module wrong', async () => {
  const store = new ContentStore(directory);
  const digest = (letter: string) => letter.repeat(64);
  const member = (letter: string) => ({
    ...{ configuration: digest('0'), rules: digest(letter), corpus: digest(letter), messages: 9 },
  });
  const members = ['a', 'b', 'c'].map(member);
  const corpus = await writeFleetCorpus(store, { schema: 1, members, words: digest('d') });
  const met: string[] = [];
  let wrong: string | null = null;
  const bench = fleetBench({ store }, async (_, { rules }, seconds) => {
    met.push(`${rules[0]} ${seconds}`);
    const own = report([2, 1.9, 2.1]);
    if (rules[0] !== wrong) return own;
    return { ...own, trap: { module: 'c1', message: 3, reason: 'unreachable' } };
  });
  const whole = await bench([], corpus, 12);
  assert.equal(whole.ratios[0]?.ratio.toFixed(6), '2.000000');
  assert.deepEqual(met.splice(0), ['a 4', 'b 4', 'c 4']);
  wrong = 'b';
  assert.equal((await bench([], corpus, 12)).trap?.module, 'c1');
  assert.deepEqual(met, ['a 4', 'b 4']);
});
