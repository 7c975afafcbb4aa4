/** A whole stack of real servers in a directory of its own, and traffic with its books. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { jetstream } from '@nats-io/jetstream';
import { Ledger } from '../../bench/oracle/ledger.ts';
import { seededRandom } from '../../bench/workloads/random.ts';
import { makeSeries } from '../../bench/workloads/series.ts';
import type { Workload } from '../../bench/workloads/workloads.ts';
import { ensureTokens } from '../../control/api/tokens.ts';
import type { RuleInput } from '../../control/configuration/index.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import {
  connectNats,
  freePorts,
  repositoryRoot,
  type ServiceName,
  type Stack,
  type StackOptions,
  startStack,
} from '../../control/stack/index.ts';
import { ApiClient } from '../../control/start/api.ts';
import { newModel } from '../../control/start/model.ts';
import { bookAggregates, type Tracked } from '../../control/start/observe.ts';
import { syntheticSource, Traffic } from '../../control/start/traffic.ts';

export interface Rig {
  stack: Stack;
  dispose(): Promise<void>;
}

/** Small figures, so that a generation takes seconds. */
export const QUICK_EVOLUTION = {
  candidates: 3,
  benchmark_seconds: 2,
  training_min: 24,
  // What the shadow asks for: an earlier candidate would be refused for want of them.
  held_back_min: 64,
  capture_poll_ms: 500,
  capture_poll_ms_max: 2_000,
  budget: { generations: 16, seconds: 600, stagnation: 1 },
};

export async function startRig(
  services: readonly ServiceName[],
  controlEnvironment: NodeJS.ProcessEnv = {},
  more: Partial<StackOptions> = {},
): Promise<Rig> {
  const stateDir = await mkdtemp(join(tmpdir(), 'ratchet-e2e-'));
  const stack = await startStack({
    stateDir,
    services,
    ports: freePorts,
    // Longer than a restart of NATS and the reconnection of its clients: their points are not late.
    lateness: '12s',
    controlEnvironment: {
      RATCHET_EVOLUTION: JSON.stringify(QUICK_EVOLUTION),
      ...controlEnvironment,
    },
    log: (line) => process.stderr.write(`# ${line}\n`),
    ...more,
  });
  return {
    stack,
    dispose: async () => {
      await stack.stop();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

/** Five-second windows of ten services, so that a test sees many windows close. */
export function smallWorkload(window = '5s'): Workload {
  const rules: RuleInput[] = Array.from({ length: 10 }, (_, i) => ({
    id: `service-${i}`,
    metric: 'cpu.usage',
    filter: `service:svc-${i}`,
    group_by: i % 2 === 0 ? [] : ['host'],
    aggregate: 'sum',
    window,
  }));
  return { name: 'small', rules, series: makeSeries('cpu.usage', 400, seededRandom(3)) };
}

export interface Flow {
  ledger: Ledger;
  traffic: Traffic;
  /** Stops sending, waits for the last windows, and answers the balance. */
  settle(): Promise<ReturnType<Ledger['balance']>>;
  close(): Promise<void>;
}

/** Sends a workload as `org` from now on; windows are booked from the first whole one. */
export async function startFlow(
  stack: Stack,
  org: string,
  workload: Workload,
  rate: number,
  effectiveFromMs: number,
): Promise<Flow> {
  const { rules } = compileConfiguration(org, workload.rules);
  const longest = Math.max(...rules.map(({ windowMs }) => windowMs));
  const next = Math.ceil((Date.now() + 1000) / longest) * longest;
  const ledger = new Ledger(rules, Math.max(effectiveFromMs, next));
  const connect = (user: 'operator' | 'producer') =>
    connectNats(stack.addresses.nats, user, stack.secrets.password(user));
  const [operator, producer] = [await connect('operator'), await connect('producer')];
  const tracked = new Map<string, Tracked>([[org, { model: newModel(org), ledger }]]);
  bookAggregates(operator, tracked).catch(() => undefined);
  const source = syntheticSource(org, workload, rate, 11);
  const traffic = new Traffic(jetstream(producer), source, ledger);
  return {
    ledger,
    traffic,
    settle: async () => {
      await traffic.stop();
      await until('all windows are emitted', 60_000, async () => ledger.balance().lost === 0);
      return ledger.balance();
    },
    close: async () => {
      await traffic.stop();
      await Promise.allSettled([operator.close(), producer.close()]);
    },
  };
}

export async function administrator(stack: Stack, orgs: readonly string[]): Promise<ApiClient> {
  const tokens = await ensureTokens(stack.stateDir, orgs, stack.addresses.api);
  return new ApiClient(tokens.api, tokens.token);
}

const run = promisify(execFile);

/** The command line as its users run it; answers what it wrote. */
export async function ratchet(stack: Stack, args: readonly string[]): Promise<string> {
  const program = join(repositoryRoot, 'control', 'bin', 'ratchet.mjs');
  const tokens = await readFile(join(stack.stateDir, 'cli.json'), 'utf8');
  const { api: url, token } = JSON.parse(tokens) as { api: string; token: string };
  const env = { ...process.env, RATCHET_API: url, RATCHET_TOKEN: token };
  const { stdout } = await run(process.execPath, [program, ...args], { env, timeout: 60_000 });
  return stdout;
}

/** Asks again and again; a fault while asking counts as "not yet" and is told if it stays. */
export async function until(
  what: string,
  limitMs: number,
  holds: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  let last: unknown = null;
  while (performance.now() < deadline) {
    try {
      if (await holds()) return;
      last = null;
    } catch (error) {
      last = error;
    }
    await sleep(100);
  }
  throw new Error(`not within ${limitMs / 1000} s: ${what}`, { cause: last });
}
