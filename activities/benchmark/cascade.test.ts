/** Which candidates are timed how long, by a bench that answers from a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ref } from '../../workflows/messages.ts';
import { type Bench, cascade } from './cascade.ts';
import { type Report, reportSchema } from './report.ts';

const ref = (name: string): Ref => ({ digest: name, size: 1, mediaType: 'x' });
const corpus = { fit: ref('fit'), check: ref('check') };
const settings = { seconds: 12, threshold: 1.1, quickRatio: 0.8, anchor: null };

/** Ratios to the incumbent by candidate and corpus; `wrong` ones diverge. */
function bench(ratios: Record<string, number | 'wrong'>, runs: string[]): Bench {
  return async (modules, on, seconds) => {
    const names = modules.map(({ id }) => id);
    runs.push(`${on.digest} ${seconds}: ${names.join(' ')}`);
    const wrong = names.find((name) => ratios[name] === 'wrong') ?? null;
    const found = { message: 1, rule: 'r', group: [], window_start_ms: 0, expected: 1, actual: 2 };
    const timed = ['incumbent', ...names];
    return reportSchema.parse({
      ...{ messages: 9, points: 9, rounds: 9, trap: null, losses: [] },
      divergence: wrong === null ? null : { module: wrong, ...found },
      modules: timed.map((name) => ({
        ...{ name, us_per_message: 1, us_min: 1, fuel_per_point: 1, records: 1 },
      })),
      ratios: [...names, 'baseline'].map((name) => {
        const ratio = Number(ratios[`${name}@${on.digest}`] ?? ratios[name]) || 1;
        return { name, reference: 'incumbent', ratio, ci95: [ratio - 0.05, ratio + 0.05] };
      }),
    } satisfies Record<keyof Report, unknown>);
  };
}

const cases: [
  name: string,
  ratios: Record<string, number | 'wrong'>,
  runs: string[],
  told: string,
][] = [
  [
    'what is far behind is not timed further; an elite is timed again',
    { a: 0.5, b: 0.9, c: 1.5 },
    ['fit 3: a b c', 'fit 9: b c', 'check 6: c'],
    'a slow 0.5, b slow 0.9, c faster 1.5',
  ],
  [
    'the second figure of an elite counts',
    { a: 1, b: 1.5, 'b@check': 1.12 },
    ['fit 3: a b', 'fit 9: a b', 'check 6: b'],
    'a slow 1, b slow 1.12',
  ],
  ['a single one is not cut short', { a: 0.3 }, ['fit 12: a'], 'a slow 0.3'],
  ['nobody is left', { a: 0.3, b: 0.3 }, ['fit 3: a b'], 'a slow 0.3, b slow 0.3'],
  [
    'a wrong one is told and left out',
    { a: 'wrong', b: 1 },
    ['fit 3: a b', 'fit 3: b', 'fit 9: b'],
    'a diverged, b slow 1',
  ],
];
for (const [name, ratios, expected, told] of cases) {
  test(`cascade: ${name}`, async () => {
    const runs: string[] = [];
    const modules = Object.keys(ratios)
      .filter((id) => !id.includes('@'))
      .map((id) => ({ id, component: ref(id) }));
    const { verdicts, reports } = await cascade(bench(ratios, runs), modules, corpus, settings);
    assert.deepEqual(runs, expected);
    assert.equal(reports.length, expected.length);
    const shown = verdicts.map((each) =>
      [each.id, each.verdict, ...('ratio' in each ? [each.ratio] : [])].join(' '),
    );
    assert.equal(shown.join(', '), told);
  });
}

test('cascade: beside the baseline alone, training messages tell all ratios to it', async () => {
  const modules = ['a', 'b'].map((id) => ({ id, component: ref(id) }));
  const ratios = { a: 1, b: 1.5, 'b@check': 1.2, baseline: 0.5, 'baseline@check': 0.6 };
  const { verdicts, elites } = await cascade(bench(ratios, []), modules, corpus, settings);
  const told = verdicts.map((each) =>
    'ratio' in each ? [each.id, each.verdict, each.ratio, each.ratio_to_baseline] : [each.id],
  );
  assert.deepEqual(told, [
    ['a', 'slow', 1, 2],
    ['b', 'faster', 1.2, 3],
  ]);
  assert.deepEqual(elites, ['b']);
});

test('cascade: an incumbent that was measured before keeps its ratio', async () => {
  const modules = ['a', 'b'].map((id) => ({ id, component: ref(id) }));
  const ratios = { a: 1.1, b: 1.5, 'b@check': 1.2, baseline: 0.4 };
  const anchored = { ...settings, anchor: 3 };
  const { verdicts } = await cascade(bench(ratios, []), modules, corpus, anchored);
  const told = verdicts.map((each) => 'ratio' in each && each.ratio_to_baseline.toFixed(1));
  assert.deepEqual(told, ['3.3', '3.6'], 'of an elite the second figure is handed on');
});

test('cascade: an elite that is wrong on messages that were kept apart is wrong', async () => {
  const modules = ['a', 'b'].map((id) => ({ id, component: ref(id) }));
  const apart: Bench = (of, on, seconds) =>
    bench(on.digest === 'check' ? { b: 'wrong' } : { a: 1, b: 1.5 }, [])(of, on, seconds);
  const { verdicts } = await cascade(apart, modules, corpus, settings);
  assert.deepEqual(
    verdicts.map(({ id, verdict }) => `${id} ${verdict}`),
    ['a slow', 'b diverged'],
  );
});

test('cascade: without a quick ratio all are timed in full', async () => {
  const runs: string[] = [];
  const modules = ['a', 'b'].map((id) => ({ id, component: ref(id) }));
  await cascade(bench({ a: 0.1, b: 1 }, runs), modules, corpus, { ...settings, quickRatio: 0 });
  assert.deepEqual(runs, ['fit 12: a b']);
});

test('cascade: a wrong incumbent is a fault, not a verdict', async () => {
  const broken: Bench = async (modules, on, seconds) => {
    const report = await bench({ a: 'wrong' }, [])(modules, on, seconds);
    return {
      ...report,
      divergence: report.divergence && { ...report.divergence, module: 'incumbent' },
    };
  };
  const modules = [{ id: 'a', component: ref('a') }];
  await assert.rejects(cascade(broken, modules, corpus, settings), /incumbent: message 1/);
});
