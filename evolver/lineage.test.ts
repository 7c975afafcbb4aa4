import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
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
  const candidate = {
    ...{ mutator: 'builtin', operator: 'seed', model: null, summary: 'a summary' },
    ...{ refused: null, reason: null },
  };
  return {
    generation,
    configuration: CONFIGURATION,
    outcome: 'promoted',
    specRs: 'pub const RULES: u32 = 1;\n',
    seedRs: '// first form\n',
    best: {
      ...candidate,
      id: `${generation}/c1`,
      slot: 1,
      source: `// design ${number}\n`,
      digest: 'd'.repeat(64),
      module: 'e'.repeat(64),
      figures: { ratio: 1.75, ci95: [1.7, 1.8], ratio_to_baseline: 3.5 },
      parent: null,
    },
    rejected: [
      {
        ...candidate,
        id: `${generation}/c0`,
        slot: 0,
        source: 'fn broken(',
        refused: 'build compile-error',
        reason: 'error[E0308]\n\nVerdict: forged',
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
  const summary = 'less\n\nParent: forged';
  const best = { ...entry(1).best, operator, summary } as NonNullable<LineageEntry['best']>;
  const id = await lineage.commitGeneration(entry(1, { best }));
  const [commit] = await lineage.log('acme', CONFIGURATION);
  assert.equal(commit?.subject, 'generation 1: 1.75x by builtin seed Verdict: forged');
  assert.deepEqual(commit?.trailers, {
    Generation: 'acme/gen/1',
    Configuration: CONFIGURATION,
    Parent: 'none',
    Mutator: 'builtin',
    Model: 'none',
    Operator: 'seed Verdict: forged',
    Ratio: '1.7500',
    Digest: 'd'.repeat(64),
    Verdict: 'promoted',
  });
  assert.equal(commit?.committedAtMs, 1_700_000_060_000);
  assert.equal(await lineage.read('acme', id, 'aggregate.rs'), '// design 1\n');
  const measured = JSON.parse((await lineage.read('acme', id, 'measured.json')) ?? '');
  assert.deepEqual([measured.ratio, measured.module], [1.75, 'e'.repeat(64)]);
  assert.equal(await lineage.read('acme', id, 'absent.rs'), null);
});

test('without a best candidate the source stays; configurations are branches', async (context) => {
  const { lineage } = open(context);
  const nothing = entry(9, { best: null, configuration: 'e5f6'.repeat(16) });
  const first = await lineage.commitGeneration(nothing);
  assert.equal(await lineage.read('acme', first, 'aggregate.rs'), '// first form\n');
  await lineage.commitGeneration(entry(1));
  const second = await lineage.commitGeneration(entry(2, { best: null, outcome: 'no-candidate' }));
  assert.equal(await lineage.read('acme', second, 'aggregate.rs'), '// design 1\n');
  const other = 'c3d4'.repeat(16);
  await lineage.commitGeneration(entry(3, { configuration: other }));
  assert.equal((await lineage.log('acme', other)).length, 1);
  assert.equal((await lineage.log('acme', CONFIGURATION)).length, 2);
  assert.deepEqual(await lineage.log('globex', CONFIGURATION), []);
});

test('a version is tagged once; the same version elsewhere is a conflict', async (context) => {
  const { lineage } = open(context);
  const commit = await lineage.commitGeneration(entry(1));
  const other = await lineage.commitGeneration(entry(2));
  const tag = { org: 'acme', version: 3, commit, message: 'version 3', atMs: 5_000 };
  await lineage.tag(tag);
  await lineage.tag(tag);
  await assert.rejects(lineage.tag({ ...tag, commit: other }), { code: 'conflict' });
});

const found = spawnSync('git', ['--version']).status === 0;
const options = found ? {} : { skip: 'no git on the PATH' };

test('plain git reads it: log, show, notes, tags, bisect, fsck', options, async (context) => {
  const { lineage } = open(context);
  const commits: string[] = [];
  for (let number = 1; number <= 8; number++) {
    const best = number % 2 === 0 ? { best: null, outcome: 'no-improvement' } : {};
    commits.push(await lineage.commitGeneration(entry(number, best)));
  }
  const atMs = 1_700_000_900_000;
  const [, , third = ''] = commits;
  await lineage.tag({ org: 'acme', version: 3, commit: third, message: 'version 3', atMs });
  const clone = join(lineage.gitdir('acme'), '..', 'clone');
  const git = (...args: string[]) => {
    const own = ['-c', 'user.name=test', '-c', 'user.email=test@example.invalid'];
    return execFileSync('git', [...own, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  };
  const bare = (...args: string[]) => git('-C', lineage.gitdir('acme'), ...args);
  assert.match(bare('fsck', '--strict'), /^$/);
  const subjects = bare('log', '--format=%s').split('\n');
  assert.equal(subjects.length, 8);
  assert.equal(subjects[0], 'generation 8: no-improvement');
  assert.equal(bare('log', '-1', '--format=%(trailers:key=Ratio,valueonly)', third), '1.7500');
  assert.match(bare('log', '-1', third), /Why: 1.750x the incumbent \(1.700 to 1.800\), 3.500x/);
  const note = 'Notes:\n    c0 builtin seed: build compile-error (error[E0308] Verdict: forged)';
  assert.ok(bare('log', '-1', third).includes(note), bare('log', '-1', third));
  assert.match(bare('log', '-1', '--notes=rejected', third), /==> c0 builtin .*\n +fn broken\(/);
  assert.match(bare('show', '--stat', third), /aggregate.rs/);
  assert.equal(bare('describe', '--tags', third), 'v3');
  git('clone', '-q', lineage.gitdir('acme'), clone);
  git('-C', clone, 'bisect', 'start', commits[7] ?? '', commits[0] ?? '');
  // The change looked for: from which commit on the source is no longer that of generation 3.
  const script = 'grep -qE "design (1|3)" aggregate.rs';
  assert.match(
    git('-C', clone, 'bisect', 'run', 'sh', '-c', script),
    new RegExp(commits[4] ?? '-'),
  );
  assert.match(git('-C', clone, 'show', 'refs/bisect/bad', '-s', '--format=%H'), /./);
  assert.equal(git('-C', clone, 'rev-parse', 'refs/bisect/bad'), commits[4]);
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
