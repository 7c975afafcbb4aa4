/** What becomes of a look at traffic, on a real archive and a real store. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ContentStore } from '../../control/store/index.ts';
import { Archive } from '../../evolver/archive.ts';
import { UNKNOWN_TRAFFIC } from '../../evolver/profile.ts';
import { seedRandom } from '../../evolver/random.ts';
import { planGeneration } from '../mutate/plan.ts';
import type { PlanInput } from '../types.ts';
import { conclude } from './index.ts';
import type { ObserveInput } from './types.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-observe-'));
const store = new ContentStore(join(directory, 'store'));
const archive = Archive.open(':memory:');
after(async () => {
  archive.close();
  await rm(directory, { recursive: true });
});
const digest = 'c'.repeat(64);
const ref = (name: string) => ({ digest: name.padEnd(64, '0'), size: 1, mediaType: 'x' });
const configuration = { digest, blob: ref('b'), rules: 1, effective_from_ms: 0 };

const BUSY = { ...UNKNOWN_TRAFFIC, points: { median: 900, max: 900 } };

function input(at_ms: number, module = 'm1'): ObserveInput {
  return {
    ...{ org: 'acme', configuration, module, at_ms, messages_min: 1, seconds: 1 },
    limits: { distance: 1, advantage: 0.5 },
  };
}

async function promoted(): Promise<void> {
  const { digest: profile } = await store.put(JSON.stringify(UNKNOWN_TRAFFIC), 'x');
  const random = seedRandom('x');
  const began = { configuration: digest, parent: null, random, profile, startedAtMs: 1 };
  archive.startGeneration({ id: 'acme/gen/1', ...began });
  for (const [slot, mutator] of (['specialise', 'builtin', 'builtin'] as const).entries()) {
    const id = `acme/gen/1/c${slot}`;
    const of = { operator: `op${slot}`, parent: null, createdAtMs: 1 };
    archive.recordCandidate({ id, mutator, source: ref(`${slot}`).digest, ...of });
    archive.recordResult(id, { ratioToBaseline: 1 + slot, module: `m${slot}` });
    archive.recordVerdict(id, { gate: 'benchmark', passed: true, verdict: 'timed', atMs: 1 });
  }
  const manifest = { org: 'acme', version: 1, configuration: digest, kind: 'promote' } as const;
  archive.recordPromotion({ ...manifest, candidate: 'acme/gen/1/c1', module: 'm1', atMs: 1 });
}

function plan(generation: number) {
  const request: PlanInput = {
    ...{ org: 'acme', generation, rerun: 0, configuration, profile: ref('p'), candidates: 2 },
    ...{ specialization: { spec: ref('s'), seed: ref('0') }, mutator: 'builtin' },
  };
  const arms = { name: 'builtin' as const, propose: () => Promise.reject(new Error('unused')) };
  return planGeneration(archive, request, { builtin: arms });
}

test('steady traffic changes nothing; a move begins an epoch with the best of before', async () => {
  await promoted();
  assert.equal(
    (await conclude({ archive, store }, input(1), UNKNOWN_TRAFFIC, 2)).verdict,
    'steady',
  );
  assert.deepEqual(
    plan(2).document.slots.map(({ again }) => again),
    [null, null],
  );
  const moved = await conclude({ archive, store }, input(2), BUSY, 2);
  assert.deepEqual(moved, { verdict: 'moved', reason: 'points a message: 200 → 900' });
  assert.deepEqual(await conclude({ archive, store }, input(2), BUSY, 2), moved, 'told once');
  const { document, epoch, unevolved } = plan(2);
  assert.deepEqual([epoch, unevolved], [1, false]);
  assert.deepEqual(
    document.slots.map(({ mutator, again }) => [mutator, again?.id, again?.mutator]),
    [
      ['specialise', 'acme/gen/1/c0', 'specialise'],
      ['specialise', 'acme/gen/1/c2', 'builtin'],
    ],
    'the first form, and the best, measured on the traffic of now',
  );
});

test('a move settles once the module is measured on the traffic of now', async () => {
  const began = { configuration: digest, parent: null, random: seedRandom('y'), startedAtMs: 2 };
  const { digest: profile } = await store.put(JSON.stringify(BUSY), 'x');
  archive.startGeneration({ id: 'acme/gen/2', ...began, profile, epoch: 1 });
  const id = 'acme/gen/2/c1';
  const of = { operator: 'again', parent: null, createdAtMs: 2 };
  archive.recordCandidate({ id, mutator: 'specialise', source: ref('1').digest, ...of });
  archive.recordResult(id, { ratioToBaseline: 1.8, module: 'm1' });
  assert.equal((await conclude({ archive, store }, input(5), BUSY, 1.7)).verdict, 'steady');
  assert.equal(archive.epoch('acme', digest), 1, 'nothing was promoted, and nothing begins again');
});

test('an advantage that shrank begins an epoch too; an unknown module is steady', async () => {
  const shrunk = await conclude({ archive, store }, input(6), BUSY, 0.8);
  assert.deepEqual(shrunk, { verdict: 'shrunk', reason: '0.80x the baseline, it was 1.80x' });
  const unknown = await conclude({ archive, store }, input(7, 'm9'), UNKNOWN_TRAFFIC, 1.2);
  assert.equal(unknown.verdict, 'steady');
  assert.equal(archive.epoch('acme', digest), 2);
  const [newest] = archive.observations('acme', digest, 1);
  assert.deepEqual([newest?.id, newest?.distance], ['acme/observation/7', null]);
});
