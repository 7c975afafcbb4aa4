import { digestBlob, encodeBlob, type Rule } from './blob.ts';
import { BlobError, ConfigurationError, type Problem } from './errors.ts';
import { limits } from './limits.ts';
import { organizationProblem, type RuleInput, ruleName, validateRule } from './rules.ts';

/** An organization's rules, compiled; `digest` identifies them everywhere. */
export interface Configuration {
  org: string;
  /** Sorted by id: the order of their indexes in partial records. */
  rules: Rule[];
  blob: Uint8Array;
  digest: string;
  /** Over how many partitions its series are spread; no part of the blob. */
  spread: number;
}

/** Validates and encodes rules; throws `ConfigurationError` with every problem found. */
export function compileConfiguration(org: string, rules: readonly RuleInput[]): Configuration {
  return compileUnknown(org, rules);
}

/** The same for values of unknown shape, such as a request body. */
export function compileUnknown(org: unknown, inputs: unknown, spread: unknown = 1): Configuration {
  const found = [organizationProblem(org), spreadProblem(spread)];
  const problems = found.filter((problem) => problem !== null);
  if (!Array.isArray(inputs)) {
    throw new ConfigurationError([...problems, topProblem('must be a list of rules')]);
  }
  if (inputs.length === 0) problems.push(topProblem('must hold at least one rule'));
  if (inputs.length > limits.rules) {
    const message = `holds ${inputs.length} rules, the limit is ${limits.rules}`;
    throw new ConfigurationError([...problems, topProblem(message)]);
  }
  const rules = compileRules(inputs, problems);
  if (problems.length > 0) throw new ConfigurationError(problems);
  const blob = encode(rules);
  const sorted = [...rules].sort((a, b) => (a.id < b.id ? -1 : 1));
  const digest = digestBlob(blob);
  return { org: String(org), rules: sorted, blob, digest, spread: Number(spread) };
}

function spreadProblem(spread: unknown): Problem | null {
  const whole = typeof spread === 'number' && Number.isInteger(spread);
  if (whole && spread >= 1 && spread <= limits.spread) return null;
  const shown = JSON.stringify(spread);
  const message = `is ${shown}, not a number of partitions from 1 to ${limits.spread}`;
  return { rule: '', field: 'spread', message };
}

function compileRules(inputs: readonly unknown[], problems: Problem[]): Rule[] {
  const rules: Rule[] = [];
  const places = new Map<string, number>();
  inputs.forEach((input, index) => {
    const result = validateRule(input, index);
    problems.push(...result.problems);
    if (result.rule !== null) rules.push(result.rule);
    const name = ruleName(input, index);
    const earlier = places.get(name);
    if (earlier !== undefined) {
      problems.push({ rule: name, field: 'id', message: `is also the id of rule ${earlier + 1}` });
    } else {
      places.set(name, index);
    }
  });
  return rules;
}

function encode(rules: readonly Rule[]): Uint8Array {
  try {
    return encodeBlob(rules);
  } catch (error) {
    if (error instanceof BlobError) throw new ConfigurationError([topProblem(error.message)]);
    throw error;
  }
}

function topProblem(message: string): Problem {
  return { rule: '', field: 'rules', message };
}
