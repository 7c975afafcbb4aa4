/**
 * `npm run bench -- swap`: what swapping modules costs the messages of a loaded organization, and
 * that it loses and misplaces none of their points.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { ensureTokens } from '../control/api/tokens.ts';
import { compileConfiguration } from '../control/configuration/index.ts';
import { connectNats, freePorts, type Stack, startStack } from '../control/stack/index.ts';
import { ApiClient } from '../control/start/api.ts';
import { newModel } from '../control/start/model.ts';
import { bookAggregates, type Tracked } from '../control/start/observe.ts';
import { syntheticSource, Traffic } from '../control/start/traffic.ts';
import { directory, integer, type Outcome, runBench } from './command/index.ts';
import { Ledger } from './oracle/ledger.ts';
import { SwapperApart } from './swap/apart.ts';
import {
  addedMs,
  type Contest,
  contest,
  medianAddedMs,
  middleRound,
  type Plan,
  p999,
  planOf,
  together,
} from './swap/contest.ts';
import { quantileMs, total } from './swap/latency.ts';
import { twoModules } from './swap/modules.ts';
import { readIngest, roomPerSecond } from './swap/room.ts';
import { roomiest } from './swap/state.ts';
import type { Place } from './swap/swapper.ts';
import { Templates } from './swap/templates.ts';
import { workloadA } from './workloads/workloads.ts';

const help = `Usage: npm run bench -- swap [--json] [OPTIONS]

Evolves two modules of workload A on a stack of its own, each through every gate; measures what the
servers bear, and what INGEST has room for until windows are over; then sends 70 % of the lesser,
and swaps between the two in half of the slices of time. When NATS collects garbage, or a disk or a
neighbour is busy, messages wait for tenths of a second, swaps or not: the shorter slices are, the
more evenly that falls to both sides. What a swap leaves behind after its slice, the other has.
Latency is that from the server's storing a message to its being merged. Three rounds take some nine
minutes.

  --json        the last line of standard output is one JSON object with the metrics
  --rounds N    1 to 9; latencies are those of the middle round, by what swaps add; default 3
  --swaps N     swaps of a round, 1 to 10000; default 200
  --seconds N   of a round's time with swaps, and as much without, 6 to 3600; default 60
  --slice MS    with a swap or several, and after it or before it as much without, 100 to 60000;
                default 300; longer where there are fewer swaps
  --seed N      of the messages; default 7
  --state DIR   where the servers keep their files while it runs; default: memory (/dev/shm), where
                it has room, else the temporary directory. NATS writes some 60 MB a second; while
                a disk catches up with that, NATS may stand still for half a second
  --help        this text

Metrics: swaps, of a round; points_lost and points_misplaced, over every rule and window of all
rounds; added_latency_p999_ms, the difference of the 99.9th percentiles of all messages with swaps
and of all without, in the middle round, and _min and _max of the rounds: one moment in which the
machine stands still decides a round; added_latency_p999_paired_ms, the median of that difference
within each pair of slices, which such a moment does not decide, of no more messages than a slice
has; and the load, with what else was measured. Lost or misplaced points make the exit status 1.
`;

const ORG = 'acme';
const SECONDS_MIN = 6;
const SHARE = 0.7;
const TEMPLATES = 128;
/** Messages a second while the modules evolve. */
const RATE = 40;
const LATENESS_S = 10;
const MEASURED_WITHIN_MS = 60_000;
const EMITTED_WITHIN_MS = 150_000;
const EVOLUTION = {
  candidates: 2,
  benchmark_seconds: 3,
  capture_poll_ms: 500,
  capture_poll_ms_max: 2_000,
  budget: { generations: 1, seconds: 3_600, stagnation: 100 },
};

interface Options {
  rounds: number;
  swaps: number;
  seconds: number;
  slice: number;
  seed: number;
  state: string;
}

await runBench({
  name: 'swap',
  help,
  flags: {
    rounds: { type: 'string', default: '3' },
    swaps: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    slice: { type: 'string', default: '300' },
    seed: { type: 'string', default: '7' },
    state: { type: 'string', default: roomiest() },
  },
  options: ({ rounds, swaps, seconds, slice, seed, state }) => ({
    state: directory('--state', state),
    rounds: integer('--rounds', rounds, 1, 9),
    swaps: integer('--swaps', swaps, 1, 10_000),
    seconds: integer('--seconds', seconds, SECONDS_MIN, 3_600),
    slice: integer('--slice', slice, 100, 60_000),
    seed: integer('--seed', seed, 0, 0xffff_ffff),
  }),
  measure: measureOnOwnStack,
});

