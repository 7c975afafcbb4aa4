/**
 * What the control plane keeps in NATS: the buckets `configurations` and `active`, and the object
 * stores `modules` and `evidence`. Every write of a bucket is a compare-and-set.
 */
import { type KV, Kvm } from '@nats-io/kv';
import { type ObjectStore, Objm } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';
import { type Configuration, digestBlob, effectiveFromMs } from './configuration/index.ts';
import { guardNats, NatsFault } from './nats.ts';
import { sha256 } from './store/index.ts';

/** An entry of the bucket `configurations`. */
export interface StoredConfiguration {
  org: string;
  digest: string;
  effectiveFromMs: number;
  blob: Uint8Array;
  /** Over how many partitions its series are spread. */
  spread: number;
  revision: number;
}

export interface ConfigurationPut {
  stored: StoredConfiguration;
  changed: boolean;
  before: StoredConfiguration | null;
}

const entrySchema = z.object({
  schema: z.literal(1),
  org: z.string(),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  effective_from_ms: z.int().nonnegative(),
  rules: z.base64(),
  spread: z.int().positive().default(1),
});

/**
 * Aggregators serve every window by the configuration of its time, also when they read a stretch of
 * the stream again. The bucket keeps 64 of an organization; so many edits of a stretch that may be
 * read again leave room for the one before them.
 */
const editsMax = 48;
/** The longest window and the longest lateness. */
const editsWithinMs = 2 * 60 * 60 * 1000;

export class ConfigurationTable {
  readonly #bucket: KV;

  private constructor(bucket: KV) {
    this.#bucket = bucket;
  }

  static async open(connection: NatsConnection): Promise<ConfigurationTable> {
    return new ConfigurationTable(await openBucket(connection, 'configurations'));
  }

  async read(org: string): Promise<StoredConfiguration | null> {
    const entry = await guardNats(`reading the configuration of ${org}`, () =>
      this.#bucket.get(org),
    );
    if (entry === null || entry.operation !== 'PUT') return null;
    return decodeEntry(org, entry.value, entry.revision);
  }

  /**
   * Stores a configuration, to take effect in some seconds; `before` is what it replaces. Storing
   * the one that is stored already changes nothing. Throws a `conflict` when somebody wrote
   * meanwhile, and `too-many` when there were too many edits within two hours.
   */
  async put(configuration: Configuration, nowMs: number): Promise<ConfigurationPut> {
    const { org, digest, blob, spread } = configuration;
    const before = await this.#revision(org);
    if (before.stored?.digest === digest && before.stored.spread === spread) {
      return { stored: before.stored, changed: false, before: before.stored };
    }
    await this.#checkEdits(org, nowMs);
    const from = effectiveFromMs(nowMs);
    const entry = {
      schema: 1,
      org,
      digest,
      effective_from_ms: from,
      rules: Buffer.from(blob).toString('base64'),
      spread,
    };
    const revision = await guardNats(`storing the configuration of ${org}`, () =>
      this.#bucket.put(org, JSON.stringify(entry), { previousSeq: before.revision }),
    );
    const stored = { org, digest, effectiveFromMs: from, blob, spread, revision };
    return { stored, changed: true, before: before.stored };
  }

  /** Names of the organizations that have a configuration, sorted. */
  async organizations(): Promise<string[]> {
    return await guardNats('listing the configurations', async () => {
      const names: string[] = [];
      for await (const key of await this.#bucket.keys()) names.push(key);
      return names.sort();
    });
  }

  async #checkEdits(org: string, nowMs: number): Promise<void> {
    // The client takes more than its type says: without it, all the blobs would come.
    const only = { key: org, headers_only: true };
    const edits = await guardNats(`counting the edits of ${org}`, async () => {
      let count = 0;
      for await (const entry of await this.#bucket.history(only)) {
        if (entry.created.getTime() > nowMs - editsWithinMs) count += 1;
      }
      return count;
    });
    if (edits < editsMax) return;
    const told = `the configuration of ${org} was changed ${edits} times within two hours`;
    throw new NatsFault('too-many', `${told}, the limit is ${editsMax}`);
  }

  async #revision(org: string): Promise<{ stored: StoredConfiguration | null; revision: number }> {
    const stored = await this.read(org);
    if (stored !== null) return { stored, revision: stored.revision };
    const entry = await guardNats(`reading the configuration of ${org}`, () =>
      this.#bucket.get(org),
    );
    return { stored: null, revision: entry?.revision ?? 0 };
  }
}

function decodeEntry(org: string, value: Uint8Array, revision: number): StoredConfiguration {
  const parsed = entrySchema.safeParse(parseJson(value));
  if (!parsed.success || parsed.data.org !== org) {
    throw new NatsFault('invalid', `the stored configuration of ${org} is malformed`);
  }
  const { digest, effective_from_ms, rules, spread } = parsed.data;
  const blob = new Uint8Array(Buffer.from(rules, 'base64'));
  if (digestBlob(blob) !== digest) {
    throw new NatsFault('invalid', `the stored configuration of ${org} has another digest`);
  }
  return { org, digest, effectiveFromMs: effective_from_ms, blob, spread, revision };
}

