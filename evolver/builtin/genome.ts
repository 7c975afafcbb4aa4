/**
 * A genome: one choice an operator. It is written into the head of the `aggregate.rs` that it
 * stands for, so that a parent's genome is read from its source; a source without one counts as the
 * first form.
 */
import type { Situation } from './operator.ts';
import { OPERATORS } from './operators/index.ts';

export type Genome = Readonly<Record<string, string>>;

export const FIRST_GENOME: Genome = Object.fromEntries(
  OPERATORS.map((operator) => [operator.name, operator.plain]),
);

const HEADER = /^\/\/ genome: (\{.{0,1000}\})$/m;
/** The header stands at the head; a line further down is none. */
const HEAD = 2_048;

/** The choices that are not plain. */
export function printGenome(genome: Genome): string {
  const entries = OPERATORS.map(({ name, plain }) => [name, genome[name] ?? plain, plain]);
  const told = entries.filter(([, value, plain]) => value !== plain);
  return JSON.stringify(Object.fromEntries(told.map(([name, value]) => [name, value])));
}

/** The genome in a source, or null when it has none that makes sense. */
export function parseGenome(source: string): Genome | null {
  const header = HEADER.exec(source.slice(0, HEAD));
  if (header === null) return null;
  let read: unknown;
  try {
    read = JSON.parse(header[1] as string);
  } catch {
    return null;
  }
  const genes = new Map(Object.entries(read as Record<string, unknown>));
  const genome: Record<string, string> = {};
  for (const { name, plain } of OPERATORS) {
    const value = genes.get(name) ?? plain;
    if (typeof value !== 'string' || !/^[a-z0-9]{1,16}$/.test(value)) return null;
    genome[name] = value;
  }
  return genome;
}

/**
 * The genome as it is expressed here: a choice whose precondition fails, or that makes no
 * difference, becomes the plain one. Two genomes with the same form are the same design.
 */
export function normalise(genome: Genome, situation: Situation): Genome {
  const genes: Record<string, string> = {};
  for (const { name, plain, options } of OPERATORS) {
    const value = genome[name] ?? plain;
    const allowed = options(situation).some((option) => option.value === value);
    genes[name] = allowed ? value : plain;
  }
  for (const { name, plain, matters } of OPERATORS) {
    if (!matters(genes)) genes[name] = plain;
  }
  return genes;
}

/** How many choices differ. */
export function distance(a: Genome, b: Genome): number {
  return OPERATORS.filter(({ name }) => a[name] !== b[name]).length;
}

/** The choices that differ from the first form, or from `from`, as `name=value`. */
export function describeGenome(genome: Genome, from: Genome = FIRST_GENOME): string[] {
  return OPERATORS.filter(({ name }) => genome[name] !== from[name]).map(
    ({ name }) => `${name}=${genome[name]}`,
  );
}
