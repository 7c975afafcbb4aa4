/** NATS and one aggregator, filled with organizations and fed with messages. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';
import { ensureTokens } from '../../control/api/tokens.ts';
import {
  attestationsDirectory,
  claimPort,
  connectNats,
  findExecutable,
  freePorts,
  type Service,
  type Stack,
  startAggregator,
  startStack,
} from '../../control/stack/index.ts';
import { within } from '../../control/within.ts';
import { digestOf, signing, type Tenant } from './population.ts';

/** Organizations that are filled in at a time, and messages that are on their way. */
const FILLING = 16;
const IN_FLIGHT = 256;
const DONE_WITHIN_MS = 600_000;
const POLL_MS = 50;
/** Its metrics cost the aggregator something. */
const LOOK_EVERY_MS = 1_000;
const PRIORITY = 10;
/** Longer than it stands still. */
const LEASE_TTL = '300s';
const CAPTURE_ONE_IN = 1_000_000;
/** Clock ticks a second in /proc. */
const TICKS_PER_SECOND = 100;

export interface Done {
  cpuSeconds: number;
  wallSeconds: number;
}

export class House {
  private readonly stateDir: string;
  private readonly stack: Stack;
  private readonly connection: NatsConnection;
  private readonly signal: AbortSignal;
  private aggregator: Service | null = null;
  private address = '';
  /** Messages since the start. */
  private sent = 0;

  private constructor(
    stateDir: string,
    stack: Stack,
    connection: NatsConnection,
    signal: AbortSignal,
  ) {
    this.stateDir = stateDir;
    this.stack = stack;
    this.connection = connection;
    this.signal = signal;
  }

  static async open(say: (line: string) => void, signal: AbortSignal): Promise<House> {
    const stateDir = await mkdtemp(join(tmpdir(), 'ratchet-bench-tenants-'));
    try {
      await ensureTokens(stateDir, [], 'http://127.0.0.1:1');
      const [ports, services] = [freePorts, ['nats'] as const];
      const stack = await startStack({ stateDir, ports, services, log: say, signal });
      return new House(stateDir, stack, await connected(stack), signal);
    } catch (error) {
      await rm(stateDir, { recursive: true, force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.aggregator?.stop();
    await this.connection.close();
    await this.stack.stop();
    await rm(this.stateDir, { recursive: true, force: true });
  }

  /** Configures the organizations, and stores and activates their modules. */
  async fill(tenants: readonly Tenant[]): Promise<void> {
    const configurations = await new Kvm(this.connection).open('configurations');
    const active = await new Kvm(this.connection).open('active');
    const modules = await new Objm(this.connection).open('modules');
    const sign = await signing(this.stack.secrets.keys);
    await inParallel(FILLING, tenants, this.signal, async ({ configuration, component }) => {
      const { org, digest, blob } = configuration;
      const rules = Buffer.from(blob).toString('base64');
      const entry = { schema: 1, org, digest, effective_from_ms: 0, rules };
      await configurations.put(org, JSON.stringify(entry));
      if (component === null) return;
      await modules.putBlob({ name: digestOf(component) }, component);
      await active.put(org, sign(org, digest, component));
    });
  }

  async start(): Promise<void> {
    const [port, queryPort] = [await claimPort('aggregator', 0), await claimPort('query', 0)];
    this.address = `http://127.0.0.1:${port}`;
    this.aggregator = await startAggregator({
      executable: findExecutable('aggregator'),
      stateDir: this.stateDir,
      keys: this.stack.secrets.keys,
      natsUrl: this.stack.addresses.nats,
      port,
      queryPort,
      // No window closes while it is measured.
      lateness: '60m',
      proofPolicy: 'attested',
      attestations: attestationsDirectory(),
      // Sampling has a budget of each organization: that is no part of equal work.
      flags: ['--capture-one-in', String(CAPTURE_ONE_IN), '--lease-ttl', LEASE_TTL],
      readyWithinMs: DONE_WITHIN_MS,
      signal: this.signal,
    });
    // NATS goes first, so that messages wait for the aggregator, and not it for them.
    for (const thread of readdirSync(`/proc/${this.pid()}/task`)) {
      setPriority(Number(thread), PRIORITY);
    }
  }

  /**
   * Stores messages for organizations while the aggregator stands still, so that it does not wait
   * for them, and waits until all are aggregated.
   */
  async send(messages: Iterable<{ org: string; payload: Uint8Array }>): Promise<Done> {
    const stream = jetstream(this.connection);
    process.kill(this.pid(), 'SIGSTOP');
    try {
      await inParallel(IN_FLIGHT, messages, this.signal, async ({ org, payload }) => {
        await stream.publish(`ingest.${org}`, payload);
        this.sent += 1;
      });
    } finally {
      process.kill(this.pid(), 'SIGCONT');
    }
    const [cpu, started] = [this.cpuSeconds(), performance.now()];
    await this.untilRead();
    await this.untilAggregated();
    const wallSeconds = (performance.now() - started) / 1_000;
    return { cpuSeconds: this.cpuSeconds() - cpu, wallSeconds };
  }

  rssBytes(): number {
    const status = readFileSync(`/proc/${this.pid()}/status`, 'utf8');
    return 1_024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  }

  /** The sum of a metric over all its labels. */
  async sum(metric: string): Promise<number> {
    const url = `${this.address}/metrics`;
    const read = async (signal: AbortSignal) => await (await fetch(url, { signal })).text();
    const text = await within(DONE_WITHIN_MS, read, this.signal);
    const lines = text.split('\n').filter((line) => /^[\w:]+/.exec(line)?.[0] === metric);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  private pid(): number {
    if (this.aggregator === null) throw new Error('the aggregator is not started');
    return this.aggregator.pid;
  }

  private cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid()}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  private async untilAggregated(): Promise<void> {
    const deadline = performance.now() + DONE_WITHIN_MS;
    for (;;) {
      const aggregated = await this.sum('ratchet_messages_total');
      if (aggregated === this.sent) return;
      if (performance.now() > deadline) {
        throw new Error(`${aggregated} of ${this.sent} messages are aggregated`);
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.signal });
    }
  }

  /** Every message is with the aggregator. */
  private async untilRead(): Promise<void> {
    const manager = await jetstreamManager(this.connection);
    const deadline = performance.now() + DONE_WITHIN_MS;
    for (let quiet = 0; quiet < 3; ) {
      let pending = 0;
      for await (const consumer of manager.consumers.list('INGEST'))
        pending += consumer.num_pending;
      quiet = pending === 0 ? quiet + 1 : 0;
      if (performance.now() > deadline) throw new Error(`${pending} messages are not read`);
      await sleep(POLL_MS, undefined, { signal: this.signal });
    }
  }
}

/** Where that fails nobody else stops the stack. */
async function connected(stack: Stack): Promise<NatsConnection> {
  try {
    const { addresses, secrets } = stack;
    return await connectNats(addresses.nats, 'admin', secrets.password('admin'));
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function inParallel<T>(
  most: number,
  items: Iterable<T>,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) {
      signal.throwIfAborted();
      await work(next.value);
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
}
