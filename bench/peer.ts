/**
 * `npm run bench -- peer`: the same remote-write bodies into Ratchet and into vmagent, and the CPU
 * time of every process on their way, from the first request to the last emitted aggregate.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findExecutable } from '../control/stack/executables.ts';
import { integer, type Outcome, runBench } from './command/index.ts';
import { makeBodies, SERIES_PER_BODY } from './peer/bodies.ts';
import { Books } from './peer/books.ts';
import { evolve, ORGS } from './peer/evolve.ts';
import { Ratchet } from './peer/ratchet.ts';
import { type Cost, metricsOf, type Round, table } from './peer/report.ts';
import { filterRules, groupRules, measureVmagent, mergedRule, type Peer } from './peer/vmagent.ts';
import { type Workload, workloadA, workloadB } from './workloads/workloads.ts';

const help = `Usage: npm run bench -- peer [--json] [OPTIONS]

Sends the same remote-write bodies (1,000 series each, 10,000 in all, 12 tags at most) into Ratchet
and into vmagent v1.130.0, by workload A (100 filters on a service) and B (100 group-bys), and
compares the CPU seconds of all processes on the way: the aggregator with its gateway and
nats-server on one side, vmagent on the other. The sums that both emit are compared with what was
sent, bit by bit.

First it lets Ratchet evolve a module for each workload, on bodies of the same kind and by its own
loop. Prints a table on standard error.

  --json           the last line of standard output is one JSON object with the metrics
  --rounds N       1 to 9; the ratios are those of the middle round; default 1
  --samples-a N    thousands of samples of workload A, 10 to 5000; default 3000
  --samples-b N    thousands of samples of workload B, 10 to 2000; default 600
  --state DIR      of an earlier npm start or of this bench: its modules are used as they are
  --baseline       do not evolve: the baseline module serves
  --minutes N      the most that evolution may take, 1 to 240; default 30
  --seed N         of series and values; default 7
  --help           this text

Metrics: a_vs_vmagent, a_vs_vmagent_merged (one rule by service, as an expert would merge the 100)
and b_vs_vmagent, how many times more CPU vmagent takes; sums_equal, whether both emitted what was
sent.
`;

interface Options {
  rounds: number;
  samplesA: number;
  samplesB: number;
  state: string | undefined;
  baseline: boolean;
  minutes: number;
  seed: number;
}

await runBench({
  name: 'peer',
  help,
  flags: {
    rounds: { type: 'string', default: '1' },
    'samples-a': { type: 'string', default: '3000' },
    'samples-b': { type: 'string', default: '600' },
    state: { type: 'string' },
    baseline: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: '7' },
  },
  options: (values) => ({
    rounds: integer('--rounds', values.rounds, 1, 9),
    samplesA: 1_000 * integer('--samples-a', values['samples-a'], 10, 5_000),
    samplesB: 1_000 * integer('--samples-b', values['samples-b'], 10, 2_000),
    state: values.state === undefined ? undefined : resolve(values.state),
    baseline: values.baseline,
    minutes: integer('--minutes', values.minutes, 1, 240),
    seed: integer('--seed', values.seed, 0, 0xffff_ffff),
  }),
  measure: compare,
});

async function compare(options: Options, signal: AbortSignal): Promise<Outcome> {
  const scratch = mkdtempSync(join(tmpdir(), 'ratchet-bench-peer-'));
  try {
    const rounds = await measure(options, scratch, signal);
    process.stderr.write(table(rounds));
    const metrics = metricsOf(rounds);
    return { metrics: { ...metrics }, failed: !metrics.sums_equal };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Where a round runs. */
interface Ring {
  ratchet: Ratchet;
  scratch: string;
  signal: AbortSignal;
}

async function measure(options: Options, scratch: string, signal: AbortSignal): Promise<Round[]> {
  const state = options.state ?? join(scratch, 'state');
  if (!options.baseline && !existsSync(state)) {
    say('evolving the modules of both workloads');
    const { minutes, seed } = options;
    await evolve({ state, minutes, seed, workloads: workloads(seed), say, signal });
  }
  const ratchet = await Ratchet.start(state, signal);
  try {
    if (options.baseline) await ratchet.configure(workloads(options.seed));
    else await ratchet.settle();
    const rounds: Round[] = [];
    for (let round = 0; round < options.rounds; round++) {
      rounds.push(await oneRound({ ratchet, scratch, signal }, options, round));
    }
    return rounds;
  } finally {
    await ratchet.stop();
  }
}

function workloads(seed: number): Record<'a' | 'b', Workload> {
  return { a: workloadA(seed), b: workloadB(seed) };
}

async function oneRound(ring: Ring, options: Options, round: number): Promise<Round> {
  const { a, b } = workloads(options.seed);
  const seed = options.seed + round;
  const first = await side(ring, 'a', a, options.samplesA, seed, {
    a: filterRules(a),
    merged: mergedRule(a),
  });
  const second = await side(ring, 'b', b, options.samplesB, seed, {
    b: groupRules(b),
  });
  return {
    ratchet: { a: first.ours, b: second.ours },
    vmagent: { ...first.theirs, ...second.theirs } as Round['vmagent'],
    differences: [...first.differences, ...second.differences],
  };
}

/** The same bodies into Ratchet, then into a vmagent with each of the lists of rules. */
async function side(
  { ratchet, scratch, signal }: Ring,
  name: 'a' | 'b',
  workload: Workload,
  samples: number,
  seed: number,
  peers: Record<string, Peer>,
): Promise<{ ours: Cost; theirs: Record<string, Cost>; differences: string[] }> {
  const books = new Books(workload);
  const count = samples / SERIES_PER_BODY;
  const bodies = makeBodies(workload, { count, seed }, books);
  say(`${workload.name}: ${samples} samples into Ratchet`);
  const differences: string[] = [];
  const check = (who: string, found: string[]) => {
    for (const text of found) differences.push(`${workload.name} ${who}: ${text}`);
  };
  const sheet = books.sheet();
  const { cost, sent } = await ratchet.measure(ORGS[name], bodies, samples, sheet);
  check('ratchet', sheet.differences());
  say(`${workload.name}: served by ${JSON.stringify(await ratchet.serving(ORGS[name]))}`);
  const theirs: Record<string, Cost> = {};
  for (const [list, peer] of Object.entries(peers)) {
    const rules = peer.aggregations.length;
    say(`${workload.name}: ${samples} samples into vmagent with ${rules} rules`);
    const emitted = books.sheet();
    theirs[list] = await measureVmagent({
      executable: findExecutable('vmagent'),
      directory: join(scratch, 'vmagent'),
      peer,
      bodies: sent,
      samples,
      sheet: emitted,
      signal,
    });
    check(`vmagent ${list}`, emitted.differences());
  }
  return { ours: cost, theirs, differences };
}

function say(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}
