/**
 * Which codec a component was really linked with: from the record of its build to the sources that
 * the kit keeps of the library it names. Whatever does not fit together refuses the candidate.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codecDigest, readCodec } from '../../scripts/lib/codec.mjs';
import { type Kit, readKit } from '../build/kit.ts';
import { hashLibraries, type Linked } from '../build/linked.ts';

export type LinkRefusal =
  /** no record of this component's build */
  | 'record-mismatch'
  | 'kit-missing'
  | 'kit-malformed'
  /** `kit.json` is not what it was when the component was built */
  | 'kit-changed'
  /** a library that was linked is not the one that the kit lists */
  | 'library-mismatch'
  /** a library is not what it was when the component was built */
  | 'library-changed'
  | 'sources-missing'
  /** the sources are not those that the kit was made of */
  | 'sources-changed';

/** Name and bytes of every file that a proof of the codec is about. */
export type CodecFiles = ReadonlyMap<string, Uint8Array>;

export type FoundCodec =
  | { ok: true; codec: string; files: CodecFiles }
  | { ok: false; codec: string | null; reason: LinkRefusal; detail: string };

type Refused = Extract<FoundCodec, { ok: false }>;

/** Kits lie side by side, named by so many characters of their digest. */
const KIT_NAME_CHARACTERS = 16;
/** The folder of a kit that holds the codec's sources. */
const SOURCES = 'codec';

export async function linkedCodec(
  configured: string | null,
  linked: Linked | null,
): Promise<FoundCodec> {
  if (linked === null) return refused('record-mismatch', 'no record of what was linked');
  const found = await findKit(configured, linked.kit);
  if (!found.ok) return found;
  const { kit } = found;
  if (kit.digest !== linked.kit_json) {
    const detail = `${kit.directory}/kit.json is ${kit.digest}, it was ${linked.kit_json}`;
    return refused('kit-changed', detail);
  }
  return (await checkLibraries(kit, linked)) ?? readSources(kit);
}

/** The kit that is configured, or its neighbour: a candidate may have been built with an older. */
async function findKit(
  configured: string | null,
  wanted: string,
): Promise<{ ok: true; kit: Kit } | Refused> {
  if (configured === null) return refused('kit-missing', 'no kit is configured');
  const neighbour = join(dirname(configured), wanted.slice(0, KIT_NAME_CHARACTERS));
  let malformed: string | null = null;
  for (const directory of new Set([configured, neighbour])) {
    if (!existsSync(join(directory, 'kit.json'))) continue;
    try {
      const kit = await readKit(directory);
      if (kit.kit === wanted) return { ok: true, kit };
    } catch (error) {
      malformed = error instanceof Error ? error.message : String(error);
    }
  }
  if (malformed !== null) return refused('kit-malformed', malformed);
  return refused('kit-missing', `kit ${wanted} is not here any more`);
}

async function checkLibraries(kit: Kit, linked: Linked): Promise<Refused | null> {
  const names = [linked.codec, ...Object.keys(linked.libraries)];
  for (const name of names) {
    const [was, listed] = [linked.libraries[name], kit.libraries[name]];
    if (was === undefined || was !== listed) {
      const detail = `${name} was ${was ?? 'not read'}, the kit lists ${listed ?? 'no such file'}`;
      return refused('library-mismatch', detail);
    }
  }
  const now = await hashLibraries(kit);
  const changed = Object.keys({ ...now, ...linked.libraries }).find(
    (name) => now[name] !== linked.libraries[name],
  );
  if (changed === undefined) return null;
  const [was, is] = [linked.libraries[changed], now[changed]];
  return refused('library-changed', `${changed} is ${is ?? 'gone'}, it was ${was ?? 'not there'}`);
}

function readSources(kit: Kit): FoundCodec {
  let files: CodecFiles;
  try {
    files = readCodec(join(kit.directory, SOURCES));
  } catch (error) {
    return refused('sources-missing', error instanceof Error ? error.message : String(error));
  }
  const codec = codecDigest(files);
  if (codec === kit.codecDigest) return { ok: true, codec, files };
  const detail = `the kept sources are ${codec}, the kit was made of ${kit.codecDigest}`;
  return { ...refused('sources-changed', detail), codec };
}

function refused(reason: LinkRefusal, detail: string): Refused {
  return { ok: false, codec: null, reason, detail: detail.slice(0, 300) };
}
