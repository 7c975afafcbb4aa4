/**
 * The lineage: a bare Git repository an organization, a branch a configuration, a commit a
 * generation, a tag a deployed version. The tree of a commit is what may serve: it changes only
 * with a candidate that passed every gate. What is in a commit follows from its input alone (author
 * and time included), so writing a generation again gives the same id. Candidates that were not
 * chosen are notes: in short on `refs/notes/commits`, which `git log` shows, and with their sources
 * on `refs/notes/rejected` (`git log --notes=rejected`).
 */
import fs from 'node:fs';
import { join } from 'node:path';
import git from 'isomorphic-git';
import { ArchiveError } from './errors.ts';
import { parseGenerationId } from './ids.ts';
import {
  type LineageEntry,
  messageOf,
  noteOf,
  oneLine,
  parseTrailers,
  sourcesNote,
} from './lineage-text.ts';

export type { LineageCandidate, LineageEntry } from './lineage-text.ts';

export interface LineageCommit {
  id: string;
  subject: string;
  trailers: Record<string, string>;
  committedAtMs: number;
}

export interface LineageTag {
  org: string;
  /** Of the manifest. */
  version: number;
  commit: string;
  /** One line for people. */
  message: string;
  atMs: number;
}

const AUTHOR = { name: 'Ratchet evolver', email: 'evolver@ratchet.invalid', timezoneOffset: 0 };
const LOG_MAX = 1_000;
const NOTES = { short: 'refs/notes/commits', sources: 'refs/notes/rejected' } as const;

export class Lineage {
  readonly #folder: string;
  /** By organization: the write under way, so that writes follow each other. */
  readonly #writes = new Map<string, Promise<unknown>>();

  /** `folder` is `<state>/lineage`; repositories in it are made when first written to. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Writes a generation's commit, or finds it; answers its id. */
  commitGeneration(entry: LineageEntry): Promise<string> {
    const { org } = parseGenerationId(entry.generation);
    return this.#inTurn(org, () => commitEntry(this.gitdir(org), entry));
  }

  /** Tags the commit of a deployed version `v<version>`; done before, it changes nothing. */
  tag(tag: LineageTag): Promise<void> {
    return this.#inTurn(tag.org, () => writeTag(this.gitdir(tag.org), tag));
  }

  /** Commits of a configuration, newest first. */
  async log(org: string, configuration: string, limit = 100): Promise<LineageCommit[]> {
    const gitdir = this.gitdir(org);
    const ref = branchOf(configuration);
    if ((await resolve(gitdir, ref)) === null) return [];
    const depth = Math.min(Math.max(1, limit), LOG_MAX);
    const commits = await git.log({ fs, gitdir, ref, depth });
    return commits.map(({ oid, commit }) => ({
      id: oid,
      subject: commit.message.split('\n', 1)[0] ?? '',
      trailers: parseTrailers(commit.message),
      committedAtMs: commit.committer.timestamp * 1_000,
    }));
  }

