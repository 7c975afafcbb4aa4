/**
 * The content-addressed store: everything that histories and rows refer to lies here under the
 * SHA-256 of its bytes, in `<directory>/ab/cdef…`. An object is immutable, appears all at once,
 * and is checked against its name whenever it is read.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A claim check: what travels through workflow histories instead of the bytes. */
export interface Ref {
  digest: string;
  size: number;
  mediaType: string;
}

export const objectBytesMax = 64 * 1024 * 1024;

export type StoreErrorCode = 'invalid-digest' | 'missing' | 'corrupt' | 'too-large';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export class ContentStore {
  readonly #directory: string;

  /** `directory` is made when the first object is put. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Stores bytes; storing them again is free and answers the same reference. */
  async put(bytes: Uint8Array | string, mediaType: string): Promise<Ref> {
    const data = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
    if (data.length > objectBytesMax) {
      const message = `an object of ${data.length} bytes is over the limit of ${objectBytesMax}`;
      throw new StoreError('too-large', message);
    }
    const digest = sha256(data);
    const file = this.path(digest);
    if ((await sizeOf(file)) !== data.length) await writeAtomically(file, data);
    return { digest, size: data.length, mediaType };
  }

  /** Reads an object and checks it against its name. */
  async get(reference: Ref | string): Promise<Uint8Array> {
    const digest = typeof reference === 'string' ? reference : reference.digest;
    const file = this.path(digest);
    const size = await sizeOf(file);
    if (size === null) throw new StoreError('missing', `no object ${digest} in the store`);
    if (size > objectBytesMax) throw new StoreError('too-large', `object ${digest}: ${size} bytes`);
    const bytes = await readFile(file);
    if (sha256(bytes) !== digest) {
      throw new StoreError('corrupt', `the bytes stored as ${digest} have another digest`);
    }
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  async getText(reference: Ref | string): Promise<string> {
    return Buffer.from(await this.get(reference)).toString('utf8');
  }

  async has(reference: Ref | string): Promise<boolean> {
    const digest = typeof reference === 'string' ? reference : reference.digest;
    return (await this.size(digest)) !== null;
  }

  /** In bytes; null = it is not here. */
  async size(digest: string): Promise<number | null> {
    return await sizeOf(this.path(digest));
  }

  /** The file of a digest, for programs that are handed paths. It need not exist. */
  path(digest: string): string {
    if (!/^[0-9a-f]{64}$/.test(digest)) {
      throw new StoreError('invalid-digest', `${JSON.stringify(digest)} is not a SHA-256 digest`);
    }
    return join(this.#directory, digest.slice(0, 2), digest.slice(2));
  }
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** A reader sees the whole object or none: the bytes are on disk before the name is. */
async function writeAtomically(file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
