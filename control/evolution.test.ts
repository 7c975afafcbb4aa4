/** How RATCHET_EVOLUTION changes the defaults; what it does not know is an error that names it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SEARCH } from '../evolver/search/settings.ts';
import { DEFAULT_BUDGET, DEFAULT_SETTINGS } from '../workflows/messages.ts';
import { evolutionDefaults } from './evolution.ts';

test('without the variable everything is as the workflows have it', () => {
  const { settings, budget } = evolutionDefaults(null);
  assert.deepEqual({ settings, budget }, { settings: DEFAULT_SETTINGS, budget: DEFAULT_BUDGET });
  assert.deepEqual(DEFAULT_SETTINGS.search, DEFAULT_SEARCH, 'the search is on by default');
});

test('parts replace parts', () => {
  const text = '{"candidates":2,"search":{"islands":1},"budget":{"generations":3}}';
  const { settings, budget } = evolutionDefaults(text);
  assert.deepEqual(settings, {
    ...DEFAULT_SETTINGS,
    candidates: 2,
    search: { ...DEFAULT_SEARCH, islands: 1 },
  });
  assert.deepEqual(budget, { ...DEFAULT_BUDGET, generations: 3 });
});

test('the fleet has what tenants have, a longer budget, and parts of its own', () => {
  const text = '{"candidates":2,"fleet":{"evolve_on_configure":false,"budget":{"generations":3}}}';
  const { settings, budget, fleet } = evolutionDefaults(text);
  assert.deepEqual([fleet.settings.candidates, fleet.settings.evolve_on_configure], [2, false]);
  assert.deepEqual([settings.evolve_on_configure, budget.generations], [true, 6]);
  assert.equal(fleet.budget.generations, 3);
  assert.ok(fleet.budget.seconds > budget.seconds);
  assert.ok(fleet.settings.capture_poll_ms > settings.capture_poll_ms);
});

const refused: [text: string, message: RegExp][] = [
  ['{"candidate":2}', /settings: "candidate" is not one of its fields/],
  ['{"search":{"island":1}}', /settings.search: "island" is not one of its fields/],
  ['{"search":{"islands":0}}', /settings.search.islands: 0 is not a whole number/],
  ['{"search":{"sampling":"best"}}', /settings.search.sampling: "best" is not one of power/],
  ['{"search":{"decay":null}}', /settings.search.decay: null is not a number/],
  ['{"budget":{"dollars":1}}', /budget: "dollars" is not one of its fields/],
  ['{"mutator":"human"}', /settings.mutator: "human" is not one of all/],
  ['{"fleet":{"tenants":1}}', /settings: "tenants" is not one of its fields/],
  ['{', /RATCHET_EVOLUTION: /],
];
for (const [text, message] of refused) {
  test(`refused: ${text}`, () => assert.throws(() => evolutionDefaults(text), message));
}
