import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { Archive, type CandidateInput } from './archive.ts';
import { seedRandom } from './random.ts';
import { migrate, migrations } from './schema/migrate.ts';
import type { Features } from './search/features.ts';

const CONFIGURATION = 'c'.repeat(64);

function file(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'archive-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'archive.sqlite');
}

function memory(context: TestContext): Archive {
  const archive = Archive.open(':memory:');
  context.after(() => archive.close());
  return archive;
}

function start(archive: Archive, id: string, configuration = CONFIGURATION): void {
  const random = seedRandom(id);
  archive.startGeneration({ id, configuration, parent: null, random, startedAtMs: 1 });
}

function candidate(id: string, changes: Partial<CandidateInput> = {}): CandidateInput {
  const source = `source of ${id}`;
  const who = { mutator: 'builtin', operator: 'seed', parent: null } as const;
  return { id, source, ...who, createdAtMs: 2, ...changes };
}

/** A generation of timed candidates: `gen/<n>/c<i>` with the i-th ratio; null = never timed. */
function timed(archive: Archive, number: number, ratios: (number | null)[]): void {
  const generation = `acme/gen/${number}`;
  start(archive, generation);
  for (const [slot, ratio] of ratios.entries()) {
    const id = `${generation}/c${slot}`;
    archive.recordCandidate(candidate(id, { createdAtMs: number * 10 + slot }));
    archive.recordResult(id, { ratioToBaseline: ratio });
  }
}

test('the file is migrated once, and again by nobody', (context) => {
  const path = file(context);
  const first = Archive.open(path);
  start(first, 'acme/gen/1');
  first.close();
  const second = Archive.open(path);
  assert.equal(second.generation('acme/gen/1')?.outcome, 'running');
  second.close();
  const database = new Database(path);
  assert.equal(database.pragma('user_version', { simple: true }), migrations().length);
  assert.equal(database.pragma('journal_mode', { simple: true }), 'wal');
  database.close();
});

test('a step is applied to an older file, and a newer file is refused', (context) => {
  const path = file(context);
  const database = new Database(path);
  context.after(() => database.close());
  migrate(database, ['CREATE TABLE a (x)']);
  migrate(database, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)']);
  database.exec('INSERT INTO b VALUES (1)');
  assert.throws(() => migrate(database, ['CREATE TABLE a (x)']), { code: 'schema' });
  assert.throws(() => migrate(database, ['', '', 'not SQL']), /syntax error/);
  assert.equal(database.pragma('user_version', { simple: true }), 2);
});

test('writing the same again changes nothing; another meaning is a conflict', (context) => {
  const archive = memory(context);
  const write = () => {
    start(archive, 'acme/gen/1');
    archive.recordCandidate(
      candidate('acme/gen/1/c0', { inspirations: [{ role: 'top', id: 'x' }] }),
    );
    archive.recordVerdict('acme/gen/1/c0', {
      gate: 'source',
      passed: true,
      verdict: 'pass',
      atMs: 3,
    });
    archive.recordAttempt({
      id: 'acme/gen/1/c1/a1',
      generation: 'acme/gen/1',
      mutator: 'builtin',
      stage: 'mutate',
      outcome: 'none',
      atMs: 4,
    });
    archive.recordPromotion({
      org: 'acme',
      version: 1,
      configuration: CONFIGURATION,
      kind: 'promote',
      candidate: 'acme/gen/1/c0',
      module: 'm',
      atMs: 5,
    });
    return [archive.candidates('acme/gen/1'), archive.totals('acme'), archive.incumbent('acme')];
  };
  assert.deepEqual(write(), write());
  assert.throws(() => start(archive, 'acme/gen/1', 'd'.repeat(64)), { code: 'conflict' });
  const other = candidate('acme/gen/1/c0', { source: 'another' });
  assert.throws(() => archive.recordCandidate(other), { code: 'conflict' });
});

test('attempts are only added', (context) => {
  const path = file(context);
  const archive = Archive.open(path);
  context.after(() => archive.close());
  start(archive, 'acme/gen/1');
  const attempt = { generation: 'acme/gen/1', mutator: 'llm', stage: 'mutate', outcome: 'none' };
  archive.recordAttempt({ id: 'acme/gen/1/c0/a1', ...attempt, atMs: 1 });
  const database = new Database(path);
  context.after(() => database.close());
  assert.throws(() => database.exec("UPDATE attempts SET outcome = 'x'"), /append-only/);
  assert.throws(() => database.exec('DELETE FROM attempts'), /append-only/);
});

