/**
 * The lineage: a bare Git repository an organization, a branch a configuration, a commit a
 * generation. What is in a commit follows from its input alone (author and time included), so
 * writing a generation again gives the same id.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import git from 'isomorphic-git';
import { ArchiveError } from './errors.ts';
import { parseGenerationId } from './ids.ts';

export interface LineageCandidate {
  /** `<generation>/c<slot>`. */
  id: string;
  slot: number;
  source: string;
  mutator: string;
  operator: string;
  /** Where it stopped and how, such as `build compile-error`; null when it passed. */
  refused: string | null;
}

export interface LineageEntry {
  generation: string;
  /** Digest of the rules blob. */
  configuration: string;
  outcome: string;
  specRs: string;
  /** The best candidate; null when there was none, and the file stays what it was. */
  best: (LineageCandidate & { digest: string; ratio: number | null; parent: string | null }) | null;
  refused: readonly LineageCandidate[];
  /** From the workflow, never from a clock here. */
  committedAtMs: number;
}

export interface LineageCommit {
  id: string;
  subject: string;
  trailers: Record<string, string>;
  committedAtMs: number;
}

const AUTHOR = { name: 'Ratchet evolver', email: 'evolver@ratchet.invalid', timezoneOffset: 0 };
const LOG_MAX = 1_000;

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
    const before = this.#writes.get(org) ?? Promise.resolve();
    const write = before.then(
      () => commitEntry(this.gitdir(org), entry),
      () => commitEntry(this.gitdir(org), entry),
    );
    this.#writes.set(org, write);
    return write;
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
  return id;
}

async function commitOf(gitdir: string, entry: LineageEntry, parent: string | null) {
  const files = [{ path: 'spec.rs', oid: await writeText(gitdir, entry.specRs) }];
  const source = await bestSource(gitdir, entry, parent);
  if (source !== null) files.push({ path: 'aggregate.rs', oid: source });
  const tree = files.map(({ path, oid }) => ({ mode: '100644', path, oid, type: 'blob' as const }));
  const rejected = await rejectedTree(gitdir, entry);
  const folder = { mode: '040000', path: 'rejected', type: 'tree' as const };
  const oid = await git.writeTree({
    fs,
    gitdir,
    tree: rejected === null ? tree : [...tree, { ...folder, oid: rejected }],
  });
  const who = { ...AUTHOR, timestamp: Math.floor(entry.committedAtMs / 1_000) };
  return {
    message: messageOf(entry),
    tree: oid,
    parent: parent === null ? [] : [parent],
    author: who,
    committer: who,
  };
}

async function bestSource(gitdir: string, entry: LineageEntry, parent: string | null) {
  if (entry.best !== null) return writeText(gitdir, entry.best.source);
  if (parent === null) return null;
  const { tree } = await git.readTree({ fs, gitdir, oid: parent });
  return tree.find(({ path }) => path === 'aggregate.rs')?.oid ?? null;
}

async function rejectedTree(gitdir: string, entry: LineageEntry): Promise<string | null> {
  if (entry.refused.length === 0) return null;
  const tree = await Promise.all(
    entry.refused.map(async ({ slot, source }) => ({
      mode: '100644',
      path: `c${slot}.rs`,
      oid: await writeText(gitdir, source),
      type: 'blob' as const,
    })),
  );
  return git.writeTree({ fs, gitdir, tree });
}

function writeText(gitdir: string, text: string): Promise<string> {
  return git.writeBlob({ fs, gitdir, blob: new TextEncoder().encode(text) });
}

function messageOf(entry: LineageEntry): string {
  const { number, rerun } = parseGenerationId(entry.generation);
  const { best } = entry;
  const subject = `generation ${number}${rerun > 0 ? `, re-run ${rerun}` : ''}: ${entry.outcome}`;
  const refusals = entry.refused.map(
    ({ slot, operator, refused }) => `Rejected c${slot} (${operator}): ${refused ?? 'refused'}.`,
  );
  const trailers = [
    ['Generation', entry.generation],
    ['Configuration', entry.configuration],
    ['Parent', best?.parent ?? 'none'],
    ['Mutator', best?.mutator ?? 'none'],
    ['Operator', best?.operator ?? 'none'],
    ['Ratio', best?.ratio?.toFixed(4) ?? 'none'],
    ['Digest', best?.digest ?? 'none'],
    ['Verdict', entry.outcome],
  ].map(([name, value]) => `${name}: ${oneLine(value ?? '')}`);
  const body = refusals.length === 0 ? '' : `${refusals.map(oneLine).join('\n')}\n\n`;
  return `${oneLine(subject)}\n\n${body}${trailers.join('\n')}\n`;
}

/** A value must not become a trailer of its own. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 500);
}

function parseTrailers(message: string): Record<string, string> {
  const block = message.trimEnd().split('\n\n').at(-1) ?? '';
  const lines = block.split('\n').map((line) => /^([A-Z][A-Za-z-]*): (.*)$/.exec(line));
  return Object.fromEntries(
    lines.flatMap((match) => (match === null ? [] : [[match[1], match[2]]])),
  );
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
