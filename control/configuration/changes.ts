/** From which window on each rule holds that a new configuration adds, changes or removes. */
import { encodeBlob, type Rule } from './blob.ts';

export interface RuleChange {
  rule: string;
  change: 'added' | 'changed' | 'removed';
  /** The start of the first window that the rule, as it is now, serves; null when removed. */
  fromMs: number | null;
  /** The start of the first window that the rule, as it was, serves no more; null when added. */
  untilMs: number | null;
}

/** How far in the future a configuration begins, so that every aggregator has it in time. */
const leadMs = 3_000;

/**
 * When a configuration stored now takes effect: windows that start from then on are its own, rule
 * by rule. A rule with a long window holds later than one with a short window; none waits for
 * another.
 */
export function effectiveFromMs(nowMs: number): number {
  return Math.ceil((nowMs + leadMs) / 1_000) * 1_000;
}

/** What changes at `effectiveFromMs`, by rule id. Rules that mean the same are not named. */
export function ruleChanges(
  before: readonly Rule[],
  after: readonly Rule[],
  effectiveFromMs: number,
): RuleChange[] {
  const old = new Map(before.map((rule) => [rule.id, rule]));
  const kept = new Set(after.map((rule) => rule.id));
  const first = (rule: Rule) => Math.ceil(effectiveFromMs / rule.windowMs) * rule.windowMs;
  const changes: RuleChange[] = [];
  for (const rule of after) {
    const known = old.get(rule.id);
    if (known === undefined) {
      changes.push({ rule: rule.id, change: 'added', fromMs: first(rule), untilMs: null });
    } else if (!sameMeaning(known, rule)) {
      const untilMs = first(known);
      changes.push({ rule: rule.id, change: 'changed', fromMs: first(rule), untilMs });
    }
  }
  for (const rule of before) {
    if (kept.has(rule.id)) continue;
    changes.push({ rule: rule.id, change: 'removed', fromMs: null, untilMs: first(rule) });
  }
  return changes.sort((a, b) => (a.rule < b.rule ? -1 : 1));
}

/** Aggregators know a rule by these bytes. */
function sameMeaning(a: Rule, b: Rule): boolean {
  return Buffer.from(encodeBlob([a])).equals(encodeBlob([b]));
}
