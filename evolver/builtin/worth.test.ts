import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random, seedRandom } from '../random.ts';
import type { Genome } from './genome.ts';
import type { Operator } from './operator.ts';
import { additiveWorth, type Weighed } from './worth.ts';

const operator = (name: string, matters: Operator['matters'] = () => true): Operator => ({
  ...{ name, about: name, plain: 'a', matters },
  options: () => ['a', 'b', 'c'].map((value) => ({ value, prior: 1 })),
});
const WAY = operator('way');
const TABLE = operator('table', ({ way }) => way !== 'c');
const UNROLL = operator('unroll');
const OPERATORS = [WAY, TABLE, UNROLL];

/** What `b` is worth beside `a`. */
function check(
  rows: readonly Weighed[],
  expected: Partial<Record<string, number>>,
  tolerance = 0.01,
) {
  const worth = additiveWorth(rows, OPERATORS);
  for (const [name, difference] of Object.entries(expected)) {
    const of = OPERATORS.find((each) => each.name === name) as Operator;
    const found = worth(of, 'b') - worth(of, 'a');
    assert.ok(Math.abs(found - (difference ?? 0)) < tolerance, `${name}: ${found}`);
  }
}

/** `count` designs, whose gains are sums of what their choices are worth, and noise. */
function designs(count: number, gain: (genome: Genome) => number, noise: number): Weighed[] {
  const draw = random(seedRandom('designs'));
  return Array.from({ length: count }, () => {
    const one = () => (draw.unit() < 0.5 ? 'a' : 'b');
    const genome = { way: one(), table: one(), unroll: one() };
    return { genome, gain: gain(genome) + noise * (draw.unit() - 0.5) };
  });
}

test('nothing measured, nothing known', () => {
  check([], { way: 0, table: 0, unroll: 0 });
  check([{ genome: { way: 'b', table: 'a', unroll: 'a' }, gain: 1 }], { table: 0 });
});

test('effects that lie within the noise of one measurement are told apart by many', () => {
  const gain = ({ way, table }: Genome) =>
    1.2 + (way === 'b' ? 0.04 : 0) - (table === 'b' ? 0.03 : 0);
  check(designs(100, gain, 0.08), { way: 0.04, table: -0.03, unroll: 0 });
});

test('a choice is not credited with what came along with it', () => {
  // Whoever drew the better way drew the wide loop more often, which is worth nothing.
  const gain = ({ way }: Genome) => (way === 'b' ? 0.1 : 0);
  const rows = designs(100, gain, 0).filter(({ genome: { way, unroll } }, index) => {
    return way === unroll || index % 4 === 0;
  });
  check(rows, { way: 0.1, unroll: 0 });
});

test('a choice that makes no difference in a design is not judged by it', () => {
  const gain = ({ table }: Genome) => (table === 'b' ? 0.05 : 0);
  const others = Array.from({ length: 50 }, (_, index) => {
    const genome = { way: 'c', table: index % 2 === 0 ? 'a' : 'b', unroll: 'a' };
    return { genome, gain: index % 2 === 0 ? 0.2 : 0 };
  });
  check([...designs(100, gain, 0), ...others], { table: 0.05 });
});

test('designs far behind the best hardly count', () => {
  const gain = ({ way, unroll }: Genome) => {
    if (way === 'a') return -2 - (unroll === 'b' ? 1 : 0);
    return unroll === 'b' ? 0.05 : 0;
  };
  // Taken alike, all of them together would say -0.5.
  check(designs(200, gain, 0), { unroll: 0.05 }, 0.02);
});
