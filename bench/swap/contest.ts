/** The measurement: slices of one load with and without swaps, in turns. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../control/within.ts';
import { median } from '../evolve/curves.ts';
import { type Histogram, quantileMs, readHistogram, since, sum, total } from './latency.ts';
import { Load, type LoadConnection } from './load.ts';
import type { Swapper } from './swapper.ts';
import type { Templates } from './templates.ts';

export interface Plan {
  readonly rounds: number;
  /** Of a round. */
  readonly slices: number;
  readonly sliceMs: number;
  /** Of a round. */
  readonly swaps: number;
  /** Part of the capacity. */
  readonly share: number;
}

/** How long messages waited in two slices side by side. */
export interface Pair {
  readonly quiet: Histogram;
  readonly swapping: Histogram;
}

/** Messages a second. A load that goes on for ever is below both. */
export interface Capacity {
  /** What is processed when as many are under way as the servers bear. */
  readonly processed: number;
  /** What INGEST has room for while windows are open. */
  readonly kept: number;
}

/** Slices in which each side has the same time, one after the other. */
export interface Round {
  readonly swaps: number;
  /** How long the slowest swap took, until the other module served. */
  readonly swapMaxMs: number;
  readonly pairs: readonly Pair[];
}

export interface Contest {
  readonly capacity: Capacity;
  readonly perSecond: number;
  readonly rounds: readonly Round[];
  readonly failed: number;
  readonly skipped: number;
}

