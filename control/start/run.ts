/** The main job: start the stack, send traffic, watch evolution, and tell how it went. */
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { Ledger } from '../../bench/oracle/ledger.ts';
import { FLEET } from '../../workflows/level.ts';
import { ensureTokens } from '../api/tokens.ts';
import { loadSettings } from '../config.ts';
import { compileConfiguration } from '../configuration/index.ts';
import { connectNats, type Stack, startStack } from '../stack/index.ts';
import { describeMutators } from '../workers/models.ts';
import { ApiClient } from './api.ts';
import { isDone, newModel, type OrganizationModel } from './model.ts';
import { bookAggregates, followEvents, poll, RateCounters, type Tracked } from './observe.ts';
import type { StartOptions } from './options.ts';
import { type Demonstration, demonstrations } from './organizations.ts';
import { faultsOf, fleetResult, organizationResult, type Result } from './result.ts';
import { openScreen, type Screen } from './screen.ts';
import { Traffic } from './traffic.ts';
import { stackVersions } from './versions.ts';
import { renderGain, renderMeasured, renderSwap } from './view.ts';

const LATENESS_S = 10;
const POLL_EVERY_MS = 1_000;
/** After the last point: its window, the lateness, a tick and the emission itself. */
const DRAIN_LIMIT_MS = 150_000;

/** What a shell shows for a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

interface Job {
  options: StartOptions;
  stack: Stack;
  screen: Screen;
  api: ApiClient;
  tracked: Map<string, Tracked>;
  /** Nothing waits for it. */
  fleet: OrganizationModel;
  traffic: Traffic[];
  connections: { close(): Promise<void> }[];
}

/** Returns the exit status. */
export async function runMainJob(options: StartOptions, interrupted: AbortSignal): Promise<number> {
  const screen = openScreen(options.json ? process.stderr : process.stdout);
  screen.say(`traffic seed ${options.seed} (replay with --seed ${options.seed})`);
  screen.say(describeMutators(loadSettings(process.env).models));
  const stack = await startStack({
    stateDir: options.state,
    lateness: `${LATENESS_S}s`,
    log: (line) => screen.say(line),
    signal: interrupted,
  });
  const fallen = new AbortController();
  stack.onExit(({ message }) => fallen.abort(message));
  const stop = AbortSignal.any([interrupted, fallen.signal]);
  let job: Job | undefined;
  try {
    job = await prepare(options, stack, screen);
    announce(job);
    await watch(job, stop);
    if (fallen.signal.aborted) return 1;
    if (!options.once) return 0;
    if (interrupted.aborted) return INTERRUPTED;
    return await conclude(job, stop);
  } finally {
    screen.say('stopping');
    await Promise.all(job?.traffic.map((traffic) => traffic.stop()) ?? []);
    await Promise.allSettled(job?.connections.map((connection) => connection.close()) ?? []);
    await stack.stop();
  }
}

async function prepare(options: StartOptions, stack: Stack, screen: Screen): Promise<Job> {
  const { nats } = stack.addresses;
  const operator = await connectNats(nats, 'operator', stack.secrets.password('operator'));
  const producer = await connectNats(nats, 'producer', stack.secrets.password('producer'));
  const tracked = new Map<string, Tracked>();
  const demos = await demonstrations(options.seed);
  const organizations = demos.map(({ org }) => org);
  const tokens = await ensureTokens(stack.stateDir, organizations, stack.addresses.api);
  const api = new ApiClient(tokens.api, tokens.token);
  for (const demo of demos) tracked.set(demo.org, await configure(api, demo, screen));
  const job: Job = {
    options,
    stack,
    screen,
    api,
    tracked,
    fleet: newModel(FLEET),
    traffic: [],
    connections: [producer, operator],
  };
  follow(job, bookAggregates(operator, tracked));
  follow(job, followEvents(operator, tracked, job.fleet, listenerOf(screen)));
  const targets = {
    temporalMetricsUrl: stack.addresses.temporalMetrics,
    natsMonitorUrl: stack.addresses.natsMonitor,
    aggregatorMetricsUrl: `${stack.addresses.aggregator}/metrics`,
  };
  for (const { org, source } of demos) {
    const { ledger, model } = tracked.get(org) as Tracked;
    const traffic = new Traffic(jetstream(producer), source(targets), ledger);
    model.traffic = traffic.stats;
    job.traffic.push(traffic);
  }
  return job;
}

