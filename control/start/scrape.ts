/**
 * The third organization's points: the metrics of the running stack itself, scraped from Temporal,
 * NATS and the aggregator and cut into messages as an agent would send them.
 */
import { encodeMessage, type Point, type TagSet } from '../payload/payload.ts';
import { within } from '../within.ts';
import { parseExposition, type Sample } from './exposition.ts';

export interface ScrapeTargets {
  temporalMetricsUrl: string;
  natsMonitorUrl: string;
  aggregatorMetricsUrl: string;
}

export interface SelfMessage {
  payload: Uint8Array;
  points: { set: TagSet; ts: number; value: number }[];
}

const POINTS_PER_MESSAGE = 200;
const SAMPLES_MAX = 20_000;
const TIMEOUT_MS = 2_000;

/** One scrape of everything that answers within two seconds; what does not is named. */
export async function scrape(
  targets: ScrapeTargets,
): Promise<{ samples: Sample[]; failed: string[] }> {
  const sources: [string, () => Promise<Sample[]>][] = [
    ['temporal', () => scrapeText(targets.temporalMetricsUrl)],
    ['aggregator', () => scrapeText(targets.aggregatorMetricsUrl)],
    ['nats', () => scrapeNats(targets.natsMonitorUrl)],
  ];
  const answers = await Promise.allSettled(sources.map(([, read]) => read()));
  const samples: Sample[] = [];
  const failed: string[] = [];
  answers.forEach((answer, i) => {
    const source = sources[i]?.[0] ?? '';
    if (answer.status === 'rejected') failed.push(source);
    else for (const sample of answer.value) samples.push(withLabel(sample, 'source', source));
  });
  return { samples, failed };
}

/** Cuts samples of one moment into messages; they share its timestamp. */
export function messagesOf(samples: readonly Sample[], ts: number): SelfMessage[] {
  const messages: SelfMessage[] = [];
  for (let at = 0; at < samples.length; at += POINTS_PER_MESSAGE) {
    const part = samples.slice(at, at + POINTS_PER_MESSAGE);
    const sets = part.map(tagSet);
    const points: Point[] = part.map(({ value }, set) => ({ set, ts, value }));
    messages.push({
      payload: encodeMessage(sets, points),
      points: points.map(({ set, value }) => ({ set: sets[set] as TagSet, ts, value })),
    });
  }
  return messages;
}

async function scrapeText(url: string): Promise<Sample[]> {
  return parseExposition(await get(url), SAMPLES_MAX);
}

async function scrapeNats(url: string): Promise<Sample[]> {
  const server = JSON.parse(await get(`${url}/varz`)) as Record<string, unknown>;
  const streams = JSON.parse(await get(`${url}/jsz?streams=true`)) as JetStreamReport;
  const samples = numbers(server, 'nats_', []);
  for (const account of streams.account_details ?? []) {
    for (const { name, state } of account.stream_detail ?? []) {
      samples.push(...numbers(state ?? {}, 'nats_stream_', [['stream', name]]));
    }
  }
  return samples;
}

interface JetStreamReport {
  account_details?: { stream_detail?: { name: string; state?: Record<string, unknown> }[] }[];
}

function numbers(
  report: Record<string, unknown>,
  prefix: string,
  labels: Sample['labels'],
): Sample[] {
  return Object.entries(report).flatMap(([key, value]) => {
    const counted = key === 'consumer_count' ? 'consumers' : key;
    return typeof value === 'number' ? [{ metric: prefix + counted, labels, value }] : [];
  });
}

async function get(url: string): Promise<string> {
  return await within(TIMEOUT_MS, async (signal) => {
    const response = await fetch(url, { signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return text;
  });
}

function withLabel(sample: Sample, name: string, value: string): Sample {
  return { ...sample, labels: [...sample.labels, [name, value]] };
}

function tagSet({ metric, labels }: Sample): TagSet {
  const tags = new Map(labels.filter(([, value]) => value !== ''));
  return { metric, tags: [...tags].sort(([a], [b]) => (a < b ? -1 : 1)) };
}