export interface Bench {
  readonly producer: LoadConnection;
  readonly org: string;
  readonly aggregator: string;
  readonly templates: Templates;
  readonly swapper: Pick<Swapper, 'swap'>;
  /** What INGEST has room for, messages a second of the size of those that it has. */
  readonly keptPerSecond: () => Promise<number>;
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
/** How often progress is told. */
const TOLD_EVERY_MS = 5_000;
/** How long what a load left may take. */
const DRAIN_MS = 60_000;
const READING_MS = 10_000;

export async function contest(bench: Bench, plan: Plan): Promise<Contest> {
  const capacity = await capacityOf(bench);
  const perSecond = Math.max(
    1,
    Math.floor(plan.share * Math.min(capacity.processed, capacity.kept)),
  );
  bench.say(
    `messages/s: ${capacity.processed.toFixed(0)} are processed, INGEST has room for ` +
      `${capacity.kept.toFixed(0)}; the load is ${perSecond}`,
  );
  const load = new Load(bench.producer, bench.org, bench.templates, perSecond);
  const rounds = await inRounds(bench, plan).finally(() => load.stop());
  const { failed, skipped } = load.stats;
  await drained(bench);
  return { capacity, perSecond, failed, skipped, rounds };
}

/** So many slices of a time that each of those with swaps has one. */
export function planOf(
  ms: number,
  sliceMs: number,
  swaps: number,
): Pick<Plan, 'slices' | 'sliceMs'> {
  const slices = Math.max(1, Math.min(swaps, Math.round(ms / sliceMs)));
  return { slices, sliceMs: ms / slices };
}

/** The load goes on from one round to the next: nothing has to settle again. */
async function inRounds(bench: Bench, plan: Plan): Promise<readonly Round[]> {
  await sleep(SETTLE_MS, undefined, { signal: bench.signal });
  const rounds: Round[] = [];
  while (rounds.length < plan.rounds) {
    const round = await inSlices(bench, plan);
    rounds.push(round);
    const added = addedMs(round.pairs).toFixed(2);
    bench.say(`round ${rounds.length} of ${plan.rounds}: swaps add ${added} ms to the p99.9`);
  }
  return rounds;
}

async function inSlices(bench: Bench, plan: Plan): Promise<Round> {
  const pairs: Pair[] = [];
  const told = Math.max(1, Math.round(TOLD_EVERY_MS / plan.sliceMs));
  let swaps = 0;
  let swapMaxMs = 0;
  let last = await reading(bench);
  const during = async (act: () => Promise<unknown>) => {
    await act();
    const now = await reading(bench);
    const added = since(last, now);
    last = now;
    return added;
  };
  for (let slice = 0; slice < plan.slices; slice++) {
    const due = Math.round(((slice + 1) * plan.swaps) / plan.slices) - swaps;
    const quietly = () => during(() => sleep(plan.sliceMs, undefined, { signal: bench.signal }));
    const withSwaps = () =>
      during(async () => {
        swapMaxMs = Math.max(swapMaxMs, await swapEvenly(bench, due, plan.sliceMs));
      });
    pairs.push(await inTurns(quietly, withSwaps, slice % 2 === 0));
    swaps += due;
    if (pairs.length % told === 0 || pairs.length === plan.slices) {
      bench.say(`${progress(pairs, told)} of ${plan.slices} slices, ${swaps} swaps so far`);
    }
  }
  return { swaps, swapMaxMs, pairs };
}

/** Whichever comes first: what happens every half minute must not fall to one side alone. */
async function inTurns(
  quietly: () => Promise<Histogram>,
  withSwaps: () => Promise<Histogram>,
  quietFirst: boolean,
): Promise<Pair> {
  if (quietFirst) return { quiet: await quietly(), swapping: await withSwaps() };
  return { swapping: await withSwaps(), quiet: await quietly() };
}

function progress(pairs: readonly Pair[], last: number): string {
  const { quiet, swapping } = together(pairs.slice(-last));
  const [without, swapped] = [quiet, swapping].map((side) => p999(side).toFixed(2));
  return `p99.9 of late ${without} ms without, ${swapped} ms with swaps; ${pairs.length}`;
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

/** Milliseconds that swaps add to the 99.9th percentile of all messages. */
export function addedMs(pairs: readonly Pair[]): number {
  const { quiet, swapping } = together(pairs);
  return p999(swapping) - p999(quiet);
}

/** That of which half of the others add more, half less; of two, the one that adds more. */
export function middleRound(rounds: readonly Round[]): Round {
  const sorted = [...rounds].sort((a, b) => addedMs(a.pairs) - addedMs(b.pairs));
  const middle = sorted[Math.floor(sorted.length / 2)];
  assert(middle !== undefined, 'a contest has a round');
  return middle;
}

/**
 * Milliseconds that swaps add to the 99.9th percentile of a slice, as the median of the pairs. It
 * says nothing of what fewer than half of the slices show: that is in the difference of the totals.
 */
export function medianAddedMs(pairs: readonly Pair[]): number {
  return median(pairs.map(({ quiet, swapping }) => p999(swapping) - p999(quiet)));
}

async function capacityOf(bench: Bench): Promise<Capacity> {
  const load = new Load(bench.producer, bench.org, bench.templates, null);
  const processed = await mergedPerSecond(bench).finally(() => load.stop());
  const kept = await bench.keptPerSecond();
  await drained(bench);
  return { processed, kept };
}

async function mergedPerSecond(bench: Bench): Promise<number> {
  const { signal } = bench;
  await sleep(FLOOD_WARMUP_MS, undefined, { signal });
  const [before, from] = [total(await reading(bench)), performance.now()];
  await sleep(FLOOD_MS, undefined, { signal });
  const [after, until] = [total(await reading(bench)), performance.now()];
  return (1_000 * (after - before)) / (until - from);
}

/** Milliseconds that the slowest swap took. */
async function swapEvenly(
  { swapper, signal }: Bench,
  swaps: number,
  withinMs: number,
): Promise<number> {
  const started = performance.now();
  let slowest = 0;
  for (let i = 0; i < swaps; i++) {
    const due = started + (i * withinMs) / swaps;
    await sleep(Math.max(0, due - performance.now()), undefined, { signal });
    const began = performance.now();
    await swapper.swap(signal);
    slowest = Math.max(slowest, performance.now() - began);
  }
  await sleep(Math.max(0, started + withinMs - performance.now()), undefined, { signal });
  return slowest;
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
