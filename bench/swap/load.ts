/** Sends messages at a steady rate, or as fast as they are stored. */
import type { PubAck } from '@nats-io/jetstream';
import {
  createInbox,
  headers,
  type Msg,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node';
import { inboxPrefix } from '../../control/stack/index.ts';
import type { Drawn, Templates } from './templates.ts';

/** What is not answered by then is sent again, under the same name. */
const ANSWERED_WITHIN_MS = 20_000;
/** The same, where nobody is there to store it. */
const ASKED_AGAIN_MS = 250;
/** How often a message is sent before it is given up. */
const SENT_MAX = 4;
/** Beyond so many unanswered messages a steady rate is not kept. */
const IN_FLIGHT_MAX = 8_192;
/** Unanswered messages when the rate is whatever the servers bear. */
const IN_FLIGHT_FLOOD = 256;
/**
 * A generator that stood still makes up for it little by little: the messages of so long at once.
 * Senders are many; they do not all fall silent and then speak at the same time.
 */
const CAUGHT_UP_MS = 3;

export interface LoadStats {
  sent: number;
  stored: number;
  failed: number;
  /** Messages that were due and not sent: too many were unanswered, or the generator was late. */
  skipped: number;
}

export type LoadConnection = Pick<NatsConnection, 'publish' | 'subscribe'>;

interface Sent {
  readonly drawn: Drawn;
  readonly times: number;
  readonly dueMs: number;
}

/**
 * `perSecond` null: as fast as they are stored. Answers come to one subscription, whatever the
 * number under way: a request of its own for each message takes the generator longer than the
 * servers take for all the rest.
 */
export class Load {
  readonly stats: LoadStats = { sent: 0, stored: 0, failed: 0, skipped: 0 };
  private readonly connection: LoadConnection;
  private readonly subject: string;
  private readonly templates: Templates;
  private readonly answeredWithinMs: number;
  private readonly inbox = createInbox(inboxPrefix('producer'));
  private readonly answers: Subscription;
  /** By number; who is first has waited longest. */
  private readonly unanswered = new Map<number, Sent>();
  private running = true;
  private readonly loop: Promise<void>;

  constructor(
    connection: LoadConnection,
    org: string,
    templates: Templates,
    perSecond: number | null,
    answeredWithinMs = ANSWERED_WITHIN_MS,
  ) {
    this.answeredWithinMs = answeredWithinMs;
    this.connection = connection;
    this.subject = `ingest.${org}`;
    this.templates = templates;
    this.answers = connection.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.answered(message);
      },
    });
    this.loop = perSecond === null ? this.flood() : this.pace(perSecond);
    // Whoever stops the load is told.
    this.loop.catch(() => undefined);
  }

  /** Ends the load and waits until everything sent is answered. */
  async stop(): Promise<LoadStats> {
    this.running = false;
    await this.loop;
    while (this.unanswered.size > 0) await this.pause();
    this.answers.unsubscribe();
    return this.stats;
  }

  private async flood(): Promise<void> {
    while (this.running) {
      while (this.unanswered.size < IN_FLIGHT_FLOOD) this.next();
      await this.pause();
    }
  }

  private async pace(perSecond: number): Promise<void> {
    const started = performance.now();
    let due = 0;
    while (this.running) {
      const now = ((performance.now() - started) * perSecond) / 1_000;
      const until = Math.min(now, due + Math.max(1, (CAUGHT_UP_MS * perSecond) / 1_000));
      for (; due < until; due++) {
        if (this.unanswered.size < IN_FLIGHT_MAX) this.next();
        else this.stats.skipped += 1;
      }
      await this.pause();
    }
    const owed = ((performance.now() - started) * perSecond) / 1_000 - due;
    this.stats.skipped += Math.max(0, Math.floor(owed - (CAUGHT_UP_MS * perSecond) / 1_000));
  }

  private next(): void {
    this.stats.sent += 1;
    this.send(nextId(), this.templates.next(Date.now()), 1);
  }

  private send(id: number, drawn: Drawn, times: number): void {
    const dueMs = performance.now() + this.answeredWithinMs;
    this.unanswered.set(id, { drawn, times, dueMs });
    const named = headers();
    named.set('Nats-Msg-Id', `load-${process.pid}-${performance.timeOrigin}-${id}`);
    this.connection.publish(this.subject, drawn.payload, {
      headers: named,
      reply: `${this.inbox}.${id}`,
    });
  }

  private answered(message: Msg): void {
    const id = Number(message.subject.slice(this.inbox.length + 1));
    const sent = this.unanswered.get(id);
    if (sent === undefined) return;
    // Without content: nobody was there to store it.
    if (message.data.length === 0) {
      setTimeout(() => this.again(id, sent), ASKED_AGAIN_MS);
      return;
    }
    this.unanswered.delete(id);
    const stored = message.json<PubAck & { error?: unknown }>().error === undefined;
    sent.drawn.settle(stored);
    if (stored) this.stats.stored += 1;
    else this.stats.failed += 1;
  }

  private async pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const now = performance.now();
    for (const [id, sent] of this.unanswered) {
      if (sent.dueMs > now) return;
      this.again(id, sent);
    }
  }

  /** Sends a message once more, or gives it up, unless that was done or it is answered. */
  private again(id: number, sent: Sent): void {
    if (this.unanswered.get(id) !== sent) return;
    this.unanswered.delete(id);
    if (sent.times < SENT_MAX) {
      this.send(id, sent.drawn, sent.times + 1);
      return;
    }
    // Not settled: its bytes may still go out.
    this.stats.failed += 1;
  }
}

let id = 0;
const nextId = () => ++id;
