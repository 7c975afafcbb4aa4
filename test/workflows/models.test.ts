/** Models as mutators of a generation: their repairs, and what they cost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import type { AdmitInput, MutateInput, SignInput } from '../../activities/types.ts';
import type { GenerationInput, GenerationResult } from '../../workflows/messages.ts';
import { generationInput, runGeneration, startEnvironment } from './environment.ts';
import { type Fakes, fakes, ref } from './fakes.ts';

let environment: Awaited<ReturnType<typeof startEnvironment>>;
before(async () => {
  environment = await startEnvironment();
});
after(() => environment.temporal.teardown());

function run(fake: Fakes, given: GenerationInput): Promise<GenerationResult> {
  return runGeneration(environment, fake, given);
}

test('a model mends what does not compile; the failed version is an attempt', async () => {
  const version = (input: MutateInput) => ref(`version ${input.failures?.length ?? 0}`);
  const slot = { index: 0, mutator: 'llm' as const, parent: null, arm: 'rlm/m' };
  const cost = { micro_usd: 5, tokens_in: 1, tokens_out: 1, seconds: 1 };
  const origin = {
    ...{ arm: 'rlm/m', patch: 'full', island: 0, inspirations: [], model: 'm', syntax: null },
    ...{ prompt: ref('prompt').digest, transcript: ref('conversation').digest },
  };
  const own = { ...slot, id: 'mended/gen/1/c0', operator: 'rlm:full', summary: '', cost, origin };
  const error = { verdict: 'compile-error' as const, reason: 'E0308', log: ref('log'), seconds: 1 };
  const fake = fakes({
    plan: async () => ({ plan: ref('plan'), slots: [slot] }),
    mutate: async (input) => ({
      verdict: 'proposed',
      candidate: { ...own, source: version(input) },
    }),
    build: async ({ source, candidate }) =>
      source.digest === ref('version 0').digest
        ? error
        : { verdict: 'built', component: ref(candidate), linked: ref('l'), seconds: 1 },
  });
  const result = await run(fake, generationInput('mended'));
  assert.equal(result.outcome, 'promoted', result.detail ?? '');
  assert.deepEqual([fake.calls.mutate, fake.calls.build], [2, 3]);
  const [admitted] = fake.inputs.admit as AdmitInput[];
  const [outcome, detail, source] = ['compile-error', 'build: E0308', ref('version 0').digest];
  const charge = { micro_usd: 5, tokens_in: 1, tokens_out: 1 };
  assert.deepEqual(admitted?.attempts, {
    0: [{ outcome, detail, source, transcript: origin.transcript, ...charge }],
  });
  assert.equal(admitted?.inputs.candidates[0]?.source.digest, ref('version 1').digest);
  const [{ subject } = {}] = fake.inputs.sign as SignInput[];
  assert.ok(subject?.of === 'candidate' && 'prompt' in subject.origin);
  const { mutator, prompt, model } = subject.origin;
  assert.deepEqual([mutator, prompt, model], ['llm', origin.prompt, 'm']);
});

test('what was spent is told, of what came to nothing too', async () => {
  const cost = { micro_usd: 10, tokens_in: 3, tokens_out: 4, seconds: 1 };
  const { activities } = fakes();
  const fake = fakes({
    mutate: async (given) => {
      const charge = { micro_usd: 5, tokens_in: 1, tokens_out: 1 };
      const attempt = { outcome: 'duplicate', detail: 'd', source: null, transcript: null };
      if (given.index === 1)
        return { verdict: 'none', reason: 'r', cost, attempts: [{ ...attempt, ...charge }] };
      const answer = await activities.mutate(given);
      if (answer.verdict === 'none') return answer;
      return { ...answer, candidate: { ...answer.candidate, cost } };
    },
  });
  const result = await run(fake, generationInput('spent', { allowance: { usd: 1, tokens: null } }));
  assert.deepEqual(result.spent, { micro_usd: 25, tokens: 16, evaluations: 1 });
  const [first] = (fake.inputs.mutate ?? []) as { allowance?: object }[];
  assert.deepEqual(first?.allowance, { usd: 1, tokens: null });
});

test('a generation that failed while mutating has spent what the ledger says', async () => {
  const fake = fakes({
    mutate: async () => {
      throw ApplicationFailure.nonRetryable('401', 'LlmAuth');
    },
    conclude: async () => ({ spent: { micro_usd: 70, tokens: 9 } }),
  });
  const result = await run(fake, generationInput('unpaid'));
  assert.equal(result.outcome, 'failed');
  assert.deepEqual(result.spent, { micro_usd: 70, tokens: 9, evaluations: 0 });
});
