import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** Of this repository. */
const root = fileURLToPath(new URL('..', import.meta.url));

export type Environment = Readonly<Record<string, string | undefined>>;
export type ProofPolicy = 'attested' | 'verified';
/** Whether tenants may bring modules: `empty` names the WASI world that these may import. */
export type WasiPolicy = 'none' | 'empty';

/** Everything that a control-plane process learns from its environment. */
export interface Settings {
  /** Absolute directory of archives, stores and keys. */
  state: string;
  /** Absolute directory of toolchains and build caches. */
  cache: string;
  /** Directory of the guest kit; `null` until bootstrap has built one. */
  kit: string | null;
  /** The aggregator binary, run for checks, builds and benchmarks. */
  aggregator: string;
  /** Names this machine's evolver task queue. */
  host: string;
  temporal: TemporalSettings;
  nats: NatsSettings;
  api: { hostname: string; port: number; tokensFile: string };
  /** The evolver's archive of generations on this host. */
  archiveFile: string;
  /** Directory of the content-addressed store. */
  storeDirectory: string;
  builderKeyFile: string;
  trustFile: string;
  /** The least proof of the codec with which a candidate goes on. */
  proofPolicy: ProofPolicy;
  wasi: WasiPolicy;
  /** Directory of attestations, `<codec digest>.json`. */
  attestations: string;
  /** JSON that changes how new organizations evolve; `evolution.ts` reads it. */
  evolution: string | null;
  models: ModelAccess;
  logLevel: string;
}

export interface TemporalSettings {
  address: string;
  namespace: string;
  apiKey: string | null;
  tls: TemporalTls | null;
}

export interface TemporalTls {
  serverName: string | null;
  serverCaFile: string | null;
  clientCertFile: string | null;
  clientKeyFile: string | null;
}

export interface NatsSettings {
  /** Of the servers of one cluster, with commas between. */
  url: string;
  user: string;
  passwordFile: string;
  caFile: string | null;
}

/** Of Anthropic's API. */
export interface ModelAccess {
  /** Null = the built-in search proposes alone. */
  apiKey: string | null;
  /** JSON with models, prices, budget and limits; `workers/models.ts` reads it. */
  settings: string | null;
  /** Where RATCHET_LLM names none. */
  baseUrl: string | null;
}