test('rows that nothing refers to are faults', (context) => {
  const archive = memory(context);
  const missing = { code: 'missing' };
  assert.throws(() => archive.recordCandidate(candidate('acme/gen/9/c0')), missing);
  assert.throws(() => archive.recordResult('acme/gen/9/c0', {}), missing);
  assert.throws(() => archive.endGeneration('acme/gen/9', { outcome: 'x', endedAtMs: 1 }), missing);
  for (const id of [
    'acme',
    'acme/gen/0',
    'acme/gen/01',
    'ACME/gen/1',
    'acme/gen/1/r0',
    '../gen/1',
  ]) {
    assert.throws(() => start(archive, id), missing, id);
  }
});

test('features that are known later join those of the source', (context) => {
  const archive = memory(context);
  start(archive, 'acme/gen/1');
  const cases: [Features | null, Features | null | undefined, Features | null][] = [
    [{ loops: 1 }, { 'wasm.loops': 2 }, { loops: 1, 'wasm.loops': 2 }],
    [null, { 'wasm.loops': 2 }, { 'wasm.loops': 2 }],
    [{ loops: 1 }, null, { loops: 1 }],
    [{ loops: 1 }, undefined, { loops: 1 }],
    [null, null, null],
  ];
  for (const [slot, [before, added, features]] of cases.entries()) {
    const id = `acme/gen/1/c${slot}`;
    archive.recordCandidate(candidate(id, { features: before }));
    const result = added === undefined ? {} : { features: added };
    for (let time = 0; time < 2; time++) archive.recordResult(id, { ...result, moduleSize: 7 });
    const row = archive.candidate(id);
    assert.deepEqual([row?.features, row?.moduleSize], [features, 7], id);
  }
});

test('two connections write the same archive', (context) => {
  const path = file(context);
  const [one, two] = [Archive.open(path), Archive.open(path)];
  start(one, 'acme/gen/1');
  for (let slot = 0; slot < 20; slot++) {
    const writer = slot % 2 === 0 ? one : two;
    writer.recordCandidate(candidate(`acme/gen/1/c${slot}`));
  }
  assert.equal(one.candidates('acme/gen/1').length, 20);
  assert.deepEqual(two.candidates('acme/gen/1'), one.candidates('acme/gen/1'));
  one.close();
  two.close();
});

const SCOPE = { org: 'acme', configuration: CONFIGURATION, epoch: 0, before: 99 };
const short = (rows: { id: string }[]) =>
  rows.map(({ id }) => id.slice('acme/gen/'.length)).join(' ');

test('parents are the correct and timed ones, best first, a source once', (context) => {
  const archive = memory(context);
  timed(archive, 1, [1.2, null, 2.5, 0.8]);
  timed(archive, 2, [2.1]);
  const refuse = (id: string, gate: string, verdict = 'refused') =>
    archive.recordVerdict(id, { gate, passed: false, verdict, atMs: 9 });
  refuse('acme/gen/1/c2', 'shadow');
  // Too slow to be promoted is no reason not to be a parent, nor is a fault of the machine, or too
  // little traffic to compare on.
  refuse('acme/gen/1/c0', 'benchmark');
  refuse('acme/gen/1/c0', 'shadow', 'insufficient');
  refuse('acme/gen/1/c3', 'build', 'fault');
  archive.recordCandidate(candidate('acme/gen/2/c1', { source: 'source of acme/gen/2/c0' }));
  archive.recordResult('acme/gen/2/c1', { ratioToBaseline: 1.9 });
  assert.equal(short(archive.ranked(SCOPE)), '2/c1 1/c0 1/c3', 'the newest figure of a source');
  assert.equal(short(archive.ranked(SCOPE, 1)), '2/c1');
  assert.equal(short(archive.ranked({ ...SCOPE, before: 2 })), '1/c0 1/c3');
  assert.deepEqual(archive.ranked({ ...SCOPE, configuration: 'd'.repeat(64) }), []);
  assert.equal(short(archive.tried(SCOPE)), '1/c0 1/c1 1/c2 1/c3 2/c1');
  assert.equal(short(archive.tried(SCOPE, 2)), '1/c3 2/c1');
  archive.recordCandidate(candidate('acme/gen/2/c2', { source: 'source of acme/gen/2/c0' }));
  refuse('acme/gen/2/c2', 'shadow');
  assert.equal(short(archive.ranked(SCOPE)), '1/c0 1/c3', 'a source found wrong once is wrong');
});

