/** Sends messages at a steady rate, or as fast as they are stored. */
import type { JetStreamClient } from '@nats-io/jetstream';
import type { Templates } from './templates.ts';

const ACK_WITHIN_MS = 20_000;
/** Beyond so many unanswered messages a steady rate is not kept. */
const IN_FLIGHT_MAX = 8_192;
/** Unanswered messages when the rate is whatever the servers bear. */
const IN_FLIGHT_FLOOD = 256;

export interface LoadStats {
  sent: number;
  stored: number;
  failed: number;
  /** Messages that were not sent in their time, because too many were unanswered. */
  skipped: number;
}

/** `perSecond` null: as fast as they are stored. */
export class Load {
  readonly stats: LoadStats = { sent: 0, stored: 0, failed: 0, skipped: 0 };
  private readonly jetstream: JetStreamClient;
  private readonly subject: string;
  private readonly templates: Templates;
  private inFlight = 0;
  private running = true;
  private readonly loop: Promise<void>;

  constructor(
    jetstream: JetStreamClient,
    org: string,
    templates: Templates,
    perSecond: number | null,
  ) {
    this.jetstream = jetstream;
    this.subject = `ingest.${org}`;
    this.templates = templates;
    this.loop = perSecond === null ? this.flood() : this.pace(perSecond);
  }

  /** Ends the load and waits until everything sent is answered. */
  async stop(): Promise<LoadStats> {
    this.running = false;
    await this.loop;
    while (this.inFlight > 0) await pause();
    return this.stats;
  }

  private async flood(): Promise<void> {
    while (this.running) {
      while (this.inFlight < IN_FLIGHT_FLOOD) this.send();
      await pause();
    }
  }

  private async pace(perSecond: number): Promise<void> {
    const started = performance.now();
    let due = 0;
    while (this.running) {
      const now = ((performance.now() - started) * perSecond) / 1_000;
      for (; due < now; due++) {
        if (this.inFlight < IN_FLIGHT_MAX) this.send();
        else this.stats.skipped += 1;
      }
      await pause();
    }
  }

  private send(): void {
    const { payload, stored } = this.templates.next(Date.now());
    this.inFlight += 1;
    this.stats.sent += 1;
    const msgID = `load-${process.pid}-${performance.timeOrigin}-${nextId()}`;
    const options = { msgID, timeout: ACK_WITHIN_MS, retries: 3 };
    this.jetstream
      .publish(this.subject, payload, options)
      .then(
        () => {
          stored();
          this.stats.stored += 1;
        },
        () => {
          this.stats.failed += 1;
        },
      )
      .finally(() => {
        this.inFlight -= 1;
      });
  }
}

let id = 0;
const nextId = () => ++id;

const pause = () => new Promise((resolve) => setTimeout(resolve, 1));
