import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Lineage, type LineageEntry } from './lineage.ts';

const CONFIGURATION = 'a1b2'.repeat(16);

function open(context: TestContext): { lineage: Lineage; again: () => Lineage } {
  const folder = mkdtempSync(join(tmpdir(), 'lineage-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return { lineage: new Lineage(folder), again: () => new Lineage(folder) };
}

function entry(number: number, changes: Partial<LineageEntry> = {}): LineageEntry {
  const generation = `acme/gen/${number}`;
  const candidate = { mutator: 'builtin', operator: 'seed', refused: null };
  return {
    generation,
    configuration: CONFIGURATION,
    outcome: 'promoted',
    specRs: 'pub const RULES: u32 = 1;\n',
    best: {
      ...candidate,
      id: `${generation}/c1`,
      slot: 1,
      source: `// design ${number}\n`,
      digest: 'd'.repeat(64),
      ratio: 1.75,
      parent: null,
    },
    refused: [
      {
        ...candidate,
        id: `${generation}/c0`,
        slot: 0,
        source: 'fn broken(',
        refused: 'build compile-error',
      },
    ],
    committedAtMs: 1_700_000_000_000 + number * 60_000,
    ...changes,
  };
}

test('the same generations give the same commits, in any repository', async (context) => {
  const one = open(context).lineage;
  const two = open(context).lineage;
  const first = [await one.commitGeneration(entry(1)), await one.commitGeneration(entry(2))];
  const second = [await two.commitGeneration(entry(1)), await two.commitGeneration(entry(2))];
  assert.deepEqual(first, second);
});

test('a generation written again is the same commit, also behind later ones', async (context) => {
  const { lineage, again } = open(context);
  const id = await lineage.commitGeneration(entry(1));
  const later = await lineage.commitGeneration(entry(2));
  assert.equal(await again().commitGeneration(entry(1)), id);
  assert.equal(await again().commitGeneration(entry(2)), later);
  const log = await lineage.log('acme', CONFIGURATION);
  assert.deepEqual(
    log.map((commit) => commit.id),
    [later, id],
  );
});

test('the same generation with another content is a conflict', async (context) => {
  const { lineage } = open(context);
  await lineage.commitGeneration(entry(1));
  const other = entry(1, { outcome: 'no-improvement' });
  await assert.rejects(lineage.commitGeneration(other), { code: 'conflict' });
  await lineage.commitGeneration(entry(2));
});

test('trailers, files and times are those of the entry', async (context) => {
  const { lineage } = open(context);
  const operator = 'seed\n\nVerdict: forged';
  const best = { ...entry(1).best, operator } as NonNullable<LineageEntry['best']>;
  const id = await lineage.commitGeneration(entry(1, { best }));
  const [commit] = await lineage.log('acme', CONFIGURATION);
  assert.equal(commit?.subject, 'generation 1: promoted');
  assert.deepEqual(commit?.trailers, {
    Generation: 'acme/gen/1',
    Configuration: CONFIGURATION,
    Parent: 'none',
    Mutator: 'builtin',
    Operator: 'seed Verdict: forged',
    Ratio: '1.7500',
    Digest: 'd'.repeat(64),
    Verdict: 'promoted',
  });
  assert.equal(commit?.committedAtMs, 1_700_000_060_000);
  assert.equal(await lineage.read('acme', id, 'aggregate.rs'), '// design 1\n');
  assert.equal(await lineage.read('acme', id, 'rejected/c0.rs'), 'fn broken(');
  assert.equal(await lineage.read('acme', id, 'absent.rs'), null);
});

test('without a best candidate the source stays; configurations are branches', async (context) => {
  const { lineage } = open(context);
  await lineage.commitGeneration(entry(1));
  const second = await lineage.commitGeneration(entry(2, { best: null, outcome: 'no-candidate' }));
  assert.equal(await lineage.read('acme', second, 'aggregate.rs'), '// design 1\n');
  const other = 'c3d4'.repeat(16);
  await lineage.commitGeneration(entry(3, { configuration: other }));
  assert.equal((await lineage.log('acme', other)).length, 1);
  assert.equal((await lineage.log('acme', CONFIGURATION)).length, 2);
  assert.deepEqual(await lineage.log('globex', CONFIGURATION), []);
});

test('writes at the same time follow each other', async (context) => {
  const { lineage } = open(context);
  const numbers = [1, 2, 3, 4, 5];
  await Promise.all(numbers.map((number) => lineage.commitGeneration(entry(number))));
  const log = await lineage.log('acme', CONFIGURATION);
  assert.deepEqual(
    log.map((commit) => commit.trailers.Generation),
    numbers.map((number) => `acme/gen/${number}`).reverse(),
  );
});
