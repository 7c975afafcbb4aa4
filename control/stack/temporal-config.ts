import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { messageOf, StackError } from './errors.ts';

const port = z.number().int().min(0).max(65_535);
const attributeTypes = [
  'Text',
  'Keyword',
  'Int',
  'Double',
  'Bool',
  'Datetime',
  'KeywordList',
] as const;
const identifier = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'is not an identifier');
const dynamicKey = z.string().regex(/^[A-Za-z]+(\.[A-Za-z0-9]+)+$/, 'is not a configuration key');

const schema = z.strictObject({
  address: z.literal('127.0.0.1', 'the development server listens on 127.0.0.1 only'),
  ports: z.strictObject({ server: port, ui: port, metrics: port }),
  namespace: z.string().regex(/^[a-z0-9-]{2,63}$/, 'is not a namespace name'),
  database: z.string().regex(/^[A-Za-z0-9._-]+$/, 'is not a plain file name'),
  sqlite_pragma: z.record(identifier, z.union([z.string(), z.number()])).default({}),
  search_attributes: z.record(identifier, z.enum(attributeTypes)),
  dynamic_configuration: z
    .record(dynamicKey, z.union([z.boolean(), z.number(), z.string()]))
    .default({}),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'never']).default('warn'),
  ready_within: z.string().regex(/^[1-9]\d{0,3}s$/, 'is not a number of seconds such as 60s'),
});

export interface TemporalConfig {
  readonly ports: { readonly server: number; readonly ui: number; readonly metrics: number };
  readonly namespace: string;
  readonly database: string;
  readonly sqlitePragma: Readonly<Record<string, string | number>>;
  readonly searchAttributes: Readonly<Record<string, (typeof attributeTypes)[number]>>;
  readonly dynamicConfiguration: Readonly<Record<string, boolean | number | string>>;
  readonly logLevel: string;
  readonly readyWithinMs: number;
}

export function readTemporalConfig(file: string): TemporalConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new StackError(`cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseTemporalConfig(text, basename(file));
}

/** Throws a StackError that names every wrong key. */
export function parseTemporalConfig(text: string, name: string): TemporalConfig {
  const document = parseDocument(text, { uniqueKeys: true });
  const fault = document.errors[0];
  if (fault !== undefined) throw new StackError(`${name}: ${fault.message}`);
  const result = schema.safeParse(document.toJS());
  if (!result.success) {
    throw new StackError(`${name}: ${result.error.issues.map(describe).join('; ')}`);
  }
  const parsed = result.data;
  return {
    ports: parsed.ports,
    namespace: parsed.namespace,
    database: parsed.database,
    sqlitePragma: parsed.sqlite_pragma,
    searchAttributes: parsed.search_attributes,
    dynamicConfiguration: parsed.dynamic_configuration,
    logLevel: parsed.log_level,
    readyWithinMs: Number.parseInt(parsed.ready_within, 10) * 1_000,
  };
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const where = path === '' ? '' : ` below ${path}`;
    return `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}${where}`;
  }
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}

/** The flags of `temporal server start-dev` that a configuration means. */
export function temporalFlags(
  config: TemporalConfig,
  ports: { readonly server: number; readonly ui: number; readonly metrics: number },
  databaseFile: string,
): string[] {
  const repeated = (flag: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
  const dynamic = Object.entries(config.dynamicConfiguration).map(([key, value]) => [
    key,
    JSON.stringify(value),
  ]);
  const pragma = Object.entries(config.sqlitePragma).map(([key, value]) => [key, String(value)]);
  return [
    'server',
    'start-dev',
    ...['--ip', '127.0.0.1', '--ui-ip', '127.0.0.1'],
    ...['--port', String(ports.server), '--ui-port', String(ports.ui)],
    ...['--metrics-port', String(ports.metrics)],
    ...['--namespace', config.namespace, '--db-filename', databaseFile],
    ...repeated('--search-attribute', config.searchAttributes),
    ...repeated('--dynamic-config-value', Object.fromEntries(dynamic)),
    ...repeated('--sqlite-pragma', Object.fromEntries(pragma)),
    ...['--log-level', config.logLevel, '--color', 'never'],
    '--disable-config-file',
    '--disable-config-env',
  ];
}
