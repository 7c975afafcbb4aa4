/** The measurement: slices of one load with and without swaps, in turns. */
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../control/within.ts';
import { median } from '../evolve/curves.ts';
import { type Histogram, quantileMs, readHistogram, since, sum, total } from './latency.ts';
import { Load, type LoadConnection } from './load.ts';
import type { Swapper } from './swapper.ts';
import type { Templates } from './templates.ts';

export interface Plan {
  readonly slices: number;
  readonly sliceMs: number;
  readonly swaps: number;
  /** Part of the capacity. */
  readonly share: number;
}

/** How long messages waited in two slices side by side. */
export interface Pair {
  readonly quiet: Histogram;
  readonly swapping: Histogram;
}

export interface Contest {
  readonly capacity: number;
  readonly perSecond: number;
  readonly swaps: number;
  readonly pairs: readonly Pair[];
  readonly failed: number;
  readonly skipped: number;
}

export interface Bench {
  readonly producer: LoadConnection;
  readonly org: string;
  readonly aggregator: string;
  readonly templates: Templates;
  readonly swapper: Pick<Swapper, 'swap'>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const FLOOD_WARMUP_MS = 3_000;
const FLOOD_MS = 8_000;
/**
 * How long a load runs before it is measured: until the first of its windows are closed and swept,
 * and the server's heap and files have taken the room that they then use again.
 */
const SETTLE_MS = 45_000;
/** Slices that one line of progress is about. */
const TOLD_TOGETHER = 5;
/** How long what a load left may take. */
const DRAIN_MS = 60_000;
const READING_MS = 10_000;

export async function contest(bench: Bench, plan: Plan): Promise<Contest> {
  const capacity = await capacityOf(bench);
  const perSecond = Math.max(1, Math.floor(capacity * plan.share));
  bench.say(`capacity ${capacity.toFixed(0)} messages/s; the load is ${perSecond}`);
  const load = new Load(bench.producer, bench.org, bench.templates, perSecond);
  const measured = await inSlices(bench, plan).finally(() => load.stop());
  const { failed, skipped } = load.stats;
  await drained(bench);
  return { capacity, perSecond, failed, skipped, ...measured };
}

async function inSlices(bench: Bench, plan: Plan): Promise<Pick<Contest, 'swaps' | 'pairs'>> {
  await sleep(SETTLE_MS, undefined, { signal: bench.signal });
  const pairs: Pair[] = [];
  let swaps = 0;
  for (let slice = 0; slice < plan.slices; slice++) {
    const due = Math.round(((slice + 1) * plan.swaps) / plan.slices) - swaps;
    const pair = await inTurns(bench, plan.sliceMs, due, slice % 2 === 0);
    swaps += due;
    pairs.push(pair);
    if (pairs.length % TOLD_TOGETHER === 0 || pairs.length === plan.slices) {
      const { quiet, swapping } = together(pairs.slice(-TOLD_TOGETHER));
      bench.say(
        `slice ${pairs.length} of ${plan.slices}: p99.9 of the last ${TOLD_TOGETHER} ` +
          `${p999(quiet).toFixed(2)} ms without, ${p999(swapping).toFixed(2)} ms with swaps; ` +
          `${swaps} swaps so far`,
      );
    }
  }
  return { swaps, pairs };
}

/** Whichever comes first: what happens every half minute must not fall to one side alone. */
async function inTurns(
  bench: Bench,
  ms: number,
  swaps: number,
  quietFirst: boolean,
): Promise<Pair> {
  const quietly = () => during(bench, () => sleep(ms, undefined, { signal: bench.signal }));
  const withSwaps = () => during(bench, () => swapEvenly(bench, swaps, ms));
  if (quietFirst) return { quiet: await quietly(), swapping: await withSwaps() };
  return { swapping: await withSwaps(), quiet: await quietly() };
}

/** All slices without swaps as one, and all with them. */
export function together(pairs: readonly Pair[]): Pair {
  return {
    quiet: sum(pairs.map((pair) => pair.quiet)),
    swapping: sum(pairs.map((pair) => pair.swapping)),
  };
}

export function p999(histogram: Histogram): number {
  return quantileMs(histogram, 0.999);
}

/**
 * Milliseconds that swaps add to the 99.9th percentile of a slice, as the median of the pairs. It
 * says nothing of what fewer than half of the slices show: that is in the difference of the totals.
 */
export function medianAddedMs(pairs: readonly Pair[]): number {
  return median(pairs.map(({ quiet, swapping }) => p999(swapping) - p999(quiet)));
}

/** Messages a second when as many are under way as the servers bear. */
async function capacityOf(bench: Bench): Promise<number> {
  const load = new Load(bench.producer, bench.org, bench.templates, null);
  const capacity = await mergedPerSecond(bench).finally(() => load.stop());
  await drained(bench);
  return capacity;
}

async function mergedPerSecond(bench: Bench): Promise<number> {
  const { signal } = bench;
  await sleep(FLOOD_WARMUP_MS, undefined, { signal });
  const [before, from] = [total(await reading(bench)), performance.now()];
  await sleep(FLOOD_MS, undefined, { signal });
  const [after, until] = [total(await reading(bench)), performance.now()];
  return (1_000 * (after - before)) / (until - from);
}

async function during(bench: Bench, act: () => Promise<unknown>): Promise<Histogram> {
  const before = await reading(bench);
  await act();
  return since(before, await reading(bench));
}

async function swapEvenly(
  { swapper, signal }: Bench,
  swaps: number,
  withinMs: number,
): Promise<void> {
  const started = performance.now();
  for (let i = 0; i < swaps; i++) {
    const due = started + (i * withinMs) / swaps;
    await sleep(Math.max(0, due - performance.now()), undefined, { signal });
    await swapper.swap(signal);
  }
  await sleep(Math.max(0, started + withinMs - performance.now()), undefined, { signal });
}

/** Waits until nothing more is processed. */
async function drained(bench: Bench): Promise<void> {
  const deadline = performance.now() + DRAIN_MS;
  let last = -1;
  while (performance.now() < deadline) {
    const now = total(await reading(bench));
    if (now === last) return;
    last = now;
    await sleep(500, undefined, { signal: bench.signal });
  }
  throw new Error(`messages are still being processed after ${DRAIN_MS / 1_000} s`);
}

async function reading(bench: Bench): Promise<Histogram> {
  const read = async (signal: AbortSignal) => {
    const answer = await fetch(`${bench.aggregator}/metrics`, { signal });
    return readHistogram(await answer.text());
  };
  return await within(READING_MS, read, bench.signal);
}
