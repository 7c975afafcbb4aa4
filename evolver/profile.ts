/**
 * What a mutator may know of an organization's traffic: shapes and counts of training messages,
 * never values.
 */

export interface Spread {
  median: number;
  max: number;
}

export interface KeyProfile {
  key: string;
  /** Share of tag-sets that carry the key. */
  presence: number;
  /** Median of distinct values in a message. */
  cardinality: number;
}

export interface TrafficProfile {
  messages: number;
  bytes: Spread;
  points: Spread;
  sets: Spread;
  strings: Spread;
  /** Share of messages that lie within one window of every rule. */
  singleWindow: number;
  keys: KeyProfile[];
  /** By rule: share of points that it takes in. Absent in profiles from before it was counted. */
  rules?: number[];
}

/** Stands for traffic nobody has looked at: typical sizes, no key known. */
export const UNKNOWN_TRAFFIC: TrafficProfile = {
  messages: 0,
  bytes: { median: 8_192, max: 8_192 },
  points: { median: 200, max: 200 },
  sets: { median: 50, max: 64 },
  strings: { median: 180, max: 256 },
  singleWindow: 0.5,
  keys: [],
};
