/**
 * The books of one organization: how many points were published for each (rule, window), a point
 * counted once for every rule that matches it, and how many came out of the aggregator.
 * Conservation means that the two columns are equal in every row.
 */
import type { Rule } from '../../control/configuration/index.ts';
import { matches } from '../../control/configuration/match.ts';
import { readCounts, type TagSet } from '../../control/payload/payload.ts';

export interface Balance {
  expected: number;
  emitted: number;
  /** Points that were published and not emitted, summed over (rule, window). */
  lost: number;
  /** Points that were emitted and never published there: doubled or in the wrong window. */
  surplus: number;
}

interface Row {
  expected: number;
  emitted: number;
}

export class Ledger {
  private readonly rows = new Map<string, Row>();
  private readonly rulesOf = new Map<TagSet, readonly Rule[]>();
  private readonly rules: readonly Rule[];
  private readonly fromMs: number;

  /** Windows that start before `fromMs` are not booked: they may hold points of an earlier run. */
  constructor(rules: readonly Rule[], fromMs: number) {
    this.rules = rules;
    this.fromMs = fromMs;
  }

  published(set: TagSet, ts: number, points = 1): void {
    for (const rule of this.matching(set)) {
      const start = ts - (ts % rule.windowMs);
      if (start >= this.fromMs) this.row(rule.id, start).expected += points;
    }
  }

  /** `aggregated` is the body of one message of `aggregates.<org>`; its metrics are rule ids. */
  emitted(aggregated: Uint8Array): void {
    for (const { metric, ts, count } of readCounts(aggregated)) {
      if (ts >= this.fromMs) this.row(metric, ts).emitted += count;
    }
  }

  /** Books windows only while they could still open and end before `toMs`. */
  balance(toMs = Number.POSITIVE_INFINITY): Balance {
    const total: Balance = { expected: 0, emitted: 0, lost: 0, surplus: 0 };
    for (const [key, row] of this.rows) {
      if (Number(key.slice(key.indexOf('@') + 1)) >= toMs) continue;
      total.expected += row.expected;
      total.emitted += row.emitted;
      total.lost += Math.max(0, row.expected - row.emitted);
      total.surplus += Math.max(0, row.emitted - row.expected);
    }
    return total;
  }

  private matching(set: TagSet): readonly Rule[] {
    const known = this.rulesOf.get(set);
    if (known !== undefined) return known;
    const tags = new Map(set.tags);
    const found = this.rules.filter(
      (rule) => rule.metric === set.metric && matches(rule.filter, tags),
    );
    // Only series that live as long as the workload are remembered.
    if (this.rulesOf.size < 100_000) this.rulesOf.set(set, found);
    return found;
  }

  private row(rule: string, start: number): Row {
    const key = `${rule}@${start}`;
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    const row = { expected: 0, emitted: 0 };
    this.rows.set(key, row);
    return row;
  }
}