/** Windows before this start, or before the rules hold, are not booked. */
async function configure(api: ApiClient, demo: Demonstration, screen: Screen): Promise<Tracked> {
  const { rules, digest } = compileConfiguration(demo.org, demo.rules);
  const configured = await api.configure(demo.org, demo.rules);
  if (configured.digest !== digest) throw new Error(`${demo.org}: the API compiled other rules`);
  const longest = Math.max(...rules.map(({ windowMs }) => windowMs));
  const next = Math.ceil(Date.now() / longest) * longest;
  const fromMs = Math.max(configured.effectiveFromMs, next);
  screen.say(`${demo.org}: ${rules.length} rules, booked from ${new Date(fromMs).toISOString()}`);
  return { model: newModel(demo.org), ledger: new Ledger(rules, fromMs) };
}

function follow(job: Job, task: Promise<void>): void {
  task.catch((error: unknown) => {
    job.screen.say(`observer: ${error instanceof Error ? error.message : String(error)}`);
  });
}

function listenerOf(screen: Screen) {
  return {
    swapped: (model: OrganizationModel, swap: Parameters<typeof renderSwap>[1]) =>
      screen.say(renderSwap(model.org, swap, model)),
    measured: (model: OrganizationModel) => screen.say(renderMeasured(model)),
    refused: (model: OrganizationModel, reason: string) => screen.say(`${model.org}: ${reason}`),
  };
}

function announce({ stack, screen }: Job): void {
  screen.say(`Temporal UI  ${stack.addresses.temporalUi}/namespaces/${stack.temporalNamespace}`);
  screen.say(`API          ${stack.addresses.api}/openapi.json`);
  screen.say(`Aggregator   ${stack.addresses.aggregator}/metrics`);
  const { ingest, ingestGrpc } = stack.addresses;
  screen.say(`Ingest       ${ingest} (OTLP, remote write), ${ingestGrpc} (OTLP/gRPC)`);
  screen.say(`Queries      ${stack.addresses.query} (Prometheus, a token of cli.json)`);
  screen.say(`Logs         ${stack.stateDir}/logs`);
}

/** Until Ctrl-C, or with `--once` until every organization is done or the time is up. */
async function watch(job: Job, stop: AbortSignal): Promise<void> {
  const counters = new RateCounters();
  const deadline = performance.now() + job.options.minutes * 60_000;
  const models = [...job.tracked.values()].map(({ model }) => model);
  while (!stop.aborted) {
    await poll(job.api, job.stack.addresses.aggregator, job.tracked, job.fleet, counters);
    job.screen.show([...models, job.fleet]);
    if (job.options.once && (models.every(isDone) || performance.now() > deadline)) return;
    await sleep(POLL_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** Ends the traffic, waits for the last windows, and prints the result. */
async function conclude(job: Job, stop: AbortSignal): Promise<number> {
  job.screen.say('evolution is done; waiting for the last windows to close');
  await Promise.all(job.traffic.map((traffic) => traffic.stop()));
  const tracked = [...job.tracked.values()];
  const settled = () => tracked.every(({ ledger }) => ledger.balance().lost === 0);
  const deadline = performance.now() + DRAIN_LIMIT_MS;
  while (!stop.aborted && !settled() && performance.now() < deadline) await sleep(500);
  const result: Result = {
    organizations: tracked.map(({ model, ledger }) => organizationResult(model, ledger.balance())),
    swaps: tracked.reduce((sum, { model }) => sum + model.swaps.length, 0),
    fleet: fleetResult(job.fleet),
    seed: job.options.seed,
    stack: await stackVersions(),
    faults: tracked.flatMap(({ model, ledger }) => faultsOf(model, ledger.balance())),
  };
  if (stop.aborted) result.faults.push(`interrupted: ${String(stop.reason)}`);
  report(job, result);
  return result.faults.length === 0 ? 0 : 1;
}

function report({ options, screen, tracked }: Job, result: Result): void {
  for (const { model } of tracked.values()) {
    const gain = renderGain(model);
    if (gain !== null) screen.say(gain);
  }
  for (const fault of result.faults) screen.say(`fault: ${fault}`);
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else screen.say(JSON.stringify(result, null, 2));
}
