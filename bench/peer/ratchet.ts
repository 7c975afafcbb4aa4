/** Ratchet's side: the same bodies, and what they cost. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { type DevelopmentTokens, ensureTokens } from '../../control/api/tokens.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { decodeMessage } from '../../control/payload/payload.ts';
import { connectNats, freePorts, type Stack, startStack } from '../../control/stack/index.ts';
import { ConfigurationTable } from '../../control/tables.ts';
import { within } from '../../control/within.ts';
import type { Workload } from '../workloads/workloads.ts';
import { JITTER_MS } from './bodies.ts';
import type { Sheet } from './books.ts';
import { cpuSeconds, peakBytes, untilQuiet } from './cpu.ts';
import { LATENESS, LATENESS_MS, ORGS } from './evolve.ts';
import type { Cost } from './report.ts';
import { sendAll } from './sender.ts';

/** The window of every rule of the workloads. */
const WINDOW_MS = 30_000;
const EMIT_LIMIT_MS = 120_000;
/** An aggregator that starts on an old state reads what was emitted there, for queries. */
const READ_LIMIT_MS = 300_000;
const STATUS_LIMIT_MS = 30_000;
/** Windows close with the first tick after their time. */
const TICK_MS = 5_000;

export interface Serving {
  level: string;
  version: number;
  module: string | null;
}

const NOTHING: Serving = { level: 'none', version: 0, module: null };

export class Ratchet {
  private readonly stack: Stack;
  private readonly operator: NatsConnection;
  private readonly tokens: Readonly<Record<string, string>>;
  private readonly signal: AbortSignal;

  private constructor(
    stack: Stack,
    operator: NatsConnection,
    tokens: Record<string, string>,
    signal: AbortSignal,
  ) {
    this.stack = stack;
    this.operator = operator;
    this.tokens = tokens;
    this.signal = signal;
  }

  /** NATS and one aggregator; nothing else is on the path of a sample. */
  static async start(state: string, signal: AbortSignal): Promise<Ratchet> {
    const stack = await startStack({
      stateDir: state,
      services: ['nats', 'aggregator'],
      ports: freePorts,
      lateness: LATENESS,
      log: (line) => process.stderr.write(`${line}\n`),
      signal,
    });
    try {
      await untilQuiet(stack.service('aggregator').pid, READ_LIMIT_MS, signal);
      const tokens = await producersOf(stack);
      const password = stack.secrets.password('operator');
      const operator = await connectNats(stack.addresses.nats, 'operator', password);
      return new Ratchet(stack, operator, tokens, signal);
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  /** Waits until windows are closed that an earlier run of this state has left open. */
  async settle(): Promise<void> {
    const end = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS;
    const { signal } = this;
    await sleep(end + LATENESS_MS + TICK_MS - Date.now(), undefined, { signal });
    await untilQuiet(this.stack.service('aggregator').pid, READ_LIMIT_MS, signal);
  }

  /** Stores the rules of both workloads; what serves them is the baseline. */
  async configure(workloads: Record<keyof typeof ORGS, Workload>): Promise<void> {
    const password = this.stack.secrets.password('control');
    const control = await connectNats(this.stack.addresses.nats, 'control', password);
    try {
      const table = await ConfigurationTable.open(control);
      for (const name of ['a', 'b'] as const) {
        const configuration = compileConfiguration(ORGS[name], workloads[name].rules);
        const { stored } = await table.put(configuration, Date.now());
        // Rules hold from their first whole window on; that of a sample's jitter is before it.
        const from = Math.ceil(stored.effectiveFromMs / WINDOW_MS) * WINDOW_MS + JITTER_MS;
        await sleep(Math.max(0, from - Date.now()), undefined, { signal: this.signal });
      }
    } finally {
      await control.close();
    }
  }

  /** What serves an organization; known once it had a message. */
  async serving(org: string): Promise<Serving> {
    const url = `${this.stack.addresses.aggregator}/status`;
    const read = async (signal: AbortSignal) => await (await fetch(url, { signal })).json();
    const answer = await within(STATUS_LIMIT_MS, read, this.signal);
    const status = answer as { organizations: Record<string, Serving> };
    const { level, version, module } = status.organizations[org] ?? NOTHING;
    return { level, version, module };
  }

  /** Sends the bodies and waits for all that is emitted. Returns what was sent, too. */
  async measure(
    org: string,
    bodies: Iterable<Uint8Array>,
    samples: number,
    sheet: Sheet,
  ): Promise<{ cost: Cost; sent: Uint8Array[] }> {
    const subscription = this.operator.subscribe(`aggregates.${org}`);
    const reading = fill(sheet, subscription);
    try {
      await this.operator.flush();
      return await this.spend(org, bodies, samples, sheet);
    } finally {
      subscription.unsubscribe();
      await reading;
    }
  }

  private async spend(
    org: string,
    bodies: Iterable<Uint8Array>,
    samples: number,
    sheet: Sheet,
  ): Promise<{ cost: Cost; sent: Uint8Array[] }> {
    const { signal } = this;
    const pids = {
      aggregator: this.stack.service('aggregator').pid,
      nats: this.stack.service('nats').pid,
    };
    const seconds = () =>
      Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)] as const);
    const before = new Map(seconds());
    const url = `${this.stack.addresses.ingest}/api/v1/write`;
    const sent = await sendAll({ url, token: this.tokens[org] }, bodies, signal);
    const end = performance.now() + EMIT_LIMIT_MS;
    while (!sheet.complete && performance.now() < end) await sleep(200, undefined, { signal });
    const processes = Object.fromEntries(
      seconds().map(([name, now]) => {
        const spent = now - (before.get(name) ?? 0);
        return [name, { seconds: spent, peakBytes: peakBytes(pids[name as keyof typeof pids]) }];
      }),
    );
    return { cost: { samples, processes }, sent };
  }

  async stop(): Promise<void> {
    await this.operator.close();
    await this.stack.stop();
  }
}

/** Until nothing more is subscribed to. */
async function fill(sheet: Sheet, subscription: Subscription): Promise<void> {
  for await (const { data } of subscription) {
    const { sets, points } = decodeMessage(data);
    for (const { set, value } of points) {
      const { metric = '', tags = [] } = sets[set] ?? {};
      sheet.add(metric, tags, value);
    }
  }
}

/** Tokens of senders: those that are there, so that a state that is used again keeps its own. */
async function producersOf(stack: Stack): Promise<Record<string, string>> {
  const file = join(stack.stateDir, 'cli.json');
  if (existsSync(file)) {
    const { producers } = JSON.parse(readFileSync(file, 'utf8')) as Partial<DevelopmentTokens>;
    if (producers !== undefined) return producers;
  }
  const tokens = await ensureTokens(stack.stateDir, Object.values(ORGS), 'http://127.0.0.1:8480');
  return tokens.producers;
}
