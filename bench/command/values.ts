/** Values of options, checked; what is wrong with one is told with its name and what it was. */
import { accessSync, constants, statSync } from 'node:fs';

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
}

/** A directory that is there, and in which files can be made. */
export function directory(name: string, path: string): string {
  const bad = (why: string) =>
    new UsageError(`${name} must be a directory to write to, not "${path}": ${why}`);
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error));
  }
  if (!statSync(path).isDirectory()) throw bad('it is a file');
  return path;
}

/** A list by commas: some of `known`, each once, in the order of `known`. */
export function choices<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  const wanted = text.split(',');
  const odd = wanted.find((each, index) => {
    return !known.includes(each as T) || wanted.indexOf(each) !== index;
  });
  if (odd === undefined) return known.filter((each) => wanted.includes(each));
  throw new UsageError(`${name} must list some of ${known.join(', ')} once, not "${odd}"`);
}
