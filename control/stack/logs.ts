import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';

const rotateAbove = 8 * 1024 * 1024;
const keep = 3;
const tailBytes = 8 * 1024;

/** Opens a log for appending; a large one is first moved aside (`.1` is the newest of three). */
export function openLog(file: string, limit: number = rotateAbove): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (existsSync(file) && statSync(file).size > limit) rotate(file);
  return openSync(file, 'a', 0o600);
}

function rotate(file: string): void {
  rmSync(`${file}.${keep}`, { force: true });
  for (let index = keep - 1; index >= 1; index -= 1) {
    if (existsSync(`${file}.${index}`)) renameSync(`${file}.${index}`, `${file}.${index + 1}`);
  }
  renameSync(file, `${file}.1`);
}

export function logSize(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}

/** The last lines of a log, for an error message; nothing older than byte `since`. */
export function tail(file: string, lines: number, since = 0): string {
  if (!existsSync(file)) return '';
  const descriptor = openSync(file, 'r');
  try {
    const size = fstatSync(descriptor).size;
    const start = Math.max(since, size - tailBytes, 0);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    readSync(descriptor, buffer, 0, buffer.length, start);
    return buffer.toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } finally {
    closeSync(descriptor);
  }
}
