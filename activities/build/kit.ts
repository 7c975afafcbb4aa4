/** The guest kit: compiler, libraries and arguments with which every candidate is built. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { fatal } from '../faults.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const schema = z.looseObject({
  kit: z.string().min(1).max(64),
  rustc: z.string().min(1),
  rustcVersion: z.string().min(1).max(200),
  source: z.enum(['rustup', 'debian']),
  args: z.array(z.string()),
  externs: z.record(z.string().regex(/^[a-z0-9_]+$/), z.string().min(1)),
  /** The root of every candidate; it declares the modules `spec` and `aggregate`. */
  template: z.string().min(1),
  codecDigest: digest,
  lockDigest: z.string(),
});

export type Kit = z.output<typeof schema> & { directory: string };

export async function readKit(directory: string | null): Promise<Kit> {
  if (directory === null) throw fatal('kit', 'RATCHET_KIT is not set: no kit to build with');
  const file = join(directory, 'kit.json');
  try {
    const kit = schema.parse(JSON.parse(await readFile(file, 'utf8')));
    return { ...kit, directory };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fatal('kit', `${file}: ${reason}`);
  }
}

/** Paths in the kit are absolute, or relative to it. */
export function inKit(kit: Kit, path: string): string {
  return isAbsolute(path) ? path : join(kit.directory, path);
}
