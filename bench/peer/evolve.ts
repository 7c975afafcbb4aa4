/** Modules that passed every gate, evolved on bodies like those that they are measured by. */
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureTokens } from '../../control/api/tokens.ts';
import { freePorts, type Stack, startStack } from '../../control/stack/index.ts';
import { ApiClient } from '../../control/start/api.ts';
import type { Workload } from '../workloads/workloads.ts';
import { makeBodies } from './bodies.ts';
import { Books } from './books.ts';
import { send } from './sender.ts';

/** The organizations of `npm start` whose rules are workloads A and B. */
export const ORGS = { a: 'acme', b: 'globex' } as const;
/** Longer than a body may be on its way on a loaded machine. */
export const LATENESS_MS = 10_000;
export const LATENESS = `${LATENESS_MS / 1_000}s`;

/** Of each organization: enough to be captured in a minute, little beside a benchmark. */
const BODY_EVERY_MS = 500;
const POLL_MS = 2_000;

export interface Evolution {
  state: string;
  minutes: number;
  seed: number;
  workloads: Record<keyof typeof ORGS, Workload>;
  say: (text: string) => void;
  signal: AbortSignal;
}

/** Evolves on a state of its own until both organizations have settled, or time is up. */
export async function evolve(evolution: Evolution): Promise<void> {
  const { state, minutes, seed, workloads, say, signal } = evolution;
  const budget = { seconds: 60 * minutes };
  const stack = await startStack({
    stateDir: state,
    ports: freePorts,
    lateness: LATENESS,
    controlEnvironment: { RATCHET_EVOLUTION: JSON.stringify({ budget }) },
    log: say,
    signal,
  });
  const over = new AbortController();
  const ended = AbortSignal.any([over.signal, signal]);
  try {
    const { api: base, ...tokens } = await tokensOf(stack);
    const api = new ApiClient(base, tokens.token, signal);
    const traffic = (['a', 'b'] as const).map(async (name) => {
      await api.configure(ORGS[name], workloads[name].rules);
      const token = tokens.producers[ORGS[name]];
      await trickle(stack, token, workloads[name], seed, ended);
    });
    const orgs = Object.values(ORGS);
    const settled = Promise.all(orgs.map((org) => settle(api, org, evolution)));
    await Promise.race([settled, Promise.all(traffic)]);
    over.abort();
    await Promise.all(traffic);
    signal.throwIfAborted();
  } finally {
    over.abort();
    await stack.stop();
  }
}

function tokensOf(stack: Stack) {
  return ensureTokens(stack.stateDir, Object.values(ORGS), stack.addresses.api);
}

/** Sends a body now and then, until it is told to stop. */
async function trickle(
  stack: Stack,
  token: string | undefined,
  workload: Workload,
  seed: number,
  signal: AbortSignal,
): Promise<void> {
  const url = `${stack.addresses.ingest}/api/v1/write`;
  const agent = new Agent({ keepAlive: true });
  const count = Number.POSITIVE_INFINITY;
  try {
    for (const body of makeBodies(workload, { count, seed }, new Books(workload))) {
      await send({ url, token }, agent, body, signal);
      await sleep(BODY_EVERY_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    agent.destroy();
  }
}

/** Waits until an organization evolves no more, but no longer than so many minutes. */
async function settle(
  api: ApiClient,
  org: string,
  { minutes, say, signal }: Evolution,
): Promise<void> {
  const deadline = performance.now() + 60_000 * minutes;
  let told = '';
  while (performance.now() < deadline) {
    await sleep(POLL_MS, undefined, { signal });
    const progress = await api.progress(org).catch(() => null);
    if (progress === null) continue;
    const { stage, generation, generationStage, activeVersion } = progress;
    const version = activeVersion === null ? 'baseline' : `version ${activeVersion}`;
    const text = `${org}: ${stage}, generation ${generation}, ${generationStage}, ${version}`;
    if (text !== told) say(text);
    told = text;
    if (stage === 'settled') return;
  }
}