/** Names the variables that are wrong and the values they had. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const hostAndPort = z
  .string()
  .regex(/^[^\s:/]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'is not host:port')
  .refine((value) => portOf(value) <= 65_535, 'has a port over 65535');
const flag = z.enum(['true', 'false', '1', '0'], 'is neither true nor false');
const text = z.string().min(1);

const natsUrl = /^(nats|tls):\/\/[^\s/,]+$/;

const environmentSchema = z.object({
  RATCHET_STATE: text.default('.ratchet'),
  RATCHET_CACHE: text.optional(),
  RATCHET_KIT: text.optional(),
  RATCHET_AGGREGATOR: text.default('aggregator'),
  RATCHET_HOST: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, 'is not a host name')
    .optional(),
  RATCHET_API_ADDRESS: hostAndPort.default('127.0.0.1:8480'),
  RATCHET_API_TOKENS: text.optional(),
  RATCHET_ARCHIVE: text.optional(),
  RATCHET_BUILDER_KEY: text.optional(),
  RATCHET_TRUST: text.optional(),
  RATCHET_PROOF_POLICY: z
    .enum(['attested', 'verified'], 'is neither attested nor verified')
    .default('attested'),
  RATCHET_WASI: z.enum(['none', 'empty'], 'is neither none nor empty').default('none'),
  RATCHET_ATTESTATIONS: text.optional(),
  RATCHET_EVOLUTION: text.optional(),
  RATCHET_LLM: text.optional(),
  ANTHROPIC_API_KEY: z.string().trim().min(1).optional(),
  ANTHROPIC_BASE_URL: z.url({ protocol: /^https?$/, error: 'is not an http(s) URL' }).optional(),
  RATCHET_LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'is not a log level')
    .default('info'),
  TEMPORAL_ADDRESS: hostAndPort.default('127.0.0.1:7233'),
  TEMPORAL_NAMESPACE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,200}$/, 'is not a namespace')
    .default('default'),
  TEMPORAL_API_KEY: text.optional(),
  TEMPORAL_TLS: flag.optional(),
  TEMPORAL_TLS_SERVER_NAME: text.optional(),
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: text.optional(),
  TEMPORAL_TLS_CLIENT_CERT_PATH: text.optional(),
  TEMPORAL_TLS_CLIENT_KEY_PATH: text.optional(),
  NATS_URL: z
    .string()
    .default('nats://127.0.0.1:4222')
    .refine((urls) => urls.split(',').every((url) => natsUrl.test(url)), {
      error: 'is not a NATS URL such as nats://127.0.0.1:4222, nor several with commas between',
    }),
  NATS_USER: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'is not a NATS user name')
    .default('control'),
  NATS_PASSWORD_FILE: text.optional(),
  NATS_TLS_CA_FILE: text.optional(),
});

type Parsed = z.output<typeof environmentSchema>;

/** Reads settings from environment variables; an empty variable counts as unset. */
export function loadSettings(environment: Environment): Settings {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const result = environmentSchema.safeParse(set);
  if (!result.success) throw new SettingsError(describe(result.error, set));
  const parsed = result.data;
  const state = resolve(parsed.RATCHET_STATE);
  return {
    state,
    cache: resolve(parsed.RATCHET_CACHE ?? defaultCache(environment)),
    kit: parsed.RATCHET_KIT === undefined ? null : resolve(parsed.RATCHET_KIT),
    aggregator: parsed.RATCHET_AGGREGATOR,
    host: parsed.RATCHET_HOST ?? hostname(),
    temporal: temporalSettings(parsed),
    nats: {
      url: parsed.NATS_URL,
      user: parsed.NATS_USER,
      passwordFile: parsed.NATS_PASSWORD_FILE ?? passwordFile(state, parsed.NATS_USER),
      caFile: parsed.NATS_TLS_CA_FILE ?? null,
    },
    api: {
      ...splitAddress(parsed.RATCHET_API_ADDRESS),
      tokensFile: parsed.RATCHET_API_TOKENS ?? join(state, 'api-tokens.json'),
    },
    archiveFile: parsed.RATCHET_ARCHIVE ?? join(state, 'archive.sqlite'),
    storeDirectory: join(state, 'store'),
    builderKeyFile: parsed.RATCHET_BUILDER_KEY ?? join(state, 'keys', 'builder.key'),
    trustFile: parsed.RATCHET_TRUST ?? join(state, 'trust.json'),
    proofPolicy: parsed.RATCHET_PROOF_POLICY,
    wasi: parsed.RATCHET_WASI,
    attestations: resolve(parsed.RATCHET_ATTESTATIONS ?? join(root, 'proofs', 'attestations')),
    evolution: parsed.RATCHET_EVOLUTION ?? null,
    models: {
      apiKey: parsed.ANTHROPIC_API_KEY ?? null,
      settings: parsed.RATCHET_LLM ?? null,
      baseUrl: parsed.ANTHROPIC_BASE_URL ?? null,
    },
    logLevel: parsed.RATCHET_LOG_LEVEL,
  };
}

function temporalSettings(parsed: Parsed): TemporalSettings {
  const given = {
    serverName: parsed.TEMPORAL_TLS_SERVER_NAME ?? null,
    serverCaFile: parsed.TEMPORAL_TLS_SERVER_CA_CERT_PATH ?? null,
    clientCertFile: parsed.TEMPORAL_TLS_CLIENT_CERT_PATH ?? null,
    clientKeyFile: parsed.TEMPORAL_TLS_CLIENT_KEY_PATH ?? null,
  };
  if ((given.clientCertFile === null) !== (given.clientKeyFile === null)) {
    const names = 'TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH';
    throw new SettingsError(`${names} must be set together`);
  }
  const implied =
    parsed.TEMPORAL_API_KEY !== undefined || Object.values(given).some((value) => value !== null);
  const explicit = parsed.TEMPORAL_TLS;
  const on = explicit === undefined ? implied : explicit === 'true' || explicit === '1';
  return {
    address: parsed.TEMPORAL_ADDRESS,
    namespace: parsed.TEMPORAL_NAMESPACE,
    apiKey: parsed.TEMPORAL_API_KEY ?? null,
    tls: on ? given : null,
  };
}

const secret = /KEY$|PASSWORD$|TOKEN$/;

function describe(error: z.ZodError, environment: Environment): string {
  const lines = error.issues.map((issue) => {
    const name = String(issue.path[0]);
    const value = secret.test(name) ? 'its value' : JSON.stringify(environment[name] ?? '');
    return `${name}: ${value} ${issue.message}`;
  });
  return lines.join('; ');
}

function defaultCache(environment: Environment): string {
  const base = environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), '.cache');
  return join(base, 'ratchet');
}

function passwordFile(state: string, user: string): string {
  return join(state, 'keys', `nats-${user}.password`);
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function splitAddress(address: string): { hostname: string; port: number } {
  const name = address.slice(0, address.lastIndexOf(':'));
  return { hostname: name.replace(/^\[|\]$/g, ''), port: portOf(address) };
}