test('an epoch sees its own figures; observations count epochs', (context) => {
  const archive = memory(context);
  timed(archive, 1, [2]);
  const look = (atMs: number, verdict: 'steady' | 'moved' | 'shrunk') =>
    archive.recordObservation({
      ...{ id: `acme/observation/${atMs}`, org: 'acme', configuration: CONFIGURATION, atMs },
      ...{ module: 'm', profile: 'p', messages: 9, distance: 0.5, advantage: null },
      ...{ verdict, reason: null },
    });
  look(1, 'steady');
  assert.equal(archive.epoch('acme', CONFIGURATION), 0);
  look(2, 'moved');
  look(2, 'moved');
  look(3, 'shrunk');
  assert.equal(archive.epoch('acme', CONFIGURATION), 2);
  assert.equal(archive.epoch('acme', 'other'), 0);
  assert.deepEqual(
    archive.observations('acme', null, 2).map(({ atMs }) => atMs),
    [3, 2],
  );
  const later = { id: 'acme/gen/2', configuration: CONFIGURATION, parent: null, epoch: 2 };
  archive.startGeneration({ ...later, random: seedRandom('e'), startedAtMs: 1 });
  archive.recordCandidate(candidate('acme/gen/2/c0', { source: 'source of acme/gen/1/c0' }));
  archive.recordResult('acme/gen/2/c0', { ratioToBaseline: 1.1 });
  assert.equal(short(archive.ranked(SCOPE)), '1/c0');
  assert.equal(short(archive.ranked({ ...SCOPE, epoch: 2 })), '2/c0');
});

test('what a module had as a candidate: its newest figure of the present epoch', (context) => {
  const archive = memory(context);
  const measure = (number: number, ratio: number | null, epoch: number) => {
    const id = `acme/gen/${number}`;
    const began = { id, configuration: CONFIGURATION, parent: null, epoch, startedAtMs: 1 };
    archive.startGeneration({ ...began, random: seedRandom(id) });
    archive.recordCandidate(candidate(`${id}/c0`));
    archive.recordResult(`${id}/c0`, { ratioToBaseline: ratio, module: 'm' });
  };
  const known = (module: string, configuration = CONFIGURATION) =>
    archive.knownRatio('acme', configuration, module);
  assert.equal(known('m'), null);
  measure(1, 3, 0);
  measure(2, 4, 0);
  measure(3, null, 0);
  assert.equal(known('m'), 4, 'never timed in the third generation');
  assert.deepEqual([known('other'), known('m', 'd'.repeat(64))], [null, null]);
  archive.recordObservation({
    ...{ id: 'acme/observation/1', org: 'acme', configuration: CONFIGURATION, atMs: 1 },
    ...{ module: 'm', profile: 'p', messages: 9, distance: 0.5, advantage: null },
    ...{ verdict: 'moved', reason: null },
  });
  assert.equal(known('m'), null, 'the traffic is another');
  measure(4, 2, 1);
  assert.equal(known('m'), 2);
});

test('trials: every use of an arm with what came of it', (context) => {
  const archive = memory(context);
  start(archive, 'acme/gen/1');
  const arm = 'builtin/seed';
  archive.recordCandidate(candidate('acme/gen/1/c0', { arm, cost: { usd: 0.25 } }));
  archive.recordResult('acme/gen/1/c0', { ratioToBaseline: 2 });
  archive.recordCandidate(candidate('acme/gen/1/c1', { arm, parent: 'acme/gen/1/c0' }));
  archive.recordResult('acme/gen/1/c1', { ratioToBaseline: 3 });
  const wrong = { gate: 'shadow', passed: false, verdict: 'fail', atMs: 1 };
  archive.recordVerdict('acme/gen/1/c1', wrong);
  archive.recordVerdict('acme/gen/1/c0', { ...wrong, verdict: 'insufficient' });
  archive.recordCandidate(candidate('acme/gen/1/c2'));
  const none = { generation: 'acme/gen/1', mutator: 'llm', stage: 'mutate', outcome: 'none' };
  archive.recordAttempt({ id: 'acme/gen/1/c3/a1', ...none, arm: 'rlm/x', costUsd: 1, atMs: 1 });
  archive.recordAttempt({ id: 'acme/gen/1/c3/a2', ...none, costUsd: 1, atMs: 1 });
  assert.deepEqual(archive.trials(SCOPE), [
    { arm, generation: 1, usd: 0.25, ratio: 2, parentRatio: null },
    { arm, generation: 1, usd: 0, ratio: null, parentRatio: 2 },
    { arm: 'rlm/x', generation: 1, usd: 1, ratio: null, parentRatio: null },
  ]);
});

