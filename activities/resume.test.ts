/** A search that is killed again and again makes the choices of one that never was. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Archive } from '../evolver/archive.ts';
import { type Random, random, seedRandom } from '../evolver/random.ts';

const KILLS = 10;
const program = new URL('resume.fixture.ts', import.meta.url).pathname;
const directory = await mkdtemp(join(tmpdir(), 'ratchet-resume-'));
after(() => rm(directory, { recursive: true }));

interface Search {
  generations: number;
  scored: 'table' | 'fuel';
  /** A kill comes so long behind a step, at most. */
  delayMs: number;
}

interface Kill {
  /** Of steps that no life before came to. */
  steps: number;
  delayMs: number;
}

/** One life of a search: to its end, or killed behind so many new steps. */
async function live(
  folder: string,
  { generations, scored }: Search,
  known: Set<string>,
  kill: Kill | null,
): Promise<'ended' | 'killed'> {
  const args = ['--import', 'tsx', program, folder, `${generations}`, scored];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told = `${told}${text}`.slice(-4_000);
  });
  const closed = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  let [generation, fresh] = ['', 0];
  createInterface({ input: child.stdout }).on('line', async (line) => {
    if (line.startsWith('generation ')) generation = line;
    const step = `${generation} ${line}`;
    fresh += known.has(step) ? 0 : 1;
    const due = !known.has(step) && fresh === kill?.steps;
    known.add(step);
    if (!due) return;
    await wait(kill.delayMs);
    child.kill('SIGKILL');
  });
  const code = await closed;
  if (child.signalCode === 'SIGKILL') return 'killed';
  assert.equal(code, 0, `the search failed: ${told}`);
  return 'ended';
}

/** Lives until it ends; answers how many of `kills` it took. */
async function liveOn(folder: string, search: Search, kills: number, draws: Random) {
  const known = new Set<string>();
  for (let taken = 0; taken < kills; taken++) {
    const kill = { steps: 1 + draws.below(4), delayMs: draws.below(search.delayMs) };
    if ((await live(folder, search, known, kill)) === 'ended') return taken;
  }
  assert.equal(await live(folder, search, known, null), 'ended');
  return kills;
}

/** Everything but times and what follows from them. */
function choices(folder: string, { generations }: Search) {
  const archive = Archive.open(join(folder, 'archive.sqlite'));
  try {
    const { rows } = archive.generations('acme', 100);
    const scope = { org: 'acme', epoch: 0, before: generations + 1 };
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

function folderOf(name: string): string {
  const folder = join(directory, name);
  mkdirSync(folder);
  return folder;
}

const { RATCHET_KIT: kit, RATCHET_AGGREGATOR: aggregator } = process.env;
const built = kit && aggregator ? {} : { skip: 'no kit, no aggregator: run the bootstrap' };
const searches: [name: string, search: Search, options: { skip?: string }][] = [
  ['scored by a table', { generations: 12, scored: 'table', delayMs: 12 }, {}],
  ['built, and scored by fuel', { generations: 3, scored: 'fuel', delayMs: 400 }, built],
];

for (const [name, search, options] of searches) {
  test(
    `killed at ${KILLS} random moments, the choices are the same: ${name}`,
    options,
    async (context) => {
      const seed = `${Date.now()}`;
      context.diagnostic(`seed ${seed}`);
      const draws = random(seedRandom(seed));
      const whole = folderOf(`${search.scored}-whole`);
      assert.equal(await live(whole, search, new Set(), null), 'ended');
      const expected = choices(whole, search);
      assert.equal(expected.generations.length, search.generations);
      assert.ok(expected.candidates.length > 2 * search.generations);
      const scores = new Set(expected.candidates.map((each) => each.ratioToBaseline));
      assert.ok(scores.size > search.generations, 'the scores tell candidates apart');
      // One that came to its end between two kills is followed by another.
      for (let kills = 0; kills < KILLS; ) {
        const folder = folderOf(`${search.scored}-${kills}`);
        const taken = await liveOn(folder, search, KILLS - kills, draws);
        assert.ok(taken > 0, 'it ended before any kill');
        kills += taken;
        context.diagnostic(`${taken} kills`);
        assert.deepEqual(choices(folder, search), expected);
      }
    },
  );
}
