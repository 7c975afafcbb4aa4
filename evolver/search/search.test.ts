/** The search's choices: pure, so everything here is a table of cases. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WeightedArm } from '../arms.ts';
import { armId } from '../arms.ts';
import { type RandomState, seedRandom } from '../random.ts';
import { chooseArm, reward, standings, type Trial } from './bandit.ts';
import {
  codeDistance,
  type Features,
  INSTRUCTIONS,
  type Instructions,
  instructionMix,
  sourceFeatures,
} from './features.ts';
import { chooseInspirations } from './inspirations.ts';
import { elitesOf, membersOf, migration, migrationDue } from './islands.ts';
import { repetition, syntaxDigest } from './novelty.ts';
import { DEFAULT_SEARCH } from './settings.ts';
import { type ParentRow, planSlots } from './slots.ts';
import { normalForm, tokenise } from './tokens.ts';

function row(id: string, island: number, ratio: number, changes: Partial<ParentRow> = {}) {
  return {
    ...{ id, island, mutator: 'builtin', source: id, ratioToBaseline: ratio, children: 0 },
    ...{ features: null, moduleSize: null, fuelPerPoint: null },
    ...changes,
  };
}

const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id).join(' ');

test('tokens: comments and white space are dropped, everything else is kept', () => {
  const cases: [source: string, tokens: string][] = [
    ['a // b\nc', 'a c'],
    ['a /* x /* y */ z */ b', 'a b'],
    ['"// no /*" x', '"// no /*" x'],
    ['r#"a " b"# x', 'r#"a " b"# x'],
    [String.raw`"a\"b" '\'' 'x' b'\x00' '\u{1F}'`, String.raw`"a\"b" '\'' 'x' b'\x00' '\u{1F}'`],
    ["fn f<'a>(x: &'a u8)", "fn f < 'a > ( x : & 'a u8 )"],
    ['1..=2_000u32 1.5e3 0xff', '1 ..= 2_000u32 1.5e3 0xff'],
    ['x<<=1;y>>2', 'x <<= 1 ; y >> 2'],
    ['/* open', ''],
  ];
  for (const [source, expected] of cases) {
    assert.equal(
      tokenise(source)
        .map(({ text }) => text)
        .join(' '),
      expected,
      source,
    );
  }
});

const BODY = 'fn f(n: u32) -> u32 { let total = n; for i in 0..n { g(i, total); } total }';
const same: [name: string, source: string][] = [
  ['layout', BODY.replaceAll(' ', '\n\t')],
  ['comments', `// hello\n${BODY.replace('{', '{ /* why */')}`],
  [
    'names of locals',
    BODY.replaceAll('total', 'sum').replaceAll('i,', 'k,').replace('for i', 'for k'),
  ],
  ['names of parameters', BODY.replaceAll(/\bn\b/g, 'count')],
  ['digit separators', BODY.replace('0..', '0_0..').replace('0_0', '0_')],
];
for (const [name, source] of same) {
  test(`novelty: ${name} make no new source`, () => {
    assert.equal(syntaxDigest(source), syntaxDigest(BODY));
  });
}

const different: [name: string, a: string, b: string][] = [
  ['an operator', 'fn f(a: u8) { a + 1 }', 'fn f(a: u8) { a - 1 }'],
  ['a literal', 'fn f(a: u8) { a + 1 }', 'fn f(a: u8) { a + 2 }'],
  ['a text', 'const A: &str = "x";', 'const A: &str = "y";'],
  ['a called function', 'fn f() { g() }', 'fn f() { h() }'],
  ['a path', 'fn f() { spec::A }', 'fn f() { spec::B }'],
  ['a method', 'let len = a; len.len()', 'let cap = a; cap.cap()'],
  ['a macro', 'let vec = vec!(); vec', 'let bec = bec!(); bec'],
  ['fields in short form', 'let a = 1; R { a, b }', 'let b = 1; R { b, a }'],
  ['two locals exchanged', 'let a = x; let b = y; a - b', 'let a = x; let b = y; b - a'],
];
for (const [name, a, b] of different) {
  test(`novelty: ${name} makes a new source`, () => {
    assert.notEqual(normalForm(a), normalForm(b));
  });
}

