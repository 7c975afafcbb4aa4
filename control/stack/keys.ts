import { createHash, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { StackError } from './errors.ts';

/** Files of the development keys: both private keys lie on one machine, which is only for that. */
export interface KeyFiles {
  readonly builder: string;
  readonly validator: string;
  readonly split: string;
  readonly trust: string;
}

export type SigningRole = 'builder' | 'validator';

const roles: readonly SigningRole[] = ['builder', 'validator'];
const seedBytes = 32;
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

const trustSchema = z.strictObject({
  schema: z.literal(1),
  keys: z.array(
    z.strictObject({
      keyid: z.string(),
      role: z.enum(['builder', 'validator']),
      public: z.string(),
    }),
  ),
});
type Trust = z.infer<typeof trustSchema>;

/** Creates what is missing; an existing key is never replaced. */
export function ensureKeys(stateDir: string): KeyFiles {
  const directory = keysDirectory(stateDir);
  const files: KeyFiles = {
    builder: join(directory, 'builder.key'),
    validator: join(directory, 'validator.key'),
    split: join(directory, 'split.key'),
    trust: join(stateDir, 'trust.json'),
  };
  for (const file of [files.builder, files.validator, files.split]) {
    ensureSecret(file, () => randomBytes(seedBytes).toString('base64'));
  }
  ensureTrust(files);
  return files;
}

/** The password of a NATS user, drawn at the first use. */
export function ensurePassword(stateDir: string, user: string): string {
  const file = passwordFile(stateDir, user);
  ensureSecret(file, () => randomBytes(24).toString('base64url'));
  return readFileSync(file, 'utf8').trim();
}

export function passwordFile(stateDir: string, user: string): string {
  return join(keysDirectory(stateDir), `nats-${user}.password`);
}

/** Raw public key of a base64 Ed25519 seed. */
export function publicKeyOf(seed: Buffer): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
}

function keysDirectory(stateDir: string): string {
  const directory = join(stateDir, 'keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** Written whole or not at all: a half-written key would be refused for ever after. */
export function ensureSecret(file: string, make: () => string): void {
  if (existsSync(file)) return;
  const draft = `${file}.${process.pid}.draft`;
  const descriptor = openSync(draft, 'w', 0o600);
  writeFileSync(descriptor, `${make()}\n`);
  closeSync(descriptor);
  renameSync(draft, file);
}

function ensureTrust(files: KeyFiles): void {
  const expected: Trust = { schema: 1, keys: roles.map((role) => trustEntry(role, files[role])) };
  ensureSecret(files.trust, () => JSON.stringify(expected, null, 2));
  const parsed = trustSchema.safeParse(parseJson(readFileSync(files.trust, 'utf8')));
  if (!parsed.success) throw new StackError(`${files.trust} is not a trust file: remove it`);
  for (const entry of expected.keys) {
    const known = parsed.data.keys.some(
      (key) => key.keyid === entry.keyid && key.role === entry.role && key.public === entry.public,
    );
    if (!known) {
      throw new StackError(
        `${files.trust} does not hold the ${entry.role} key of ${files[entry.role]}; ` +
          'add it, or remove the file to have it written anew',
      );
    }
  }
}

function trustEntry(role: SigningRole, file: string): Trust['keys'][number] {
  const seed = Buffer.from(readFileSync(file, 'utf8').trim(), 'base64');
  if (seed.length !== seedBytes) {
    throw new StackError(`${file} holds ${seed.length} bytes, an Ed25519 seed has ${seedBytes}`);
  }
  const raw = publicKeyOf(seed);
  const keyid = createHash('sha256').update(raw).digest('hex');
  return { keyid, role, public: raw.toString('base64') };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