test('migrants are copies, kept by the generation that moved them', (context) => {
  const archive = memory(context);
  timed(archive, 1, [2]);
  const migrants = [{ candidate: 'acme/gen/1/c0', island: 1 }];
  archive.recordMigrants('acme/gen/1', migrants);
  archive.recordMigrants('acme/gen/1', migrants);
  assert.deepEqual(archive.migrants(SCOPE), migrants);
  assert.deepEqual(archive.migrants({ ...SCOPE, before: 1 }), []);
  assert.equal(archive.candidate('acme/gen/1/c0')?.island, 0);
  archive.recordInputs('acme/gen/1', 'digest');
  assert.equal(archive.generation('acme/gen/1')?.inputs, 'digest');
  assert.throws(() => archive.recordInputs('acme/gen/9', 'digest'), { code: 'missing' });
});

test('pages of generations go on where they ended', (context) => {
  const archive = memory(context);
  const ids = ['acme/gen/1', 'acme/gen/2', 'acme/gen/2/r1', 'acme/gen/3', 'acme/gen/10'];
  for (const id of ids) start(archive, id);
  start(archive, 'globex/gen/1');
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page = archive.generations('acme', 2, cursor);
    seen.push(...page.rows.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== null);
  assert.deepEqual(seen, ids.reverse());
  assert.equal(archive.newestGeneration('acme'), 10);
  assert.equal(archive.newestGeneration('nobody'), 0);
  assert.throws(() => archive.generations('acme', 2, "1' OR 1"), { code: 'missing' });
});

test('totals, refusals by gate and incumbents', (context) => {
  const archive = memory(context);
  timed(archive, 1, [1.2, null, null]);
  for (const [slot, gate] of [
    [1, 'build'],
    [2, 'build'],
    [0, 'shadow'],
  ] as const) {
    const verdict = { gate, passed: false, verdict: 'no', atMs: 5 };
    archive.recordVerdict(`acme/gen/1/c${slot}`, verdict);
  }
  assert.deepEqual(archive.rejectedByGate('acme'), { build: 2, shadow: 1 });
  const promotion = { org: 'acme', configuration: CONFIGURATION, candidate: null, module: 'm' };
  archive.recordPromotion({ ...promotion, version: 1, kind: 'promote', atMs: 1 });
  archive.recordPromotion({ ...promotion, version: 2, kind: 'tombstone', module: null, atMs: 2 });
  archive.recordPromotion({ ...promotion, org: 'globex', version: 1, kind: 'promote', atMs: 3 });
  assert.deepEqual(
    archive.incumbents().map(({ org, version, kind }) => [org, version, kind]),
    [
      ['acme', 2, 'tombstone'],
      ['globex', 1, 'promote'],
    ],
  );
  assert.equal(archive.incumbent('nobody'), null);
  assert.equal(archive.promotions('acme').length, 2);
  const { generations, candidates, promoted } = archive.totals('acme');
  assert.deepEqual([generations, candidates, promoted], [1, 3, 1]);
});

test('the end of a generation and its random states are kept', (context) => {
  const archive = memory(context);
  start(archive, 'acme/gen/1/r2');
  const random = seedRandom('after');
  const end = { outcome: 'promoted', promoted: 'acme/gen/1/r2/c1', commit: 'abc', random };
  archive.endGeneration('acme/gen/1/r2', { ...end, endedAtMs: 7 });
  const row = archive.generation('acme/gen/1/r2');
  assert.deepEqual([row?.number, row?.rerun, row?.outcome], [1, 2, 'promoted']);
  assert.deepEqual(row?.random, seedRandom('acme/gen/1/r2'));
  assert.deepEqual(row?.randomAfter, random);
  assert.deepEqual([row?.commit, row?.endedAtMs], ['abc', 7]);
});
