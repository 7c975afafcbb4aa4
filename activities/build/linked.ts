/**
 * The record of what a build linked: which libraries, by what they held when the compiler read
 * them. The proof gate goes by it, never by what lies under the same names later.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { ContentStore } from '../../control/store/index.ts';
import type { Ref } from '../../workflows/messages.ts';
import { fatal } from '../faults.ts';
import { inKit, type Kit } from './kit.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const LIBRARIES_MAX = 200;
const schema = z.strictObject({
  schema: z.literal(1),
  /** The kit's own digest, and that of its `kit.json`. */
  kit: digest,
  kit_json: digest,
  rustc: z.string().min(1).max(200),
  component: digest,
  /** Path in the kit of the library that was passed as the codec. */
  codec: z.string().min(1).max(1_000),
  /** SHA-256 of every library within the compiler's reach, by its path in the kit. */
  libraries: z.record(z.string().min(1).max(1_000), digest),
});
export type Linked = z.output<typeof schema>;

/** Where the compiler is told to look for libraries, in the kit. */
const FOLDERS = ['rlib', 'sysroot'];
const CODEC = 'ratchet_codec';

/** What the libraries of a kit hold now. */
export async function hashLibraries(kit: Kit): Promise<Record<string, string>> {
  const files = (await Promise.all(FOLDERS.map((folder) => filesBelow(kit, folder)))).flat();
  for (const file of Object.values(kit.externs)) files.push(nameInKit(kit, file));
  const names = [...new Set(files)].sort();
  if (names.length > LIBRARIES_MAX) {
    throw fatal(
      'kit',
      `${kit.directory}: ${names.length} libraries, the limit is ${LIBRARIES_MAX}`,
    );
  }
  const hashed: Record<string, string> = {};
  for (const name of names) hashed[name] = await hashFile(inKit(kit, name));
  return hashed;
}

/** Refuses libraries that were written while the compiler may have been reading them. */
export function checkUnchanged(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): void {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = names.find((name) => before[name] !== after[name]);
  if (changed !== undefined) throw fatal('kit', `${changed} changed while it was linked`);
}

export async function writeLinked(
  store: ContentStore,
  kit: Kit,
  component: Ref,
  libraries: Record<string, string>,
): Promise<Ref> {
  const codec = nameInKit(kit, kit.externs[CODEC] ?? '');
  const linked: Linked = {
    schema: 1,
    kit: kit.kit,
    kit_json: kit.digest,
    rustc: kit.rustcVersion,
    component: component.digest,
    codec,
    libraries,
  };
  return await store.put(JSON.stringify(linked), 'application/json');
}

/** The record of a component's build; null if it is none, or that of another component. */
export async function readLinked(
  store: ContentStore,
  linked: Ref,
  component: string,
): Promise<Linked | null> {
  const text = Buffer.from(await store.get(linked)).toString('utf8');
  try {
    const record = schema.parse(JSON.parse(text));
    return record.component === component ? record : null;
  } catch {
    return null;
  }
}

async function filesBelow(kit: Kit, folder: string): Promise<string[]> {
  const directory = join(kit.directory, folder);
  try {
    const files: string[] = [];
    for (const name of await readdir(directory, { recursive: true })) {
      const file = join(directory, name);
      if ((await stat(file)).isFile()) files.push(nameInKit(kit, file));
    }
    return files;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function nameInKit(kit: Kit, file: string): string {
  return relative(kit.directory, inKit(kit, file)).replaceAll(sep, '/');
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
