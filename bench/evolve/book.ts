/**
 * What was found out once, by key: one JSON line each, written at once, so that a run that was
 * stopped goes on where it was. A line that was cut off counts as none.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { sha256 } from '../../control/store/index.ts';

export class Book {
  readonly #file: string;
  readonly #entries = new Map<string, unknown>();

  constructor(file: string) {
    this.#file = file;
    mkdirSync(dirname(file), { recursive: true });
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    for (const line of text.split('\n')) this.#read(line);
    // What follows must not be glued to a line that was cut off.
    if (text !== '' && !text.endsWith('\n')) appendFileSync(file, '\n');
  }

  #read(line: string): void {
    if (line === '') return;
    try {
      const { key, value } = JSON.parse(line) as { key: unknown; value: unknown };
      if (typeof key === 'string') this.#entries.set(key, value);
    } catch (error) {
      if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    }
  }

  /** Null where nothing is known, or nothing of this shape. */
  get<T>(key: string, schema: z.ZodType<T>): T | null {
    const found = schema.safeParse(this.#entries.get(key));
    return found.success ? found.data : null;
  }

  /** A later value of a key replaces the earlier. */
  set(key: string, value: unknown): void {
    this.#entries.set(key, value);
    appendFileSync(this.#file, `${JSON.stringify({ key, value })}\n`);
  }

  /** The values of all keys that begin so. */
  all<T>(prefix: string, schema: z.ZodType<T>): T[] {
    return [...this.#entries].flatMap(([key, value]) => {
      const found = key.startsWith(prefix) ? schema.safeParse(value) : null;
      return found?.success ? [found.data] : [];
    });
  }
}

/** `<kind>/<digest of all parts>`. */
export function bookKey(kind: string, ...parts: string[]): string {
  return `${kind}/${sha256(parts.join('\n')).slice(0, 32)}`;
}
