/**
 * The sources and documents that a model may read: an allow-list of this repository. Tests of
 * candidates, the evaluator and everything of a tenant are not in it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LlmFault } from './faults.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = ['guest/README.md', 'guest/wit/world.wit'];
const FOLDERS = [
  'guest/api/src',
  'guest/baseline/src',
  'guest/candidate/src',
  'guest/codec/src',
  'guest/codec/src/payload',
  'guest/codec/src/payload/message',
  'guest/codec/src/streamvbyte',
  'guest/design/src',
  'guest/design/src/ways',
  'guest/rules/src',
];
const FILE_BYTES_MAX = 64 * 1024;
const FOUND_MAX = 200;

export class Library {
  readonly #files: ReadonlyMap<string, string>;

  static open(root = ROOT): Library {
    const inFolders = FOLDERS.flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('.rs'))
        .map((name) => `${folder}/${name}`),
    );
    const paths = [...FILES, ...inFolders].sort();
    return new Library(new Map(paths.map((path) => [path, read(root, path)])));
  }

  private constructor(files: ReadonlyMap<string, string>) {
    this.#files = files;
  }

  list(): string[] {
    return [...this.#files.keys()];
  }

  /** Lines count from 1; both ends are included. Null = there is no such path. */
  read(path: string, from = 1, to = Number.MAX_SAFE_INTEGER): string | null {
    const lines = this.#files.get(path)?.split('\n');
    return lines?.slice(Math.max(0, from - 1), to).join('\n') ?? null;
  }

  /** Lines that hold a text, as `path:line: text`. */
  grep(text: string, path?: string): string[] {
    if (text === '') return [];
    return this.#lines((line) => line.includes(text), path);
  }

  outline(path: string): string[] {
    const item =
      /^\s*(pub(\([a-z]+\))? )?(const |static |fn |struct |enum |trait |impl\b|mod |type )/;
    return this.#lines((line) => item.test(line), path);
  }

  #lines(wanted: (line: string) => boolean, path?: string): string[] {
    const found: string[] = [];
    for (const [name, text] of this.#files) {
      if (path !== undefined && name !== path) continue;
      for (const [index, line] of text.split('\n').entries()) {
        if (!wanted(line)) continue;
        if (found.length === FOUND_MAX) return found;
        found.push(`${name}:${index + 1}: ${line}`);
      }
    }
    return found;
  }
}

function read(root: string, path: string): string {
  const text = readFileSync(join(root, path), 'utf8');
  if (text.length > FILE_BYTES_MAX) throw new LlmFault('setup', `${path} is too long to be shown`);
  return text;
}
