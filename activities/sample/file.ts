/** A corpus as a file for as long as it is used: looks are taken for ever, and keep no messages. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCorpus } from './corpus.ts';

export async function withCorpus<T>(
  messages: readonly Uint8Array[],
  use: (file: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'ratchet-corpus-'));
  try {
    const file = join(directory, 'corpus');
    await writeFile(file, encodeCorpus(messages));
    return await use(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