/** An entry of the bucket `active`; the envelope's signatures are checked by aggregators. */
export interface StoredManifest {
  org: string;
  envelope: Uint8Array;
  /** What the envelope says of itself; for showing, not for trusting. */
  manifest: ManifestView;
  revision: number;
}

export type ManifestView = z.output<typeof predicateSchema>;

/** The part of a manifest that people ask for; its other fields are kept as they are. */
export const predicateSchema = z.looseObject({
  org: z.string(),
  configuration: z.string(),
  module: z.object({ sha256: z.string(), size: z.int().nonnegative() }).nullable(),
  version: z.int().positive(),
  kind: z.enum(['promote', 'rollback', 'tombstone']),
  issued_at_ms: z.int(),
  expires_at_ms: z.int(),
});

const envelopeSchema = z.object({ payload: z.base64() });
const statementSchema = z.object({ predicate: predicateSchema });

export const envelopeBytesMax = 64 * 1024;

export class ActiveTable {
  readonly #bucket: KV;

  private constructor(bucket: KV) {
    this.#bucket = bucket;
  }

  static async open(connection: NatsConnection): Promise<ActiveTable> {
    return new ActiveTable(await openBucket(connection, 'active'));
  }

  /** The newest manifest of an organization, or of `fleet`. */
  async read(org: string): Promise<StoredManifest | null> {
    const entry = await guardNats(`reading the active manifest of ${org}`, () =>
      this.#bucket.get(org),
    );
    if (entry === null || entry.operation !== 'PUT') return null;
    const { value: envelope, revision } = entry;
    return { org, envelope, manifest: decodeManifest(org, envelope), revision };
  }

  /** Publishes an envelope over `revision` (0 = none yet); throws a `conflict` if it is not. */
  async write(org: string, envelope: Uint8Array, revision: number): Promise<number> {
    if (envelope.length > envelopeBytesMax) {
      const size = `${envelope.length} bytes, the limit is ${envelopeBytesMax}`;
      throw new NatsFault('invalid', `the manifest of ${org} has ${size}`);
    }
    return await guardNats(`publishing the manifest of ${org}`, () =>
      this.#bucket.put(org, envelope, { previousSeq: revision }),
    );
  }
}

function decodeManifest(org: string, bytes: Uint8Array): ManifestView {
  const envelope = envelopeSchema.safeParse(parseJson(bytes));
  const payload = envelope.success ? Buffer.from(envelope.data.payload, 'base64') : Buffer.alloc(0);
  const statement = statementSchema.safeParse(parseJson(payload));
  if (statement.success) return statement.data.predicate;
  throw new NatsFault('invalid', `the active manifest of ${org} is malformed`);
}

export type ObjectBucket = 'modules' | 'evidence';

/** What aggregators read at most of a module, which a tenant may have brought. */
export const moduleBytesMax = 16 * 1024 * 1024;

/** Objects named by the SHA-256 of their bytes; writing one again does nothing. */
export class ObjectTable {
  readonly #store: ObjectStore;
  readonly #name: ObjectBucket;

  private constructor(store: ObjectStore, name: ObjectBucket) {
    this.#store = store;
    this.#name = name;
  }

  static async open(connection: NatsConnection, name: ObjectBucket): Promise<ObjectTable> {
    const store = await guardNats(`opening the object store ${name}`, () =>
      new Objm(connection).open(name),
    );
    return new ObjectTable(store, name);
  }

  /** Stores bytes, and reads them back to be sure that others will find the same. */
  async put(bytes: Uint8Array): Promise<string> {
    const digest = sha256(bytes);
    if (this.#name === 'modules' && bytes.length > moduleBytesMax) {
      const size = `${bytes.length} bytes, the limit is ${moduleBytesMax}`;
      throw new NatsFault('invalid', `the module ${digest} has ${size}`);
    }
    if ((await this.get(digest)) !== null) return digest;
    await guardNats(`storing ${digest} in ${this.#name}`, () =>
      this.#store.putBlob({ name: digest }, bytes),
    );
    if ((await this.get(digest)) === null) {
      throw new NatsFault('invalid', `${digest} is not in ${this.#name} after it was stored`);
    }
    return digest;
  }

  /** Whether there is such an object, by what the store says of its bytes; they are not fetched. */
  async has(digest: string): Promise<boolean> {
    const info = await guardNats(`looking up ${digest} in ${this.#name}`, () =>
      this.#store.info(digest),
    );
    const name = `SHA-256=${Buffer.from(digest, 'hex').toString('base64url')}`;
    // Encoders differ in whether they fill the end of base64.
    return info !== null && !info.deleted && info.digest.replace(/=+$/, '') === name;
  }

  /** The object's bytes, or null; bytes of another digest count as absent. */
  async get(digest: string): Promise<Uint8Array | null> {
    const bytes = await guardNats(`reading ${digest} from ${this.#name}`, () =>
      this.#store.getBlob(digest),
    );
    return bytes !== null && sha256(bytes) === digest ? bytes : null;
  }
}

async function openBucket(connection: NatsConnection, name: string): Promise<KV> {
  return await guardNats(`opening the bucket ${name}`, () => new Kvm(connection).open(name));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