test('novelty: known by its bytes, then by its tokens', () => {
  const known = [
    { source: 'a', syntax: 's' },
    { source: 'b', syntax: null },
  ];
  assert.equal(repetition({ source: 'a', syntax: 'x' }, known), 'source');
  assert.equal(repetition({ source: 'c', syntax: 's' }, known), 'syntax');
  assert.equal(repetition({ source: 'c', syntax: null }, known), null);
  assert.equal(repetition({ source: 'c', syntax: 'x' }, known), null);
});

test('features tell the shape of code, not its length in characters', () => {
  const long = BODY.replaceAll('total', 'the_total_of_everything_so_far');
  assert.deepEqual(sourceFeatures(long), sourceFeatures(BODY));
  const looped = sourceFeatures(BODY.replace('total }', 'loop { break } total }'));
  assert.equal(looped.loops, (sourceFeatures(BODY).loops ?? 0) + 1);
  const at = (features: ReturnType<typeof sourceFeatures>, fuel: number | null = null) => ({
    ...{ features, moduleSize: null, fuelPerPoint: fuel },
  });
  const plain = at(sourceFeatures(BODY));
  assert.equal(codeDistance(plain, plain), 0);
  assert.ok(codeDistance(plain, at(looped)) > 0);
  assert.equal(
    codeDistance(plain, at(sourceFeatures(BODY), 9)),
    0,
    'what one lacks counts nothing',
  );
  assert.ok(codeDistance(at({}, 10), at({}, 20)) > codeDistance(at({}, 10), at({}, 12)));
});

test('components are apart by their mix of instructions, not by how much code there is', () => {
  const mix = (changes: Partial<Instructions> = {}) => instructionMix({ ...COUNTS, ...changes });
  const twice = Object.entries(COUNTS).map(([name, count]) => [name, count * 2]);
  assert.deepEqual(instructionMix(Object.fromEntries(twice)), mix());
  const shares = Object.values(mix());
  assert.equal(shares.length, INSTRUCTIONS.length);
  assert.equal(
    shares.reduce((a, b) => a + b),
    100_000,
  );
  const nothing = Object.fromEntries(INSTRUCTIONS.map((name) => [name, 0])) as Instructions;
  assert.ok(Object.values(instructionMix(nothing)).every((share) => share === 0));
  const source = sourceFeatures(BODY);
  const at = (features: Features) => ({ features, moduleSize: null, fuelPerPoint: null });
  const plain = at({ ...source, ...mix() });
  const vectorised = at({ ...source, ...mix({ vectors: 2_000 }) });
  const little = at({ ...source, ...mix({ vectors: 210 }) });
  assert.equal(codeDistance(plain, at({ ...mix(), ...source })), 0, 'loops and loops are two');
  assert.ok(codeDistance(plain, vectorised) > codeDistance(plain, little));
  assert.ok(codeDistance(plain, little) > 0);
  const old = at(source);
  assert.equal(codeDistance(old, vectorised), 0, 'a row of before they were counted');
  assert.equal(codeDistance(old, { ...plain, features: null }), 0);
});

const COUNTS: Instructions = {
  ...{ calls: 900, branches: 3_300, loops: 360, loads: 3_300, stores: 2_200 },
  ...{ bulk: 100, integers: 9_370, floats: 20, conversions: 250, vectors: 200 },
};

test('inspirations: the best, then the farthest from parent and chosen', () => {
  const loops = (count: number) => ({ features: { loops: count } });
  const rows = [
    row('a', 0, 3, loops(1)),
    row('b', 0, 2.9, loops(1)),
    row('c', 0, 2.8, loops(2)),
    row('d', 0, 1.1, loops(50)),
    row('e', 0, 1.0, loops(49)),
  ];
  const [a = null] = rows;
  const chosen = chooseInspirations(rows, a, 1, 2);
  assert.equal(
    chosen.map(({ role, row: { id } }) => `${role}:${id}`).join(' '),
    'top:b diverse:d diverse:c',
  );
  assert.deepEqual(chooseInspirations([], null, 2, 2), []);
  assert.equal(ids(chooseInspirations(rows, null, 0, 1).map((each) => each.row)), 'a');
});

