import { parseDocument } from 'yaml';
import { type Configuration, compileUnknown } from './configuration.ts';
import { ConfigurationError, type Problem } from './errors.ts';

/** Compiles `org:`, `rules:` and `spread:` from YAML (or JSON, which is YAML). */
export function parseConfiguration(text: string, expectedOrg?: string): Configuration {
  return compileBody(parseDocumentText(text), expectedOrg);
}

/** Compiles a parsed document; with `expectedOrg`, `org` may be left out but must not differ. */
export function compileBody(body: unknown, expectedOrg?: string): Configuration {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ConfigurationError([problem('document', 'must be a mapping with org and rules')]);
  }
  const { org = expectedOrg, rules, spread, ...rest } = body as Record<string, unknown>;
  const problems = Object.keys(rest).map((key) => problem(key, 'is not a key of a configuration'));
  if (expectedOrg !== undefined && org !== expectedOrg) {
    problems.push(problem('org', `is ${JSON.stringify(org)}, expected "${expectedOrg}"`));
  }
  if (problems.length === 0) return compileUnknown(org, rules, spread);
  try {
    compileUnknown(org, rules, spread);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    problems.push(...error.problems);
  }
  throw new ConfigurationError(problems);
}

export function parseDocumentText(text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false });
  const problems = document.errors.map((error) => {
    const before = text.slice(0, error.pos[0]).split('\n');
    const column = [...(before.at(-1) ?? '')].length + 1;
    const line = text.split('\n')[before.length - 1] ?? '';
    const message = `line ${before.length}: ${error.message}`;
    return { ...problem('document', message), column, text: line };
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError([problem('document', message)]);
  }
}

function problem(field: string, message: string): Problem {
  return { rule: '', field, message };
}
