/**
 * Publishes the three organizations' traffic at a steady rate and books every point with the
 * oracle. Publishing waits for JetStream's acknowledgement, a bounded number at a time, so a slow
 * server slows the senders and nothing is dropped; a message is booked when it is acknowledged.
 */
import type { JetStreamClient } from '@nats-io/jetstream';
import type { Ledger } from '../../bench/oracle/ledger.ts';
import { seededRandom } from '../../bench/workloads/random.ts';
import { generateMessage, type Workload } from '../../bench/workloads/workloads.ts';
import type { TagSet } from '../payload/payload.ts';
import { messagesOf, type ScrapeTargets, scrape } from './scrape.ts';

export interface Batch {
  payload: Uint8Array;
  points: { set: TagSet; ts: number }[];
}

export interface Source {
  org: string;
  /** Milliseconds between two calls of `next`. */
  everyMs: number;
  next(now: number): Promise<Batch[]>;
}

export interface TrafficStats {
  messages: number;
  points: number;
  failed: number;
}

const IN_FLIGHT_MAX = 64;
const PUBLISH_TIMEOUT_MS = 10_000;

/** A synthetic workload at `rate` messages a second. */
export function syntheticSource(
  org: string,
  workload: Workload,
  rate: number,
  seed: number,
): Source {
  const random = seededRandom(seed);
  return {
    org,
    everyMs: 1000 / rate,
    next: async (now) => {
      const { payload, points } = generateMessage(workload, now, random);
      const booked = points.map(({ series, ts }) => ({
        set: workload.series[series] as TagSet,
        ts,
      }));
      return [{ payload, points: booked }];
    },
  };
}

/**
 * The stack's own metrics, scraped every `everyMs`. Series are shared, so that books stay small.
 */
export function selfSource(org: string, targets: ScrapeTargets, everyMs: number): Source {
  const known = new Map<string, TagSet>();
  const shared = (set: TagSet): TagSet => {
    const key = JSON.stringify(set);
    const found = known.get(key) ?? set;
    if (known.size < 50_000) known.set(key, found);
    return found;
  };
  return {
    org,
    everyMs,
    next: async () => {
      const { samples } = await scrape(targets);
      return messagesOf(samples, Date.now()).map(({ payload, points }) => ({
        payload,
        points: points.map(({ set, ts }) => ({ set: shared(set), ts })),
      }));
    },
  };
}

export class Traffic {
  readonly stats: TrafficStats = { messages: 0, points: 0, failed: 0 };
  private readonly jetstream: JetStreamClient;
  private readonly source: Source;
  private readonly ledger: Ledger;
  private readonly inFlight = new Set<Promise<void>>();
  private running = true;
  private readonly loop: Promise<void>;

  constructor(jetstream: JetStreamClient, source: Source, ledger: Ledger) {
    this.jetstream = jetstream;
    this.source = source;
    this.ledger = ledger;
    this.loop = this.run();
  }

  /** Ends the source and waits until everything sent was acknowledged or refused. */
  async stop(): Promise<void> {
    this.running = false;
    await this.loop;
    await Promise.allSettled(this.inFlight);
  }

  private async run(): Promise<void> {
    let due = performance.now();
    while (this.running) {
      await sleepUntil(due);
      // A sender that fell behind does not make up for it with a burst.
      due = Math.max(due + this.source.everyMs, performance.now());
      for (const batch of await this.source.next(Date.now())) await this.send(batch);
    }
  }

  private async send(batch: Batch): Promise<void> {
    while (this.inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.inFlight);
    const sent: Promise<void> = this.publish(batch).finally(() => this.inFlight.delete(sent));
    this.inFlight.add(sent);
  }

  private async publish({ payload, points }: Batch): Promise<void> {
    const msgID = `${this.source.org}-${process.pid}-${performance.timeOrigin}-${nextId()}`;
    try {
      await this.jetstream.publish(`ingest.${this.source.org}`, payload, {
        msgID,
        retries: 5,
        timeout: PUBLISH_TIMEOUT_MS,
      });
    } catch {
      this.stats.failed += 1;
      return;
    }
    this.stats.messages += 1;
    this.stats.points += points.length;
    for (const { set, ts } of points) this.ledger.published(set, ts);
  }
}

let id = 0;
const nextId = () => ++id;

function sleepUntil(due: number): Promise<void> {
  const wait = due - performance.now();
  return new Promise((resolve) => (wait > 0 ? setTimeout(resolve, wait) : setImmediate(resolve)));
}
