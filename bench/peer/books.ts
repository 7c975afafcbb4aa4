/** What every rule must come to for the samples sent, and whether what was received comes to it. */
import { compileConfiguration, type Rule } from '../../control/configuration/index.ts';
import { matches } from '../../control/configuration/match.ts';
import type { TagSet } from '../../control/payload/payload.ts';
import type { Workload } from '../workloads/workloads.ts';

interface Total {
  sum: number;
  count: number;
  max: number;
}

interface Group {
  rule: Rule;
  sent: Total;
}

/** Emitted values of one group, over all windows. */
interface Received {
  sum: number;
  max: number;
  last: number;
  times: number;
}

export class Books {
  private readonly groups = new Map<string, Group>();
  /** The groups that a series belongs to. */
  private readonly groupsOf: Group[][];

  constructor(workload: Workload) {
    const { rules } = compileConfiguration('peer', workload.rules);
    this.groupsOf = workload.series.map((set) => this.find(rules, set));
  }

  sent(series: number, value: number): void {
    for (const { sent } of this.groupsOf[series] ?? []) {
      sent.sum += value;
      sent.count += 1;
      sent.max = Math.max(sent.max, value);
    }
  }

  /** An empty sheet for what one side emits. */
  sheet(): Sheet {
    return new Sheet(this.groups);
  }

  private find(rules: readonly Rule[], set: TagSet): Group[] {
    const tags = new Map(set.tags);
    const matching = rules.filter(
      (rule) => rule.metric === set.metric && matches(rule.filter, tags),
    );
    return matching.map((rule) => {
      const values = rule.groupBy.map((key): [string, string] => [key, tags.get(key) ?? '']);
      const key = groupKey(rule.id, values);
      const known = this.groups.get(key);
      if (known !== undefined) return known;
      const group = { rule, sent: { sum: 0, count: 0, max: Number.NEGATIVE_INFINITY } };
      this.groups.set(key, group);
      return group;
    });
  }
}

/** What one side emitted. */
export class Sheet {
  private readonly expected: ReadonlyMap<string, Group>;
  private readonly received = new Map<string, Received>();

  constructor(expected: ReadonlyMap<string, Group>) {
    this.expected = expected;
  }

  add(rule: string, tags: Iterable<readonly [string, string]>, value: number): void {
    const key = groupKey(rule, tags);
    const known = this.received.get(key);
    if (known === undefined) {
      this.received.set(key, { sum: value, max: value, last: value, times: 1 });
      return;
    }
    known.sum += value;
    known.max = Math.max(known.max, value);
    known.last = value;
    known.times += 1;
  }

  /** Whether every sum has come to what was sent; to be asked when all is sent. */
  get complete(): boolean {
    for (const [key, { rule, sent }] of this.expected) {
      const open = rule.aggregate === 'sum' && sent.count > 0;
      if (open && this.received.get(key)?.sum !== sent.sum) return false;
    }
    return true;
  }

  /** What differs, the first few of it; nothing when both are equal to the last bit. */
  differences(): string[] {
    const found: string[] = [];
    for (const [key, { rule, sent }] of this.expected) {
      if (sent.count === 0) continue;
      const difference = differenceOf(rule, sent, this.received.get(key));
      if (difference !== null) found.push(`${key}: ${difference}`);
    }
    for (const key of this.received.keys()) {
      if (!this.expected.has(key)) found.push(`${key}: nobody sent that`);
    }
    return found;
  }
}

function differenceOf(rule: Rule, sent: Total, received: Received | undefined): string | null {
  if (received === undefined) return 'not emitted';
  const told = (value: number, wanted: number) =>
    value === wanted ? null : `${rule.aggregate} is ${value}, not ${wanted}`;
  if (rule.aggregate === 'sum') return told(received.sum, sent.sum);
  if (rule.aggregate === 'max') return told(received.max, sent.max);
  // Averages of several windows do not tell the average of all.
  return received.times === 1 ? told(received.last, sent.sum / sent.count) : null;
}

/** A group's name; an empty value is as good as none. */
function groupKey(rule: string, tags: Iterable<readonly [string, string]>): string {
  const present = [...tags]
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`);
  return [rule, ...present.sort()].join(' ');
}
