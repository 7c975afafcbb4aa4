import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BudgetSpent } from './faults.ts';
import { Journal } from './journal.ts';
import { costOf, inDollars, worstCost } from './prices.ts';
import { LlmSettingsError, parseLlmSettings } from './settings.ts';

const { models, subModel } = parseLlmSettings(null);
const [sonnet] = models;
assert.ok(sonnet !== undefined);

test('a charge is what the price table says, in whole micro-dollars, rounded up', () => {
  const check = (usage: [number, number, number, number], micro: number, tariff = sonnet) => {
    const [input, cacheWrite, cacheRead, output] = usage;
    assert.equal(costOf(tariff, { input, cacheWrite, cacheRead, output }), micro);
  };
  check([0, 0, 0, 0], 0);
  check([1, 0, 0, 0], 2);
  check([0, 1, 0, 0], 3);
  check([0, 0, 1, 0], 1);
  check([0, 0, 10, 0], 1);
  check([1_000_000, 1_000_000, 1_000_000, 1_000_000], 14_600_000);
  check([100_000, 0, 0, 1_000], 10_500, subModel);
  // One token more, and all of it is dearer.
  check([100_001, 0, 0, 1_000], 52_501, subModel);
  check([0, 0, 100_001, 1_000], 7_501, subModel);
});

test('no usage within the bounds costs more than the worst case', () => {
  for (const tariff of [sonnet, subModel]) {
    for (const prompt of [1, 99_999, 100_000, 100_001, 400_000]) {
      const worst = worstCost(tariff, prompt, 500);
      const kinds = { input: 0, cacheWrite: 0, cacheRead: 0 };
      for (const kind of Object.keys(kinds)) {
        assert.ok(costOf(tariff, { ...kinds, [kind]: prompt, output: 500 }) <= worst, kind);
      }
    }
  }
});

test('dollars as people read them', () => {
  const cases = { 0: '$0.00', 1: '$0.000001', 1500000: '$1.50', 12: '$0.000012' };
  for (const [micro, text] of Object.entries(cases)) assert.equal(inDollars(Number(micro)), text);
});

test('settings: what is not known, not sure or not a price is an error that names it', () => {
  const cases: [unknown, RegExp][] = [
    [{ modles: [] }, /modles/],
    [{ exploration: { turn: 1 } }, /exploration.*turn/],
    [{ models: [{ id: 'claude-sonnet-5-5', weigth: 2 }] }, /models\.0.*weigth/],
    [{ models: [{ id: 'my-model' }] }, /my-model needs usd_per_mtok/],
    [{ models: [{ id: 'a b', weight: 1 }] }, /models\.0\.id: is not a model id/],
    [{ models: [{ id: 'claude-opus-5-5' }, { id: 'claude-opus-5-5' }] }, /stands there twice/],
    [{ models: [{ id: 'claude-opus-5-5', weight: 0 }] }, /none has a weight above 0/],
    [{ sub_model: 'nobody' }, /sub_model: nobody is not among the models/],
    [{ base_url: 'ftp://x' }, /base_url: is not an http/],
    [{ budget: { organization_usd: -1 } }, /budget\.organization_usd/],
    [{ budget: { proposal_usd: 0.0000001 } }, /more than six decimals/],
    [{ arms: { single: 0, rlm: 0 } }, /arms: one weight must be above 0/],
    [{ output_tokens: 10 }, /output_tokens/],
    [{ retry: { tries: 0 } }, /retry\.tries/],
  ];
  for (const [given, message] of cases) {
    assert.throws(
      () => parseLlmSettings(JSON.stringify(given)),
      (error: unknown) => error instanceof LlmSettingsError && message.test(error.message),
      message.source,
    );
  }
  assert.throws(() => parseLlmSettings('{'), /not JSON/);
  const own = { id: 'own/model-1', usd_per_mtok: price(1, 1.25, 0.1, 5) };
  const settings = parseLlmSettings(JSON.stringify({ models: [own], sub_model: 'own/model-1' }));
  assert.deepEqual(settings.subModel.price.cacheWrite, 1_250_000);
});

function price(input: number, cache_write: number, cache_read: number, output: number) {
  return { input, cache_write, cache_read, output };
}

const LIMITS = { organization: 1_000, proposal: 600 };
const keyOf = (conversation: string, turn: string, org = 'acme') => ({
  conversation,
  turn,
  attempt: 0,
  org,
  model: 'm',
  question: 'q',
});
const USAGE = { input: 1, cacheWrite: 2, cacheRead: 3, output: 4 };

test('money is booked before a call, and never beyond a limit', (context) => {
  const journal = Journal.open(':memory:');
  context.after(() => journal.close());
  const [one, two, three] = [keyOf('a', '0'), keyOf('a', '1'), keyOf('b', '0')];
  journal.reserve(one, 400, LIMITS);
  assert.throws(() => journal.reserve(two, 201, LIMITS), BudgetSpent);
  journal.reserve(two, 200, LIMITS);
  assert.throws(() => journal.reserve(three, 401, LIMITS), /organization's budget of \$0.001 has/);
  journal.reserve(keyOf('x', '0', 'globex'), 600, LIMITS);
  journal.settle(one, 'answer', USAGE, 100);
  journal.release(two, false);
  assert.equal(journal.spent('acme'), 100);
  journal.reserve(three, 600, LIMITS);
  assert.deepEqual(journal.charge('a', 0), { microUsd: 100, tokensIn: 6, tokensOut: 4 });
});

test('what was lost in a try stays charged; an answer counts for its question alone', (context) => {
  const journal = Journal.open(':memory:');
  context.after(() => journal.close());
  const key = keyOf('a', '0');
  journal.reserve(key, 50, LIMITS);
  journal.release(key, true);
  journal.reserve(key, 50, LIMITS);
  // As after a crash: nobody released it.
  journal.reserve(key, 50, LIMITS);
  assert.equal(journal.answered(key), null);
  journal.settle(key, 'answer', USAGE, 20);
  assert.equal(journal.spent('acme'), 120);
  assert.deepEqual(journal.answered(key), { answer: 'answer', usage: USAGE, micro: 20 });
  assert.equal(journal.answered({ ...key, question: 'another' }), null);
});

test('conversations that ended long ago are forgotten, and what they cost is not', () => {
  const journal = Journal.open(':memory:');
  const limits = { organization: 1_000, proposal: 1_000 };
  const usage = { input: 1, cacheWrite: 0, cacheRead: 0, output: 1 };
  for (const conversation of ['a', 'b']) {
    const key = { conversation, turn: '1', attempt: 1, org: 'acme', model: 'm', question: 'q' };
    journal.reserve(key, 400, limits);
    journal.settle(key, 'digest', usage, 300);
  }
  assert.equal(journal.forget(Date.now() - 60_000), 0, 'they are young');
  assert.equal(journal.spent('acme'), 600);
  assert.equal(journal.forget(Date.now() + 60_000), 2);
  assert.equal(journal.forget(Date.now() + 60_000), 0);
  assert.deepEqual([journal.calls('a'), journal.spent('acme'), journal.spent('b')], [[], 600, 0]);
  const next = { conversation: 'c', turn: '1', attempt: 1, org: 'acme', model: 'm', question: 'q' };
  assert.throws(() => journal.reserve(next, 401, limits), BudgetSpent);
  journal.reserve(next, 400, limits);
  journal.close();
});