  /** A file of a commit, or null when it has none of that path. */
  async read(org: string, commit: string, filepath: string): Promise<string | null> {
    try {
      const { blob } = await git.readBlob({ fs, gitdir: this.gitdir(org), oid: commit, filepath });
      return new TextDecoder().decode(blob);
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  gitdir(org: string): string {
    if (!/^[a-z0-9-]{1,63}$/.test(org)) throw new ArchiveError('missing', `no organization ${org}`);
    return join(this.#folder, `${org}.git`);
  }

  #inTurn<Result>(org: string, write: () => Promise<Result>): Promise<Result> {
    const before = this.#writes.get(org) ?? Promise.resolve();
    const own = before.then(write, write);
    this.#writes.set(org, own);
    return own;
  }
}

async function commitEntry(gitdir: string, entry: LineageEntry): Promise<string> {
  const { number, rerun } = parseGenerationId(entry.generation);
  const branch = branchOf(entry.configuration);
  if (!fs.existsSync(join(gitdir, 'HEAD'))) {
    fs.mkdirSync(gitdir, { recursive: true });
    await git.init({ fs, gitdir, dir: gitdir, bare: true, defaultBranch: 'main' });
  }
  const mark = `refs/generations/${number}.${rerun}`;
  const head = await resolve(gitdir, branch);
  const written = await resolve(gitdir, mark);
  // What was written before decides the parent: the branch may have moved on since.
  const parent = written === null ? head : await firstParent(gitdir, written);
  const id = await git.writeCommit({ fs, gitdir, commit: await commitOf(gitdir, entry, parent) });
  if (written !== null && written !== id) {
    const change = `written as ${written}, now ${id}`;
    throw new ArchiveError(
      'conflict',
      `generation ${entry.generation} is in the lineage: ${change}`,
    );
  }
  await git.writeRef({ fs, gitdir, ref: mark, value: id, force: true });
  if (head === parent) {
    await git.writeRef({ fs, gitdir, ref: branch, value: id, force: true });
    await git.writeRef({ fs, gitdir, ref: 'HEAD', value: branch, symbolic: true, force: true });
  }
  await addNotes(gitdir, id, entry);
  return id;
}

async function commitOf(gitdir: string, entry: LineageEntry, parent: string | null) {
  const files: Record<string, string> = { 'spec.rs': await writeText(gitdir, entry.specRs) };
  const { best } = entry;
  for (const path of ['aggregate.rs', 'measured.json']) {
    const kept = best === null ? await blobOf(gitdir, parent, path) : null;
    if (kept !== null) files[path] = kept;
  }
  if (best !== null) {
    files['aggregate.rs'] = await writeText(gitdir, best.source);
    files['measured.json'] = await writeText(gitdir, measuredJson(best));
  }
  // A branch begins with what the search begins with.
  files['aggregate.rs'] ??= await writeText(gitdir, entry.seedRs);
  const tree = Object.entries(files).map(([path, oid]) => ({
    ...{ mode: '100644', path, oid },
    type: 'blob' as const,
  }));
  const who = signature(entry.committedAtMs);
  return {
    message: messageOf(entry),
    tree: await git.writeTree({ fs, gitdir, tree }),
    parent: parent === null ? [] : [parent],
    author: who,
    committer: who,
  };
}

function measuredJson({ digest, module, figures }: NonNullable<LineageEntry['best']>): string {
  return `${JSON.stringify({ source: digest, module, ...figures }, null, 2)}\n`;
}

async function addNotes(gitdir: string, oid: string, entry: LineageEntry): Promise<void> {
  if (entry.rejected.length === 0) return;
  const who = signature(entry.committedAtMs);
  for (const [ref, note] of [
    [NOTES.short, noteOf(entry)],
    [NOTES.sources, sourcesNote(entry)],
  ] as const) {
    const known = await git.readNote({ fs, gitdir, ref, oid }).catch(() => null);
    if (known === null) {
      await git.addNote({ fs, gitdir, ref, oid, note, author: who, committer: who });
    }
  }
}

async function writeTag(gitdir: string, tag: LineageTag): Promise<void> {
  const ref = `v${tag.version}`;
  const known = await resolve(gitdir, `refs/tags/${ref}`);
  if (known !== null) {
    const { tag: read } = await git.readTag({ fs, gitdir, oid: known });
    if (read.object === tag.commit) return;
    const change = `${ref} is ${read.object}, not ${tag.commit}`;
    throw new ArchiveError('conflict', `version ${tag.version} is tagged already: ${change}`);
  }
  const tagger = signature(tag.atMs);
  const message = `${oneLine(tag.message)}\n`;
  await git.annotatedTag({ fs, gitdir, ref, object: tag.commit, message, tagger });
}

function signature(atMs: number) {
  return { ...AUTHOR, timestamp: Math.floor(atMs / 1_000) };
}

async function blobOf(gitdir: string, commit: string | null, path: string) {
  if (commit === null) return null;
  const { tree } = await git.readTree({ fs, gitdir, oid: commit });
  return tree.find((entry) => entry.path === path)?.oid ?? null;
}

function writeText(gitdir: string, text: string): Promise<string> {
  return git.writeBlob({ fs, gitdir, blob: new TextEncoder().encode(text) });
}

function branchOf(configuration: string): string {
  if (!/^[0-9a-f]{64}$/.test(configuration)) {
    throw new ArchiveError('missing', `not a configuration's digest: ${configuration}`);
  }
  return `refs/heads/cfg/${configuration.slice(0, 16)}`;
}

async function firstParent(gitdir: string, oid: string): Promise<string | null> {
  const { commit } = await git.readCommit({ fs, gitdir, oid });
  return commit.parent[0] ?? null;
}

async function resolve(gitdir: string, ref: string): Promise<string | null> {
  try {
    return await git.resolveRef({ fs, gitdir, ref });
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'NotFoundError';
}
