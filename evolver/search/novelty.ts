/**
 * Novelty, before anything is built: a source that is known byte for byte, or up to layout,
 * comments and names of locals, is not worth an evaluation. (The third check stands behind the
 * build: sources that compile to the same component are the same module.)
 */
import { createHash } from 'node:crypto';
import { normalForm } from './tokens.ts';

export interface Known {
  source: string;
  /** Digest of the normal form; null where it was not kept. */
  syntax: string | null;
}

/** SHA-256 of the normal form of a source's tokens. */
export function syntaxDigest(source: string): string {
  return createHash('sha256').update(normalForm(source)).digest('hex');
}

/** What makes it a repetition, or null. */
export function repetition(one: Known, known: readonly Known[]): 'source' | 'syntax' | null {
  if (known.some(({ source }) => source === one.source)) return 'source';
  const same = one.syntax !== null && known.some(({ syntax }) => syntax === one.syntax);
  return same ? 'syntax' : null;
}
