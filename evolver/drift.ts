/**
 * Drift: how far an organization's traffic is from what its module was measured on, and whether the
 * module still earns its place. Pure.
 */
import type { TrafficProfile } from './profile.ts';

export interface Drift {
  /** The largest change of any trait; 1 = one that is worth measuring everything anew. */
  distance: number;
  /** The trait that changed most, in words. */
  reason: string;
}

interface Change {
  trait: string;
  distance: number;
}

/** What counts as 1: twice as much, or half of all. */
const TWICE = Math.log(2);
const HALF = 0.5;
/** Keys in fewer tag-sets than this may come and go. */
const RARE = 0.05;

export function driftBetween(before: TrafficProfile, now: TrafficProfile): Drift {
  const changes = [
    amount('points a message', before.points.median, now.points.median),
    amount('tag-sets a message', before.sets.median, now.sets.median),
    amount('strings a message', before.strings.median, now.strings.median),
    ...keyChanges(before, now),
    ...ruleChanges(before, now),
  ];
  const none = { trait: 'nothing changed', distance: 0 };
  const most = changes.reduce(
    (found, each) => (each.distance > found.distance ? each : found),
    none,
  );
  return { distance: most.distance, reason: most.trait };
}

function amount(trait: string, before: number, now: number): Change {
  const distance = Math.abs(Math.log((now + 1) / (before + 1))) / TWICE;
  return { trait: `${trait}: ${before} → ${now}`, distance };
}

function keyChanges(before: TrafficProfile, now: TrafficProfile): Change[] {
  const old = new Map(before.keys.map((each) => [each.key, each]));
  const none = { presence: 0, cardinality: 0 };
  const names = new Set([...before.keys, ...now.keys].map(({ key }) => key));
  return [...names].flatMap((key) => {
    const was = old.get(key) ?? none;
    const is = now.keys.find((each) => each.key === key) ?? none;
    const share = (value: number) => `${(100 * value).toFixed(0)} %`;
    const presence = {
      trait: `presence of ${key}: ${share(was.presence)} → ${share(is.presence)}`,
      distance: Math.abs(is.presence - was.presence) / HALF,
    };
    if (Math.min(was.presence, is.presence) < RARE) return [presence];
    return [presence, amount(`values of ${key} a message`, was.cardinality, is.cardinality)];
  });
}

/** Half of all that rules take in goes to others: 1. */
function ruleChanges({ rules: before }: TrafficProfile, { rules: now }: TrafficProfile): Change[] {
  if (before === undefined || now === undefined || before.length !== now.length) return [];
  const moved = now.reduce((sum, rate, rule) => sum + Math.abs(rate - (before[rule] ?? 0)), 0);
  const total = Math.max(sumOf(before), sumOf(now));
  if (total === 0) return [];
  const share = moved / (2 * total);
  return [
    { trait: `${(100 * share).toFixed(0)} % of the hits of rules moved`, distance: share / HALF },
  ];
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}

export interface Standing {
  /** Null = the traffic that it was measured on is not known. */
  drift: Drift | null;
  /** Ratio to the baseline now, and as it was measured; null = not known. */
  advantage: number | null;
  promised: number | null;
}

export interface DriftLimits {
  /** A distance from here on is a move. */
  distance: number;
  /** The share of the gain over the baseline that must be left. */
  advantage: number;
}

export interface DriftVerdict {
  verdict: 'steady' | 'moved' | 'shrunk';
  reason: string | null;
}

export function judgeDrift(standing: Standing, limits: DriftLimits): DriftVerdict {
  const { drift, advantage, promised } = standing;
  if (drift !== null && drift.distance >= limits.distance) {
    return { verdict: 'moved', reason: drift.reason };
  }
  if (advantage === null || promised === null || promised <= 1) {
    return { verdict: 'steady', reason: null };
  }
  if (advantage - 1 >= limits.advantage * (promised - 1)) {
    return { verdict: 'steady', reason: null };
  }
  const reason = `${advantage.toFixed(2)}x the baseline, it was ${promised.toFixed(2)}x`;
  return { verdict: 'shrunk', reason };
}
