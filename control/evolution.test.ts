/** How RATCHET_EVOLUTION changes the defaults; what it does not know is an error that names it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SEARCH } from '../evolver/search/settings.ts';
import { DEFAULT_BUDGET, DEFAULT_SETTINGS } from '../workflows/messages.ts';
import { evolutionDefaults } from './evolution.ts';

test('without the variable everything is as the workflows have it', () => {
  assert.deepEqual(evolutionDefaults(null), { settings: DEFAULT_SETTINGS, budget: DEFAULT_BUDGET });
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

const refused: [text: string, message: RegExp][] = [
  ['{"candidate":2}', /settings: "candidate" is not one of its fields/],
  ['{"search":{"island":1}}', /settings.search: "island" is not one of its fields/],
  ['{"search":{"islands":0}}', /settings.search.islands: 0 is not a whole number/],
  ['{"search":{"sampling":"best"}}', /settings.search.sampling: "best" is not one of power/],
  ['{"search":{"decay":null}}', /settings.search.decay: null is not a number/],
  ['{"budget":{"dollars":1}}', /budget: "dollars" is not one of its fields/],
  ['{"mutator":"human"}', /settings.mutator: "human" is not one of all/],
  ['{', /RATCHET_EVOLUTION: /],
];
for (const [text, message] of refused) {
  test(`refused: ${text}`, () => assert.throws(() => evolutionDefaults(text), message));
}
