/** What is measured, held against the best, and known already, by a tool that reads off speeds. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { StageSettings } from '../../activities/deps.ts';
import { ContentStore, type Ref } from '../../control/store/index.ts';
import { Book } from './book.ts';
import { type Best, type Measured, Measurer } from './measurer.ts';
import type { Subject } from './subject.ts';

const folder = mkdtempSync(join(tmpdir(), 'ratchet-measurer-'));
after(() => rmSync(folder, { recursive: true }));

/** A module's bytes are its speeds on either corpus, or `wrong`; it notes who ran on what. */
const TOOL = `#!${process.execPath}
const { appendFileSync, readFileSync } = require('node:fs');
const given = (name) => process.argv[process.argv.indexOf(name) + 1];
const on = readFileSync(given('--corpus'), 'utf8');
const named = process.argv.flatMap((arg, at) =>
  process.argv[at - 1] === '--module' ? [arg.split('=')] : []);
const speeds = Object.fromEntries(
  named.map(([name, file]) => [name, JSON.parse(readFileSync(file, 'utf8'))[on]]));
const told = named.filter(([name]) => name !== 'incumbent').map(([name]) => speeds[name]);
appendFileSync(${JSON.stringify(join(folder, 'runs'))}, on + ': ' + told.join(' ') + '\\n');
speeds.baseline = 1;
const reference = given('--reference');
const wrong = Object.keys(speeds).find((name) => speeds[name] === 'wrong');
const one = { message: 1, rule: 'r', group: [], window_start_ms: 0, expected: 1, actual: 2 };
const figures = { us_per_message: 1, us_min: 1, fuel_per_point: 1, records: 1 };
console.log(JSON.stringify({
  messages: 9, points: 9, rounds: 9, trap: null,
  divergence: wrong === undefined ? null : { module: wrong, ...one },
  modules: Object.keys(speeds).map((name) => ({ name, ...figures })),
  ratios: Object.keys(speeds).filter((name) => name !== reference).map((name) => {
    const ratio = speeds[name] / speeds[reference] || 1;
    return { name, reference, ratio, ci95: [ratio - 0.005, ratio + 0.005] };
  }),
}));
`;

const aggregator = join(folder, 'aggregator');
writeFileSync(aggregator, TOOL);
chmodSync(aggregator, 0o755);
const store = new ContentStore(join(folder, 'store'));
const settings = { aggregator, wasi: 'none', state: folder } as StageSettings;

const put = (text: string) => store.put(text, 'application/wasm');
const speed = (fit: number | 'wrong', check = fit) => put(JSON.stringify({ fit, check }));

/** What ran since it was asked for last: the corpus, and the speeds there. */
function runs(): string[] {
  const file = join(folder, 'runs');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  rmSync(file);
  return lines;
}

/** One of its own: figures are found by configuration. */
async function begin(name: string): Promise<{ subject: Subject; measurer: Measurer }> {
  const digest = name.repeat(64).slice(0, 64);
  const corpus = { fit: await put('fit'), check: await put('check') };
  const configuration = { digest, blob: await put(name), rules: 1, effective_from_ms: 0 };
  const deps = { settings, store, kitDigest: 'k', aggregatorDigest: 'a' };
  const book = new Book(join(folder, `${name}.jsonl`));
  const measurer = new Measurer(deps, book, new AbortController().signal);
  return { subject: { name, configuration, corpus } as Subject, measurer };
}

const bestOf = ({ digest: component }: Ref, ratio: number): Best => ({ component, ratio });

function told(measured: Measured | undefined): string {
  if (measured?.verdict !== 'timed') return measured?.verdict ?? 'nothing';
  const { ratio_to_baseline: ratio, faster } = measured;
  return `${ratio.toFixed(2)}, ${faster === null ? 'not faster' : `faster ${faster.toFixed(2)}`}`;
}

test('what is surely faster on training messages is held against the best apart', async () => {
  const { subject, measurer } = await begin('b');
  const [slow, fast, lucky] = [await speed(0.9), await speed(2, 1.8), await speed(1.5, 0.9)];
  const wrong = await speed('wrong');
  const all = [slow, fast, lucky, wrong];
  const first = await measurer.measure(subject, all, null);
  assert.deepEqual(runs(), ['fit: 0.9 2 1.5 wrong', 'fit: 0.9 2 1.5', 'check: 1.8 0.9']);
  assert.deepEqual(
    all.map(({ digest }) => told(first.of.get(digest))),
    ['0.90, not faster', '2.00, faster 1.80', '1.50, faster 0.90', 'diverged'],
  );
  assert.equal(first.fresh.size, 4);
  const again = await measurer.measure(subject, all, null);
  assert.deepEqual([again.of, again.fresh.size, runs()], [first.of, 0, []], 'all is known');
});

test('beside a best, ratios go by what it had; an elite hands on its second one', async () => {
  const { subject, measurer } = await begin('c');
  const best = bestOf(await speed(2), 3);
  const [even, faster] = [await speed(2, 2), await speed(4, 3)];
  const { of } = await measurer.measure(subject, [even, faster], best);
  assert.deepEqual(runs(), ['fit: 2 4', 'check: 3']);
  assert.equal(told(of.get(even.digest)), '3.00, not faster');
  assert.equal(told(of.get(faster.digest)), '4.50, faster 1.50');
});

test('a known one that seems faster than another best is held against it, once', async () => {
  const { subject, measurer } = await begin('d');
  const [slow, fast] = [await speed(0.9), await speed(2)];
  await measurer.measure(subject, [slow, fast], null);
  runs();
  const other = bestOf(await speed(1.6), 1.6);
  const held = await measurer.measure(subject, [slow, fast], other);
  assert.deepEqual(runs(), ['fit: 2', 'check: 2'], 'a slower one need not be');
  assert.equal(told(held.of.get(slow.digest)), '0.90, not faster');
  assert.equal(told(held.of.get(fast.digest)), '2.00, faster 1.25', 'its own figure stays');
  assert.deepEqual([...held.fresh], [fast.digest]);
  await measurer.measure(subject, [slow, fast], other);
  assert.deepEqual(runs(), []);
});

test('a race is run once, and a wrong module there is a fault', async () => {
  const { subject, measurer } = await begin('e');
  const [one, two] = [(await speed(2)).digest, (await speed(3)).digest];
  const ratios = await measurer.race(subject, [two, one, two]);
  assert.deepEqual([ratios.get(one), ratios.get(two)], [2, 3]);
  assert.equal(runs().length, 1);
  assert.deepEqual(await measurer.race(subject, [one, two]), ratios);
  assert.deepEqual(await measurer.race(subject, []), new Map());
  assert.deepEqual(runs(), []);
  const wrong = (await speed('wrong')).digest;
  await assert.rejects(measurer.race(subject, [one, wrong]), /^Error: e: .*diverged/);
});
