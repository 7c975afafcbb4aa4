import { z } from 'zod';
import { type Aggregate, aggregates, isWindow, type Rule } from './blob.ts';
import { FilterSyntaxError, type Problem } from './errors.ts';
import { type Filter, parseFilter } from './filter.ts';
import { idPattern, isOrganizationName, limits, textProblem } from './limits.ts';

/** A rule as people write it, in YAML and in the API. */
export interface RuleInput {
  id: string;
  metric: string;
  filter: string;
  group_by: string[];
  aggregate: Aggregate;
  window: string;
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a window such as `30s`, `5m` or `1h`; `null` when it is not one. */
export function parseWindow(text: string): number | null {
  const match = /^([1-9][0-9]{0,4})([smh])$/.exec(text);
  if (match === null) return null;
  const windowMs = Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
  return isWindow(windowMs) ? windowMs : null;
}

export function printWindow(windowMs: number): string {
  return `${windowMs / 1_000}s`;
}

const text = z.string().superRefine((value, context) => {
  const problem = textProblem(value);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

const filter = z
  .string()
  .transform((value, context): Filter => {
    try {
      return parseFilter(value);
    } catch (error) {
      if (!(error instanceof FilterSyntaxError)) throw error;
      context.addIssue({
        code: 'custom',
        message: error.message,
        params: { column: error.column },
      });
      return z.NEVER;
    }
  })
  .describe('key:value, key:*, key:prefix*, key IN (a, b), AND, OR, NOT, parentheses; * is all');

const groupBy = z
  .array(text)
  .max(limits.groupKeys, `at most ${limits.groupKeys} keys`)
  .superRefine((keys, context) => {
    keys.forEach((key, index) => {
      if (keys.indexOf(key) === index) return;
      context.addIssue({ code: 'custom', path: [index], message: `${key} is repeated` });
    });
  });

const window = z
  .string()
  .transform((value, context): number => {
    const windowMs = parseWindow(value);
    if (windowMs !== null) return windowMs;
    const message = `${JSON.stringify(value)} is not a window between 1s and 1h, such as 30s or 5m`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .describe('A whole number of seconds, minutes or hours, from 1s to 1h, such as 30s');

/** One rule: its input is what people write, its output what the blob encodes. */
export const ruleSchema = z.strictObject({
  id: z.string().regex(idPattern, 'must match [a-z0-9][a-z0-9._-]{0,99}'),
  metric: text,
  filter: filter.prefault('*'),
  group_by: groupBy.default([]),
  aggregate: z.enum(aggregates, `must be one of ${aggregates.join(', ')}`),
  window,
});

/** What is wrong with an organization's name; `null` when nothing is. */
export function organizationProblem(org: unknown): Problem | null {
  if (typeof org === 'string' && isOrganizationName(org)) return null;
  const shown = JSON.stringify(org) ?? 'nothing';
  const message = `${shown} is not an organization name: [a-z0-9-]{1,63}, and not "fleet"`;
  return { rule: '', field: 'org', message };
}

/** Validates one rule; `rule` is null when there are problems. */
export function validateRule(
  input: unknown,
  index: number,
): { rule: Rule | null; problems: Problem[] } {
  const result = ruleSchema.safeParse(input);
  if (result.success) {
    const { group_by, window: windowMs, ...rest } = result.data;
    return { rule: { ...rest, groupBy: group_by, windowMs }, problems: [] };
  }
  const name = ruleName(input, index);
  const problems = result.error.issues.flatMap((each) => toProblems(name, each));
  const source = textOfFilter(input);
  if (source === null) return { rule: null, problems };
  const quoted = problems.map((each) =>
    each.column === undefined ? each : { ...each, text: source },
  );
  return { rule: null, problems: quoted };
}

function textOfFilter(input: unknown): string | null {
  if (typeof input !== 'object' || input === null || !('filter' in input)) return null;
  return typeof input.filter === 'string' ? input.filter : null;
}

/** The rule's own id when it has a usable one, else its place in the list. */
export function ruleName(input: unknown, index: number): string {
  const id = typeof input === 'object' && input !== null && 'id' in input ? input.id : undefined;
  return typeof id === 'string' && idPattern.test(id) ? id : `#${index + 1}`;
}

function toProblems(rule: string, issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ rule, field: key, message: 'is not a key of a rule' }));
  }
  const field = path === '' ? 'rule' : path;
  const column: unknown = issue.code === 'custom' ? issue.params?.column : undefined;
  if (typeof column === 'number') return [{ rule, field, column, message: issue.message }];
  return [{ rule, field, message: issue.message }];
}
