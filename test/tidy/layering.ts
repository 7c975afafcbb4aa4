import { posix } from 'node:path';
import { isTest, languageOf, lineAt, type Problem, type Source } from './source.ts';

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

const statements = [
  /\b(?:import|export)\s+(type\s+)?(?:[\w$*{}\s,]+?\sfrom\s+)?(["'])([^"'\n]+)\2/g,
  /\bimport\s*\(\s*()(["'])([^"'\n]+)\2/g,
];

/** The imports of a TypeScript or JavaScript file, as they are written. */
export function importsOf(source: Source): Import[] {
  if (languageOf(source.path) !== 'ts') return [];
  return statements.flatMap((pattern) =>
    [...source.text.matchAll(pattern)].flatMap((match) => {
      // The keyword must be code, not part of a string or a comment.
      if (!/^(import|export)/.test(source.code.slice(match.index))) return [];
      const typeOnly = match[1] !== undefined && match[1] !== '';
      const line = lineAt(source.text, match.index);
      return [{ specifier: match[3] ?? '', typeOnly, line }];
    }),
  );
}

/** Where a relative import leads, from the root; null for a package. */
export function target(source: Source, { specifier }: Import): string | null {
  if (!specifier.startsWith('.')) return null;
  return posix.normalize(posix.join(posix.dirname(source.path), specifier));
}

function check(
  source: Source,
  inside: RegExp,
  refuse: (item: Import, path: string | null) => string | null,
): Problem[] {
  if (!inside.test(source.path) || isTest(source.path)) return [];
  return importsOf(source).flatMap((item) => {
    const message = refuse(item, target(source, item));
    return message === null ? [] : [{ path: source.path, line: item.line, message }];
  });
}

const workflowPackages = /^(@temporalio\/(workflow|common)(\/.*)?)$/;

/**
 * Workflow code is replayed: nothing that touches the outside may get into its bundle. Applies to
 * the files under workflows/ and to whatever they import, see `bundle`.
 */
export function workflowLayer(source: Source): Problem[] {
  return check(source, /^/, (item, path) => {
    if (item.typeOnly) return null;
    if (path?.startsWith('activities/')) return `${item.specifier}: import activities by type only`;
    const known = path !== null || workflowPackages.test(item.specifier);
    return known ? null : outside(item, 'workflow code');
  });
}

/** The files under a folder and those that they import by value, directly or not. */
export function bundle(folder: string, sources: readonly Source[]): Source[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<Source>();
  const waiting = sources.filter(({ path }) => path.startsWith(folder) && !isTest(path));
  for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
    if (reached.has(source)) continue;
    reached.add(source);
    for (const item of importsOf(source)) {
      const next = item.typeOnly ? undefined : byPath.get(target(source, item) ?? '');
      if (next !== undefined) waiting.push(next);
    }
  }
  return [...reached];
}

const pureConfiguration = /^(zod|yaml|node:crypto|node:buffer|node:util)$/;

/** The configuration language is a pure function of its text. */
export function configurationLayer(source: Source): Problem[] {
  return check(source, /^control\/configuration\//, (item, path) => {
    if (path !== null) {
      const inside = path.startsWith('control/configuration/');
      return inside || item.typeOnly ? null : outside(item, 'control/configuration/');
    }
    return pureConfiguration.test(item.specifier) ? null : outside(item, 'control/configuration/');
  });
}

/** Activities call the evolver, not the other way round. */
export function evolverLayer(source: Source): Problem[] {
  return check(source, /^evolver\//, (item, path) => {
    if (path?.startsWith('activities/')) return `${item.specifier}: the evolver knows no activity`;
    if (path?.startsWith('workflows/') && !item.typeOnly) return outside(item, 'evolver/');
    return /^@nats-io\//.test(item.specifier) ? outside(item, 'evolver/') : null;
  });
}

/**
 * What runs in production needs no bench. Only the main job sends a bench's workloads, to show
 * itself at work.
 */
export function productionLayer(source: Source): Problem[] {
  if (/^control\/start\/|\.fixture\.ts$/.test(source.path)) return [];
  return check(source, /^(activities|control|evolver|workflows)\//, (item, path) =>
    path?.startsWith('bench/') ? outside(item, 'production code') : null,
  );
}

function outside(item: Import, where: string): string {
  return `${item.specifier} has no place in ${where}`;
}

/** A relative import must lead to a file, with its suffix. */
export function deadImports(source: Source, files: ReadonlySet<string>): Problem[] {
  return importsOf(source).flatMap((item) => {
    const path = target(source, item);
    if (path === null || files.has(path)) return [];
    return [{ path: source.path, line: item.line, message: `${item.specifier} does not exist` }];
  });
}

const guestCrates: Readonly<Record<string, readonly string[]>> = {
  'guest/codec': ['vstd'],
  'guest/rules': ['ratchet-codec'],
  'guest/api': ['ratchet-codec', 'ratchet-rules', 'dlmalloc'],
  'guest/baseline': ['ratchet-api', 'ratchet-codec', 'ratchet-rules', 'hashbrown'],
  'guest/candidate': ['ratchet-api', 'ratchet-codec', 'ratchet-rules', 'hashbrown'],
};

/** Of hosts, which use some of the guests' crates, too. */
const OF_HOSTS = /\bnot\(target_arch = "wasm32"\)/;

/** What a guest may link, apart from its tests and from features that no guest enables. */
export function guestDependencies(source: Source): Problem[] {
  const crate = posix.dirname(source.path);
  const allowed = guestCrates[crate];
  if (posix.basename(source.path) !== 'Cargo.toml' || !crate.startsWith('guest/')) return [];
  if (allowed === undefined) return [];
  return dependenciesIn(source.text).flatMap(({ name, line }) => {
    if (allowed.includes(name)) return [];
    return [{ path: source.path, line, message: `${crate} must not depend on ${name}` }];
  });
}

function dependenciesIn(manifest: string): { name: string; line: number }[] {
  const found: { name: string; line: number }[] = [];
  let section = '';
  for (const [index, text] of manifest.split('\n').entries()) {
    const head = /^\[(.+)\]\s*$/.exec(text.trim());
    if (head !== null) {
      section = head[1] ?? '';
      const named = /(?:^|\.)dependencies\.([\w-]+)$/.exec(section);
      if (named?.[1] !== undefined && !OF_HOSTS.test(section)) {
        found.push({ name: named[1], line: index + 1 });
      }
      continue;
    }
    if (OF_HOSTS.test(section)) continue;
    const entry = /^([\w-]+)(\.[\w-]+)?\s*=/.exec(text);
    const inside = section === 'dependencies' || section.endsWith('.dependencies');
    if (/\boptional\s*=\s*true\b/.test(text)) continue;
    if (inside && entry?.[1] !== undefined) found.push({ name: entry[1], line: index + 1 });
  }
  return found;
}

/** The payload's magic number appears where payloads are read or written, and nowhere else. */
const mayKnowPayload = /^(guest\/codec|control\/payload)\//;

export function payloadBytes(source: Source): Problem[] {
  if (languageOf(source.path) === 'other' || isTest(source.path)) return [];
  if (mayKnowPayload.test(source.path)) return [];
  const pattern = /0x3150_?5452|b?["']RTP1["']|from_le_bytes\(\s*\*?\s*b"RTP1"/gi;
  return [...source.text.matchAll(pattern)].map((match) => ({
    path: source.path,
    line: lineAt(source.text, match.index),
    message: `${match[0]}: only guest/codec reads payload bytes`,
  }));
}

/** Every folder of the repository has its line in the code map. */
export function codeMap(folders: readonly string[], architecture: Source): Problem[] {
  const from = Math.max(0, architecture.text.search(/^#+ .*code map/im));
  const map = architecture.text.slice(from);
  return folders
    .filter((folder) => !map.includes(`${folder}/`) && !map.includes(`\`${folder}\``))
    .map((folder) => ({
      path: architecture.path,
      line: lineAt(architecture.text, from),
      message: `the code map does not mention ${folder}/`,
    }));
}