test('islands: natives and migrants; the first form lives on all; none is left alone', () => {
  const rows = [row('a', 0, 3), row('b', 1, 2), row('s', 0, 1, { mutator: 'specialise' })];
  const migrants = [{ candidate: 'a', island: 1 }];
  assert.equal(ids(membersOf(rows, 0, 2, [])), 'a s');
  assert.equal(ids(membersOf(rows, 1, 2, [])), 'b s');
  assert.equal(ids(membersOf(rows, 1, 2, migrants)), 'a b s');
  assert.equal(ids(membersOf(rows, 0, 1, [])), 'a b s', 'fewer islands: nobody is lost');
  assert.equal(ids(membersOf([row('a', 0, 3)], 1, 2, [])), 'a', 'an empty island borrows');
});

test('islands: migration copies the best natives to the next island, once', () => {
  const rows = [row('a', 0, 3), row('b', 0, 2), row('c', 1, 1)];
  const moved = migration(rows, 2, 1, []);
  assert.deepEqual(moved, [
    { candidate: 'a', island: 1 },
    { candidate: 'c', island: 0 },
  ]);
  assert.deepEqual(migration(rows, 2, 1, moved), []);
  assert.deepEqual(migration(rows, 2, 0, []), []);
  const due = [0, 4, 5, 10].map((generation) => migrationDue(generation, 5, 2));
  assert.deepEqual(due, [true, false, true, true]);
  assert.equal(migrationDue(5, 5, 1), false);
});

test('the archive keeps its share of every island', () => {
  const strong = Array.from({ length: 6 }, (_, index) => row(`a${index}`, 0, 9 - index / 10));
  const weak = [row('b0', 1, 1.2), row('b1', 1, 1.1)];
  assert.equal(ids(elitesOf([...strong, ...weak], 4, 2, [])), 'a0 a1 b0 b1');
  assert.equal(ids(elitesOf([...strong, ...weak], 7, 2, [])), 'a0 a1 a2 a3 a4 b0 b1');
  assert.equal(ids(elitesOf([...strong, ...weak], 100, 2, [])), ids([...strong, ...weak]));
});

function arm(kind: string, weight = 1, usd = 0): WeightedArm {
  const of = { mutator: 'builtin', model: null, patch: 'full', needsInspirations: false } as const;
  return { ...of, kind, weight, usd };
}

function trial(kind: string, ratio: number | null, changes: Partial<Trial> = {}): Trial {
  return { arm: `builtin/${kind}`, ratio, parentRatio: null, usd: 0, age: 0, ...changes };
}

test('bandit: only what beats parent and baseline is worth anything', () => {
  const cases: [ratio: number | null, parent: number | null, expected: number][] = [
    [null, 2, 0],
    [0.5, null, 0],
    [1, null, 0],
    [2, null, Math.log(2)],
    [3, 1.5, Math.log(2)],
    [1.4, 1.5, 0],
    [2, 0.5, Math.log(2)],
    [0, 1, 0],
    [Number.NaN, 1, 0],
  ];
  for (const [ratio, parentRatio, expected] of cases) {
    assert.ok(
      Math.abs(reward({ ratio, parentRatio }) - expected) < 1e-12,
      `${ratio} ${parentRatio}`,
    );
  }
});

const settled = { ...DEFAULT_SEARCH, epsilon: 0 };

function choices(
  arms: WeightedArm[],
  trials: Trial[],
  count: number,
  settings = settled,
): string[] {
  const taken: string[] = [];
  let state: RandomState = seedRandom('bandit');
  for (let index = 0; index < count; index++) {
    const chosen = chooseArm(arms, trials, taken, settings, state);
    state = chosen.state;
    taken.push(armId(chosen.arm));
  }
  return taken.map((id) => id.slice('builtin/'.length));
}

test('bandit: without trials the priors decide, and a batch is spread over the arms', () => {
  assert.deepEqual(choices([arm('a', 3), arm('b', 1)], [], 4), ['a', 'a', 'a', 'b']);
});

test('bandit: what paid is taken more, what is untried is tried, old luck fades', () => {
  const arms = [arm('a'), arm('b')];
  const good = [trial('a', 2), trial('b', null), trial('a', 2), trial('b', 1)];
  assert.deepEqual(choices(arms, good, 1), ['a']);
  assert.deepEqual(choices([...arms, arm('c', 10)], good, 1), ['c']);
  const [first] = standings(arms, [trial('a', 2, { age: 10 })], settled);
  assert.ok(first && Math.abs(first.trials - 0.95 ** 10) < 1e-12);
});

