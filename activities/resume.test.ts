/** A search that is killed again and again makes the choices of one that never was. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Archive } from '../evolver/archive.ts';
import { random, seedRandom } from '../evolver/random.ts';

const GENERATIONS = 12;
const KILLS = 10;
const program = new URL('resume.fixture.ts', import.meta.url).pathname;
const directory = await mkdtemp(join(tmpdir(), 'ratchet-resume-'));
after(() => rm(directory, { recursive: true }));

/** Runs the search; killed `delayMs` behind its `steps`-th step, unless it ends before. */
async function search(folder: string, steps: number, delayMs: number): Promise<'ended' | 'killed'> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, folder, `${GENERATIONS}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  let seen = 0;
  createInterface({ input: child.stdout }).on('line', async () => {
    seen += 1;
    if (seen !== steps) return;
    await wait(delayMs);
    child.kill('SIGKILL');
  });
  const code = await closed;
  if (child.signalCode === 'SIGKILL') return 'killed';
  assert.equal(code, 0, 'the search failed');
  return 'ended';
}

/** Everything but times and what follows from them. */
function choices(folder: string): unknown {
  const archive = Archive.open(join(folder, 'archive.sqlite'));
  try {
    const { rows } = archive.generations('acme', 100);
    const scope = { org: 'acme', epoch: 0, before: GENERATIONS + 1 };
    const configuration = rows[0]?.configuration ?? '';
    return {
      // The stored inputs tell how long a proposal took.
      generations: rows.map(({ inputs, ...row }) => row),
      candidates: rows.flatMap(({ id }) =>
        archive.candidates(id).map(({ cost, ...row }) => ({ ...row, usd: cost.usd })),
      ),
      attempts: rows.flatMap(({ id }) => archive.attempts(id)),
      migrants: archive.migrants({ ...scope, configuration }),
    };
  } finally {
    archive.close();
  }
}

test(`killed at ${KILLS} random moments, the choices are the same`, async (context) => {
  const seed = `${Date.now()}`;
  context.diagnostic(`seed ${seed}`);
  const draws = random(seedRandom(seed));
  const [whole, broken] = [join(directory, 'whole'), join(directory, 'broken')];
  const { mkdir } = await import('node:fs/promises');
  await Promise.all([mkdir(whole), mkdir(broken)]);
  assert.equal(await search(whole, 0, 0), 'ended');
  let kills = 0;
  // Past its first step a run gets on, so that the last one ends.
  for (; kills < KILLS; kills++) {
    const end = await search(broken, 2 + draws.below(8), draws.below(12));
    if (end === 'ended') break;
  }
  assert.ok(kills >= KILLS / 2, `it ended after ${kills} kills: give it more generations`);
  if (kills === KILLS) assert.equal(await search(broken, 0, 0), 'ended');
  context.diagnostic(`${kills} kills`);
  const expected = choices(whole) as { generations: unknown[]; candidates: unknown[] };
  assert.equal(expected.generations.length, GENERATIONS);
  assert.ok(expected.candidates.length > 2 * GENERATIONS);
  assert.deepEqual(choices(broken), expected);
});
