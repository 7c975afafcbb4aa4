/** What tests attest with: the shared cases. Nothing of it can come to stand in `proofs/`. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const file = new URL('../../test/vectors/attestations.json', import.meta.url);

export const vectors = z
  .object({
    codec: z.string(),
    file: z.record(z.string(), z.unknown()),
    cases: z.array(
      z.object({
        name: z.string(),
        text: z.string().optional(),
        changes: z.record(z.string(), z.unknown()).optional(),
        without: z.string().optional(),
        expect: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(file, 'utf8')));

/** The text of an attestation of a codec, with some fields changed. */
export function attestationFile(codec: string, changes: Record<string, unknown> = {}): string {
  return JSON.stringify({ ...vectors.file, codec, ...changes });
}
