/**
 * Brings an archive file to the newest schema: one numbered SQL file a step, counted by
 * `user_version`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { ArchiveError } from '../errors.ts';

const FOLDER = new URL('./', import.meta.url);
const STEP = /^(\d{4})_[a-z0-9_]+\.sql$/;

export function migrations(): string[] {
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  return names.map((name, index) => {
    const number = Number(STEP.exec(name)?.[1]);
    if (number !== index + 1) throw new ArchiveError('schema', `unexpected schema step ${name}`);
    return readFileSync(new URL(name, FOLDER), 'utf8');
  });
}

export function migrate(database: Database, steps = migrations()): void {
  const step = database.transaction(() => {
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > steps.length) {
      const known = `this program knows ${steps.length}`;
      throw new ArchiveError('schema', `the archive has schema ${version}, ${known}`);
    }
    for (const [index, sql] of steps.entries()) {
      if (index >= version) database.exec(sql);
    }
    database.pragma(`user_version = ${steps.length}`);
  });
  // Immediate: of two processes that open a new archive, the second waits and finds it migrated.
  step.immediate();
}
