import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BenchmarkVerdict, MutateInput, MutateVerdict } from '../activities/types.ts';
import { proposeWithRepairs, type TrialStages } from './repairs.ts';

const ref = (digest: string) => ({ digest, size: 1, mediaType: 'text/plain' });
const INPUT: MutateInput = {
  ...{ org: 'acme', generation: 2, rerun: 0 },
  ...{ plan: ref('plan'), index: 1, mutator: 'llm', siblings: [] },
};
const TRIAL = {
  configuration: { digest: 'c', blob: ref('c'), rules: 1, effective_from_ms: 0 },
  ...{ corpus: { fit: ref('f'), check: ref('g') }, incumbent: null, spec: ref('s') },
  promotion_ratio: 1.1,
};

/** A proposal by what becomes of it: `error`, `policy`, `module`, `wrong`, `none`, or its ratio. */
type Fate = 'error' | 'policy' | 'module' | 'wrong' | 'none' | number;

function stagesOf(fates: readonly Fate[], asked: MutateInput[]): TrialStages {
  const fate = (source: string) => fates[Number(source)] ?? 'none';
  return {
    mutate: async (input): Promise<MutateVerdict> => {
      const turn = asked.push(input) - 1;
      const cost = { micro_usd: 10 + turn, tokens_in: 1, tokens_out: 1, seconds: 0 };
      if (fate(`${turn}`) === 'none') return { verdict: 'none', reason: 'it gave up', cost };
      const own = { id: 'acme/gen/2/c1', index: 1, source: ref(`${turn}`), cost };
      const rest = { mutator: 'llm', operator: 'x', summary: '', parent: null } as const;
      return { verdict: 'proposed', candidate: { ...own, ...rest }, parent_ratio: 2 };
    },
    checkSource: async ({ source }) =>
      fate(source.digest) === 'policy'
        ? { verdict: 'refused', rule: 'macro', reason: 'no', line: 3, column: 1 }
        : { verdict: 'pass' },
    build: async ({ source: { digest } }) =>
      fate(digest) === 'error'
        ? { verdict: 'compile-error', reason: 'E0308', log: ref('log'), seconds: 1 }
        : { verdict: 'built', component: ref(digest), linked: ref('l'), seconds: 1 },
    checkModule: async (_, { digest }) =>
      fate(digest) === 'module'
        ? { verdict: 'refused', rule: 'import', reason: 'wasi' }
        : { verdict: 'pass' },
    benchmark: async ({ candidate: id, component: { digest } }): Promise<BenchmarkVerdict> => {
      const ratio = fate(digest);
      if (typeof ratio !== 'number') return { id, verdict: 'diverged', reason: 'rule cpu' };
      const figures = { us_per_message: 1, fuel_per_point: 1 };
      const ci95: [number, number] = [ratio, ratio];
      return { id, verdict: 'slow', ...figures, ratio, ci95, ratio_to_baseline: ratio };
    },
  };
}

async function check(fates: Fate[], proposal: string, attempts: string[], told: string[]) {
  const asked: MutateInput[] = [];
  const repaired = await proposeWithRepairs(stagesOf(fates, asked), INPUT, TRIAL);
  const { proposal: own } = repaired;
  assert.equal(own.verdict === 'none' ? own.reason : own.candidate.source.digest, proposal);
  assert.deepEqual(
    repaired.attempts.map(({ outcome, source, micro_usd }) => `${outcome} ${source} ${micro_usd}`),
    attempts,
  );
  const last = asked.at(-1)?.failures ?? [];
  assert.deepEqual(
    last.map(({ gate, verdict, reason, log }) => `${gate} ${verdict} ${reason} ${log?.digest}`),
    told,
  );
}

const ERROR = 'build compile-error E0308 log';

test('what passes and is no slower than its parent is the candidate', async () => {
  await check([2.1], '0', [], []);
  await check([2], '0', [], []);
});

test('two repairs, each with the failures before it', async () => {
  await check(
    ['error', 'policy', 2.5],
    '2',
    ['compile-error 0 10', 'refused 1 11'],
    [ERROR, 'source refused macro: no (line 3:1) undefined'],
  );
  await check(['module', 2.5], '1', ['refused 0 10'], ['module refused import: wasi undefined']);
  await check(['wrong', 2.5], '1', ['diverged 0 10'], ['benchmark diverged rule cpu undefined']);
});

test('after the last repair the candidate is what it is: the gates will say so', async () => {
  await check(
    ['error', 'error', 'error'],
    '2',
    ['compile-error 0 10', 'compile-error 1 11'],
    [ERROR, ERROR],
  );
});

test('a right one that is slow is better than a wrong one, the fastest of them best', async () => {
  const slower = 'benchmark slower 1.500 × the baseline, its parent 2.000 × undefined';
  await check(
    [1.5, 'error', 'wrong'],
    '0',
    ['compile-error 1 11', 'diverged 2 12'],
    [slower, ERROR],
  );
  await check(
    [1.5, 1.9, 1.2],
    '1',
    ['slower 0 10', 'slower 2 12'],
    [slower, 'benchmark slower 1.900 × the baseline, its parent 2.000 × undefined'],
  );
});

test('where the model gives up, what it had counts; without anything there is none', async () => {
  await check(['none'], 'it gave up', [], []);
  await check(['error', 'none'], 'it gave up', ['compile-error 0 10'], [ERROR]);
  await check(
    [1.5, 'none'],
    '0',
    ['none null 11'],
    ['benchmark slower 1.500 × the baseline, its parent 2.000 × undefined'],
  );
});
