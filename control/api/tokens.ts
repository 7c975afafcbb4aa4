/** Bearer tokens: only their digests lie in the file that the API reads. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isOrganizationName } from '../configuration/index.ts';

/**
 * Each role may do what those before it may; but a producer only sends points, to the aggregators'
 * gateway, and to that neither viewers nor editors may send.
 */
export const roles = ['producer', 'viewer', 'editor', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Whom a token speaks for; `*` is every organization. */
export interface Principal {
  org: string;
  role: Role;
}

export interface TokenRegistry {
  /** `null` when the token is not known. */
  find(token: string): Promise<Principal | null>;
}

const digestText = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in hexadecimal');
const entrySchema = z.strictObject({
  token_sha256: digestText,
  org: z.string().refine((org) => org === '*' || isOrganizationName(org), 'must be a name or *'),
  role: z.enum(roles),
});
/** As many as an aggregator reads: three for each of ten thousand organizations, and some. */
const tokensMax = 32_768;
const fileSchema = z.array(entrySchema).max(tokensMax);

type Entry = z.output<typeof entrySchema>;

export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
}

/** Reads the file again whenever it changes: tokens come and go without a restart. */
export class TokenFile implements TokenRegistry {
  readonly #file: string;
  #stamp = '';
  #entries: readonly Entry[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  async find(token: string): Promise<Principal | null> {
    const presented = createHash('sha256').update(token).digest();
    let found: Principal | null = null;
    // Every entry is compared, each in constant time: timing tells nothing of which one matched.
    for (const entry of await this.#load()) {
      const stored = Buffer.from(entry.token_sha256, 'hex');
      if (timingSafeEqual(stored, presented)) found = { org: entry.org, role: entry.role };
    }
    return found;
  }

  async #load(): Promise<readonly Entry[]> {
    const stamp = await stampOf(this.#file);
    // Without a file nobody has a token yet.
    if (stamp === null) return [];
    if (stamp !== this.#stamp) {
      this.#entries = parseTokens(this.#file, await readFile(this.#file, 'utf8'));
      this.#stamp = stamp;
    }
    return this.#entries;
  }
}

async function stampOf(file: string): Promise<string | null> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs}/${size}/${ino}`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function parseTokens(file: string, text: string): Entry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new TokenFileError(`${file} is not JSON`);
  }
  const result = fileSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new TokenFileError(`${file}: ${issue?.path.join('.')} ${issue?.message}`);
}

export function allows(principal: Principal, org: string | null, role: Role): boolean {
  if (roles.indexOf(principal.role) < roles.indexOf(role)) return false;
  return org === null || principal.org === '*' || principal.org === org;
}

/** Plain tokens of a development stack: `<state>/cli.json`, which the command line reads. */
export interface DevelopmentTokens {
  api: string;
  /** The administrator's token. */
  token: string;
  /** One operator's token an organization. */
  organizations: Record<string, string>;
  /** One token an organization that sends points and may do nothing else. */
  producers: Record<string, string>;
}

const developmentSchema = z.object({
  token: z.string().min(20),
  organizations: z.record(z.string(), z.string().min(20)).default({}),
  producers: z.record(z.string(), z.string().min(20)).default({}),
});

/**
 * Makes the tokens of a development stack, or keeps those it has: plain ones in `<state>/cli.json`,
 * their digests in `<state>/api-tokens.json`, both readable by the owner only. Entries that others
 * added to the latter stay.
 */
export async function ensureTokens(
  state: string,
  organizations: readonly string[],
  api: string,
): Promise<DevelopmentTokens> {
  const known = developmentSchema.safeParse(await readJson(join(state, 'cli.json')));
  const kept = known.success ? known.data : { token: newToken(), organizations: {}, producers: {} };
  const tokens: DevelopmentTokens = { api, token: kept.token, organizations: {}, producers: {} };
  for (const org of organizations) {
    tokens.organizations[org] = kept.organizations[org] ?? newToken();
    tokens.producers[org] = kept.producers[org] ?? newToken();
  }
  const entries: Entry[] = [
    { token_sha256: digest(tokens.token), org: '*', role: 'admin' },
    ...entriesOf(tokens.organizations, 'operator'),
    ...entriesOf(tokens.producers, 'producer'),
  ];
  const file = join(state, 'api-tokens.json');
  const stored = fileSchema.safeParse(await readJson(file));
  const fresh = new Set(entries.map((entry) => entry.token_sha256));
  const others = stored.success ? stored.data.filter((each) => !fresh.has(each.token_sha256)) : [];
  await writePrivate(file, [...entries, ...others]);
  await writePrivate(join(state, 'cli.json'), tokens);
  return tokens;
}

function entriesOf(tokens: Record<string, string>, role: Role): Entry[] {
  return Object.entries(tokens).map(([org, token]) => ({ token_sha256: digest(token), org, role }));
}

function newToken(): string {
  return `ratchet_${randomBytes(32).toString('base64url')}`;
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

async function writePrivate(file: string, value: unknown): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, file);
}