async function measureOnOwnStack(options: Options, signal: AbortSignal): Promise<Outcome> {
  const stateDir = await mkdtemp(join(options.state, 'ratchet-bench-swap-'));
  say(`state is kept in ${stateDir}`);
  try {
    const metrics = await withStack(stateDir, options, signal);
    for (const [name, value] of Object.entries(metrics)) say(`${name} ${value}`);
    return { metrics, failed: metrics.points_lost !== 0 || metrics.points_misplaced !== 0 };
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
}

async function withStack(
  stateDir: string,
  options: Options,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const stack = await startStack({
    stateDir,
    ports: freePorts,
    lateness: `${LATENESS_S}s`,
    controlEnvironment: { RATCHET_EVOLUTION: JSON.stringify(EVOLUTION) },
    log: say,
    signal,
  });
  try {
    return await measure(stack, options, signal);
  } finally {
    await stack.stop();
  }
}

function say(line: string): void {
  process.stderr.write(`# ${line}\n`);
}

async function measure(
  stack: Stack,
  options: Options,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const connect = (user: 'operator' | 'producer') =>
    connectNats(stack.addresses.nats, user, stack.secrets.password(user));
  const operator = await connect('operator');
  const producer = await connect('producer');
  try {
    return await measureOn(stack, { operator, producer }, options, signal);
  } finally {
    await Promise.allSettled([operator, producer].map((each) => each.close()));
  }
}

interface Connections {
  operator: NatsConnection;
  producer: NatsConnection;
}

async function measureOn(
  stack: Stack,
  { operator, producer }: Connections,
  { rounds, swaps, seconds, slice, seed }: Options,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const workload = workloadA(seed);
  const { rules } = compileConfiguration(ORG, workload.rules);
  const tokens = await ensureTokens(stack.stateDir, [ORG], stack.addresses.api);
  const api = new ApiClient(tokens.api, tokens.token, signal);
  const { digest: configuration, effectiveFromMs } = await api.configure(ORG, workload.rules);
  const ledger = new Ledger(rules, effectiveFromMs);
  const tracked = new Map<string, Tracked>([[ORG, { model: newModel(ORG), ledger }]]);
  bookAggregates(operator, tracked).catch((error: unknown) => say(`booking: ${error}`));
  const traffic = new Traffic(
    jetstream(producer),
    syntheticSource(ORG, workload, RATE, seed),
    ledger,
  );
  const figures = operator.subscribe(`evt.${ORG}.measured`, { max: 2 });
  const evolved = twoModules({ ...tokens, signal }, ORG, say);
  const statements = await evolved.finally(() => traffic.stop());
  await taken(figures, signal);
  // From here on nothing evolves: the servers of the loop would only take processor time.
  await stack.halt('control');
  await stack.halt('temporal');
  const templates = new Templates(workload, TEMPLATES, seed);
  const about = { org: ORG, configuration, statements };
  const password = stack.secrets.password('control');
  const swapper = await SwapperApart.open({ place: placeOf(stack), about, password }, signal);
  const plan: Plan = { ...planOf(1_000 * seconds, slice, swaps), rounds, swaps, share: SHARE };
  const { aggregator } = stack.addresses;
  const openMs = Math.max(...rules.map(({ windowMs }) => windowMs)) + 1_000 * LATENESS_S;
  const keptPerSecond = async () => roomPerSecond(await readIngest(operator), openMs);
  const told = { keptPerSecond, say, signal };
  const bench = { producer, org: ORG, aggregator, templates, swapper, ...told };
  const done = await contest(bench, plan).catch((error: unknown) => {
    swapper.kill();
    throw error;
  });
  const pausesUs = await swapper.end(signal);
  templates.book(ledger);
  await emitted(ledger, signal);
  return metricsOf(done, ledger, pausesUs);
}

function placeOf({ stateDir, addresses, secrets }: Stack): Place {
  const { builder: builderKeyFile, trust: trustFile } = secrets.keys;
  return { stateDir, nats: addresses.nats, builderKeyFile, trustFile };
}

/** The aggregator times what was promoted; that must not run beside the measurement. */
async function taken(figures: Subscription, signal: AbortSignal): Promise<void> {
  const late = sleep(MEASURED_WITHIN_MS, undefined, { ref: false, signal });
  await Promise.race([figures.closed, late]);
}

/** Waits until every window is closed and booked; what is missing then is lost. */
async function emitted(ledger: Ledger, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + EMITTED_WITHIN_MS;
  while (ledger.balance().lost > 0 && performance.now() < deadline) {
    await sleep(1_000, undefined, { signal });
  }
}

function metricsOf(
  done: Contest,
  ledger: Ledger,
  pausesUs: readonly number[],
): Record<string, number> {
  const { lost, surplus, expected } = ledger.balance();
  const added = done.rounds.map(({ pairs }) => addedMs(pairs));
  const middle = middleRound(done.rounds);
  const { quiet, swapping } = together(middle.pairs);
  const everything = together(done.rounds.flatMap(({ pairs }) => pairs));
  const round = (value: number) => Math.round(1_000 * value) / 1_000;
  return {
    rounds: done.rounds.length,
    swaps: middle.swaps,
    swaps_of_all_rounds: done.rounds.reduce((sum, { swaps }) => sum + swaps, 0),
    points_lost: lost,
    points_misplaced: surplus,
    added_latency_p999_ms: round(addedMs(middle.pairs)),
    added_latency_p999_ms_min: round(Math.min(...added)),
    added_latency_p999_ms_max: round(Math.max(...added)),
    added_latency_p999_paired_ms: round(medianAddedMs(middle.pairs)),
    latency_p999_ms: round(p999(quiet)),
    latency_p999_swapping_ms: round(p999(swapping)),
    latency_p50_ms: round(quantileMs(quiet, 0.5)),
    latency_p50_swapping_ms: round(quantileMs(swapping, 0.5)),
    swap_pause_max_us: Math.max(...pausesUs),
    swap_max_ms: round(Math.max(...done.rounds.map(({ swapMaxMs }) => swapMaxMs))),
    processed_messages_per_s: Math.round(done.capacity.processed),
    kept_messages_per_s: Math.round(done.capacity.kept),
    load_messages_per_s: done.perSecond,
    messages: total(everything.quiet) + total(everything.swapping),
    messages_failed: done.failed,
    messages_skipped: done.skipped,
    points_booked: expected,
  };
}
