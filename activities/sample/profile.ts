/**
 * What a mutator may know of traffic: shapes and counts. Values of tags never leave the messages.
 */

import type { Rule } from '../../control/configuration/index.ts';
import { matches } from '../../control/configuration/match.ts';
import { type DecodedMessage, decodeMessage } from '../../control/payload/payload.ts';
import type { KeyProfile, Spread, TrafficProfile } from '../../evolver/profile.ts';

const KEYS_MAX = 256;
/** Messages that hit rates are counted on. */
const RATED_MAX = 64;

export function profileTraffic(
  messages: readonly Uint8Array[],
  rules: readonly Rule[],
): TrafficProfile {
  const decoded = messages.map(decodeMessage);
  const windows = [...new Set(rules.map((rule) => rule.windowMs))];
  const single = decoded.filter((message) => withinOneWindow(message, windows)).length;
  return {
    messages: messages.length,
    bytes: spread(messages.map((message) => message.length)),
    points: spread(decoded.map((message) => message.points.length)),
    sets: spread(decoded.map((message) => message.sets.length)),
    strings: spread(decoded.map(countStrings)),
    singleWindow: messages.length === 0 ? 0 : single / messages.length,
    keys: keyProfiles(decoded),
    rules: hitRates(decoded.slice(-RATED_MAX), rules),
  };
}

/** By rule, the share of points that it takes in. */
function hitRates(messages: readonly DecodedMessage[], rules: readonly Rule[]): number[] {
  const hits = new Array<number>(rules.length).fill(0);
  const byMetric = new Map<string, [number, Rule][]>();
  for (const [index, rule] of rules.entries()) {
    byMetric.set(rule.metric, [...(byMetric.get(rule.metric) ?? []), [index, rule]]);
  }
  let points = 0;
  for (const { sets, points: of } of messages) {
    const counts = new Array<number>(sets.length).fill(0);
    for (const { set } of of) counts[set] = (counts[set] ?? 0) + 1;
    points += of.length;
    for (const [set, { metric, tags }] of sets.entries()) {
      const values = new Map(tags);
      for (const [index, { filter }] of byMetric.get(metric) ?? []) {
        if (matches(filter, values)) hits[index] = (hits[index] ?? 0) + (counts[set] ?? 0);
      }
    }
  }
  return hits.map((count) => (points === 0 ? 0 : count / points));
}

function spread(numbers: number[]): Spread {
  const sorted = [...numbers].sort((left, right) => left - right);
  return { median: middle(sorted), max: sorted.at(-1) ?? 0 };
}

function middle(sorted: number[]): number {
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

function countStrings(message: DecodedMessage): number {
  const strings = new Set<string>();
  for (const { metric, tags } of message.sets) {
    strings.add(metric);
    for (const [key, value] of tags) strings.add(key).add(value);
  }
  return strings.size;
}

function withinOneWindow(message: DecodedMessage, windows: number[]): boolean {
  const times = message.points.map((point) => point.ts);
  const first = times.reduce((least, ts) => Math.min(least, ts), Number.POSITIVE_INFINITY);
  const last = times.reduce((most, ts) => Math.max(most, ts), 0);
  return windows.every((window) => Math.floor(first / window) === Math.floor(last / window));
}

function keyProfiles(messages: DecodedMessage[]): KeyProfile[] {
  const present = new Map<string, number>();
  const distinct = new Map<string, number[]>();
  let sets = 0;
  for (const message of messages) {
    sets += message.sets.length;
    const values = new Map<string, Set<string>>();
    for (const { tags } of message.sets) {
      for (const [key, value] of tags) {
        present.set(key, (present.get(key) ?? 0) + 1);
        values.set(key, (values.get(key) ?? new Set()).add(value));
      }
    }
    for (const [key, seen] of values) distinct.set(key, [...(distinct.get(key) ?? []), seen.size]);
  }
  return [...present.entries()]
    .map(([key, count]) => ({
      key,
      presence: sets === 0 ? 0 : count / sets,
      cardinality: middle((distinct.get(key) ?? []).sort((left, right) => left - right)),
    }))
    .sort((left, right) => (left.key < right.key ? -1 : 1))
    .slice(0, KEYS_MAX);
}
