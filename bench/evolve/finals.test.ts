import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runFinals } from './finals.ts';
import type { Subject } from './subject.ts';

const subject = {} as Subject;
const row = (module: string | null) => ({ module, operator: `by ${module}` });

/** A race by a table of ratios, and who took part in it. */
async function check(
  ratios: Record<string, number>,
  best: string | null,
  expected: { took: string; winner: string | null },
): Promise<void> {
  let took: readonly string[] = [];
  const race = async (_: Subject, components: readonly string[]) => {
    took = components;
    return new Map(components.map((each) => [each, ratios[each] ?? 0]));
  };
  // The sixth module stands twice, and one source came to no module.
  const ranked = ['a', null, 'b', 'c', 'd', 'e', 'f', 'f', 'g', 'h'].map(row);
  const served = best === null ? null : { component: best, operator: 'first' };
  const winner = await runFinals({ race }, subject, ranked, served);
  assert.equal(took.join(''), expected.took);
  const told = winner === null ? null : `${winner.component} ${winner.operator} ${winner.ratio}`;
  assert.equal(told, expected.winner);
}

test('the best six and what the search took for the best run; the fastest wins', async () => {
  await check({ a: 2, c: 3, x: 2.5, h: 9 }, 'x', { took: 'xabcdef', winner: 'c by c 3' });
  await check({ a: 2, x: 2.5 }, 'x', { took: 'xabcdef', winner: 'x first 2.5' });
  await check({ b: 1.5, g: 2 }, 'b', { took: 'bacdefg', winner: 'g by g 2' });
});

test('where nothing is faster than the baseline, nothing wins', async () => {
  await check({ a: 1, b: 0.9 }, null, { took: 'abcdef', winner: null });
});
