import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StackError } from './errors.ts';

/** Paths of what the stack runs. */
export interface Executables {
  readonly temporal: string;
  readonly nats: string;
  readonly aggregator: string;
  /** Directory of the guest kit. */
  readonly kit: string;
}

const variables = {
  temporal: 'RATCHET_TEMPORAL',
  nats: 'RATCHET_NATS_SERVER',
  aggregator: 'RATCHET_AGGREGATOR',
  kit: 'RATCHET_KIT',
  /** Of tests and benches only. */
  vmagent: 'RATCHET_VMAGENT',
} as const;
type Name = keyof typeof variables;

/** The root of this repository. */
export const repositoryRoot = resolve(fileURLToPath(import.meta.url), '..', '..', '..');

/** Written by scripts/bootstrap.mjs. */
const record = join(repositoryRoot, 'node_modules', '.ratchet-bootstrap.json');

/** A path from the environment wins; otherwise it is the one that bootstrap recorded. */
export function findExecutable(name: Name, env: NodeJS.ProcessEnv = process.env): string {
  const variable = variables[name];
  const given = env[variable];
  if (given !== undefined && given !== '') return existing(resolve(given), variable);
  const recorded = readRecord()[name];
  if (typeof recorded !== 'string') {
    throw new StackError(`no ${name}: run "npm run bootstrap", or set ${variable} to its path`);
  }
  return existing(recorded, `${name}, built by "npm run bootstrap"`);
}

export function findExecutables(env: NodeJS.ProcessEnv = process.env): Executables {
  return {
    temporal: findExecutable('temporal', env),
    nats: findExecutable('nats', env),
    aggregator: findExecutable('aggregator', env),
    kit: findExecutable('kit', env),
  };
}

function existing(path: string, what: string): string {
  if (existsSync(path)) return path;
  throw new StackError(`${path} does not exist (${what})`);
}

function readRecord(): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(record, 'utf8'));
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
