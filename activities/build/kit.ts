/** The guest kit: compiler, libraries and arguments with which every candidate is built. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../../control/store/index.ts';
import { fatal } from '../faults.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const schema = z.looseObject({
  kit: digest,
  rustc: z.string().min(1),
  rustcVersion: z.string().min(1).max(200),
  source: z.enum(['rustup', 'debian']),
  args: z.array(z.string()),
  externs: z.record(z.string().regex(/^[a-z0-9_]+$/), z.string().min(1)),
  /** The root of every candidate; it declares the modules `spec` and `aggregate`. */
  template: z.string().min(1),
  /** Of the sources in `guest/codec`, from which the codec's library was compiled. */
  codecDigest: digest,
  /** SHA-256 of every library that a build may link, by its path in the kit. */
  libraries: z.record(z.string().min(1), digest),
  lockDigest: z.string(),
});

/** `digest`: of the bytes of `kit.json`. */
export type Kit = z.output<typeof schema> & { directory: string; digest: string };

export async function readKit(directory: string | null): Promise<Kit> {
  if (directory === null) throw fatal('kit', 'RATCHET_KIT is not set: no kit to build with');
  const file = join(directory, 'kit.json');
  try {
    const bytes = await readFile(file);
    const kit = schema.parse(JSON.parse(bytes.toString('utf8')));
    return { ...kit, directory, digest: sha256(bytes) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fatal('kit', `${file}: ${reason}`);
  }
}

/** Paths in the kit are absolute, or relative to it. */
export function inKit(kit: Kit, path: string): string {
  return isAbsolute(path) ? path : join(kit.directory, path);
}
