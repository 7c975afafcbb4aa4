/**
 * Watches the running stack from outside, with an operator's rights: events, aggregated points,
 * the API's status and the aggregator's own figures, all folded into the models.
 */
import { type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { Ledger } from '../../bench/oracle/ledger.ts';
import { FLEET } from '../../workflows/level.ts';
import { within } from '../within.ts';
import type { ApiClient } from './api.ts';
import type { Measured, OrganizationModel, Swapped } from './model.ts';

export interface Tracked {
  model: OrganizationModel;
  ledger: Ledger;
}

export interface Listener {
  swapped(model: OrganizationModel, swap: Swapped): void;
  measured(model: OrganizationModel): void;
  refused(model: OrganizationModel, reason: string): void;
}

const STATUS_TIMEOUT_MS = 5_000;
const RATE_WINDOW_MS = 5_000;

/** Books every aggregated point from now on; the promise ends with the connection. */
export async function bookAggregates(
  connection: NatsConnection,
  tracked: ReadonlyMap<string, Tracked>,
): Promise<void> {
  const consumer = await jetstream(connection).consumers.get('AGGREGATES', {
    deliver_policy: 'new',
    filter_subjects: [...tracked.keys()].map((org) => `aggregates.${org}`),
  });
  const messages = await consumer.consume({ max_messages: 100 });
  void connection.closed().then(() => messages.stop());
  for await (const message of messages) book(message, tracked);
}

function book(message: JsMsg, tracked: ReadonlyMap<string, Tracked>): void {
  const org = message.subject.slice('aggregates.'.length);
  tracked.get(org)?.ledger.emitted(message.data);
}

/** Follows events; what was measured before this start is read back first. */
export async function followEvents(
  connection: NatsConnection,
  tracked: ReadonlyMap<string, Tracked>,
  fleet: OrganizationModel,
  listener: Listener,
): Promise<void> {
  const subscription = connection.subscribe('evt.*.*');
  const manager = await jetstreamManager(connection);
  for (const model of [fleet, ...[...tracked.values()].map((each) => each.model)]) {
    const query = { last_by_subj: `evt.${model.org}.measured` };
    const last = await manager.streams.getMessage('MEASURED', query).catch(() => null);
    if (last !== null) model.measured ??= last.json<Measured>();
  }
  const modelOf = (org: string) => (org === FLEET ? fleet : tracked.get(org)?.model);
  for await (const message of subscription) handleEvent(message, modelOf, listener);
}

function handleEvent(
  message: Msg,
  modelOf: (org: string) => OrganizationModel | undefined,
  listener: Listener,
): void {
  const [, org = '', kind = ''] = message.subject.split('.');
  const model = modelOf(org);
  if (model === undefined) return;
  if (kind === 'swapped') {
    const swap = message.json<Swapped>();
    model.beforeSwapUs = model.liveUs;
    model.swaps.push(swap);
    listener.swapped(model, swap);
  } else if (kind === 'measured') {
    model.measured = message.json<Measured>();
    listener.measured(model);
  } else if (kind === 'refused' || kind === 'demoted') {
    listener.refused(model, `${kind}: ${message.json<{ reason?: string }>().reason ?? 'unknown'}`);
  }
}

interface AggregatorStatus {
  organizations?: Record<
    string,
    { us_per_message?: number | null; level?: string; version?: number }
  >;
}

/** One round of questions; what does not answer keeps its last known value. */
export async function poll(
  api: ApiClient,
  aggregatorUrl: string,
  tracked: ReadonlyMap<string, Tracked>,
  fleet: OrganizationModel,
  counters: RateCounters,
): Promise<void> {
  const live = await aggregatorStatus(aggregatorUrl);
  fleet.progress = (await api.progress(FLEET).catch(() => null)) ?? fleet.progress;
  for (const [org, { model, ledger }] of tracked) {
    model.progress = (await api.progress(org).catch(() => null)) ?? model.progress;
    const served = live?.organizations?.[org];
    model.liveUs = served?.us_per_message ?? model.liveUs;
    if (served !== undefined) {
      model.fleetVersion = served.level === FLEET ? (served.version ?? null) : null;
    }
    model.rate = counters.rate(org, model.traffic.messages);
    // Windows younger than this may still be open or under way.
    model.lost = ledger.balance(Date.now() - 120_000).lost;
  }
}

async function aggregatorStatus(url: string): Promise<AggregatorStatus | null> {
  try {
    return await within(STATUS_TIMEOUT_MS, async (signal) => {
      return (await (await fetch(`${url}/status`, { signal })).json()) as AggregatorStatus;
    });
  } catch {
    return null;
  }
}

/** Turns ever-growing counts into rates over the last five seconds. */
export class RateCounters {
  private readonly samples = new Map<string, { at: number; count: number }[]>();

  rate(name: string, count: number, now: number = performance.now()): number {
    const samples = this.samples.get(name) ?? [];
    samples.push({ at: now, count });
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > RATE_WINDOW_MS) samples.shift();
    this.samples.set(name, samples);
    const [first] = samples;
    if (first === undefined || first.at === now) return 0;
    return (1000 * (count - first.count)) / (now - first.at);
  }
}