test('bandit: of two arms that pay alike the cheaper one is taken', () => {
  const arms = [arm('dear', 1, 0.5), arm('cheap', 1, 0.01)];
  assert.deepEqual(choices(arms, [], 1), ['cheap']);
  const paid = [trial('dear', 2, { usd: 0.5 }), trial('cheap', 2, { usd: 0.01 })];
  assert.deepEqual(choices(arms, paid, 1), ['cheap']);
  assert.deepEqual(choices([arm('dear', 1, 0.5), arm('free', 0.8)], [], 1), ['free']);
  const careless = { ...settled, cost_weight: 0 };
  assert.deepEqual(choices(arms, [trial('dear', 3), trial('cheap', 1)], 1, careless), ['dear']);
});

test('bandit: free draws follow the priors; no arm is a fault', () => {
  const wild = { ...settled, epsilon: 1 };
  const taken = choices([arm('a', 3), arm('b', 1)], [], 400, wild);
  const share = taken.filter((each) => each === 'a').length / 400;
  assert.ok(share > 0.65 && share < 0.85, String(share));
  assert.throws(() => chooseArm([], [], [], wild, seedRandom('x')), RangeError);
});

test('a plan follows from rows, settings and state alone', () => {
  const rows = Array.from({ length: 9 }, (_, index) => row(`r${index}`, index % 2, 3 - index / 5));
  const past = { ranked: rows, migrants: [], trials: [trial('a', 2)] };
  const request = {
    ...{ generation: 5, count: 4, settings: DEFAULT_SEARCH, seed: 's', state: seedRandom('p') },
    arms: () => [arm('a'), arm('b'), { ...arm('c'), needsInspirations: true }],
  };
  const plan = planSlots(past, request);
  assert.deepEqual(planSlots(past, request), plan);
  assert.deepEqual(
    plan.slots.map(({ island }) => island),
    [0, 1, 0, 1],
  );
  assert.equal(plan.migrants.length, 2, 'every fifth generation migrates');
  assert.notDeepEqual(planSlots(past, { ...request, state: seedRandom('q') }).slots, plan.slots);
  assert.equal(new Set(plan.slots.map(({ random }) => random.words.join())).size, 4);
});

test('a plan without rows: no parent, no inspiration, no arm that needs one', () => {
  const empty = { ranked: [], migrants: [], trials: [] };
  const weak: boolean[] = [];
  const { slots } = planSlots<ParentRow>(empty, {
    ...{ generation: 1, count: 2, settings: DEFAULT_SEARCH, seed: 's', state: seedRandom('p') },
    arms: (isWeak) => {
      weak.push(isWeak);
      return [arm('a', 1), { ...arm('c', 99), needsInspirations: true }];
    },
  });
  assert.deepEqual(
    slots.map((slot) => [slot.parent, slot.arm.kind]),
    [
      [null, 'a'],
      [null, 'a'],
    ],
  );
  assert.deepEqual(weak, [true, true]);
});

test('a parent far behind the best is weak, and so is the first form', () => {
  const weakOf = (ranked: ParentRow[]) => {
    const seen: boolean[] = [];
    const settings = { ...DEFAULT_SEARCH, islands: 1, sampling: 'weighted', lambda: 0 } as const;
    planSlots(
      { ranked, migrants: [], trials: [] },
      {
        ...{ generation: 1, count: 1, settings, seed: 's', state: seedRandom('p') },
        arms: (isWeak) => {
          seen.push(isWeak);
          return [arm('a')];
        },
      },
    );
    return seen[0];
  };
  assert.equal(weakOf([row('a', 0, 2)]), false);
  assert.equal(weakOf([row('s', 0, 2, { mutator: 'specialise' })]), true);
  const busy = { children: 1_000_000 };
  assert.equal(weakOf([row('best', 0, 4, busy), row('far', 0, 2.9)]), true);
  assert.equal(weakOf([row('best', 0, 4, busy), row('near', 0, 3.1)]), false);
});
