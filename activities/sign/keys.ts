/**
 * The builder's private key and the public keys that are trusted, from local files, never from
 * NATS.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { fatal } from '../faults.ts';
import { type Signer, signer } from './dsse.ts';

const trustSchema = z.object({
  schema: z.literal(1),
  keys: z.array(
    z.object({
      keyid: z.string().regex(/^[0-9a-f]{64}$/),
      role: z.enum(['builder', 'validator']),
      public: z.base64(),
    }),
  ),
});

export type TrustedKey = z.output<typeof trustSchema>['keys'][number];

export async function builderKey(file: string): Promise<Signer> {
  return await refusing(file, async () => signer(await readFile(file, 'utf8')));
}

export async function trustedKeys(file: string): Promise<TrustedKey[]> {
  return await refusing(file, async () => {
    return trustSchema.parse(JSON.parse(await readFile(file, 'utf8'))).keys;
  });
}

/**
 * A key file that is missing or malformed is not mended by trying again. Its content is never told.
 */
async function refusing<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw fatal('keyRefused', `${file}: ${code ?? 'not a key file of the expected form'}`);
  }
}
