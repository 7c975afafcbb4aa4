/** One thing that is wrong with a configuration. `column` is 1-based and counts characters. */
export interface Problem {
  rule: string;
  field: string;
  column?: number;
  /** The line that `column` points into: the filter, or a line of the document. */
  text?: string;
  message: string;
}

/** A configuration that was refused, with every problem found in it. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const first = problems[0];
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    super(first === undefined ? 'the configuration is invalid' : describeProblem(first) + more);
    this.problems = problems;
  }
}

/** Filter text that does not parse: where, and what was expected there. */
export class FilterSyntaxError extends Error {
  override readonly name = 'FilterSyntaxError';
  readonly column: number;

  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

/** Bytes that are not the canonical encoding of any list of rules. */
export class BlobError extends Error {
  override readonly name = 'BlobError';
}

export function describeProblem(problem: Problem): string {
  const rule = problem.rule === '' ? '' : `rule ${problem.rule}: `;
  const column = problem.column === undefined ? '' : ` (column ${problem.column})`;
  return `${rule}${problem.field}${column}: ${problem.message}`;
}
