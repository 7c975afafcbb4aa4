/** Where the servers keep their files while they are measured. */
import { accessSync, constants, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';

const GIB = 1024 ** 3;
const MEMORY = '/dev/shm';
/** INGEST may have 4 GiB, all other streams together hardly one. */
const FILES = 8 * GIB;
/** What the processes themselves may need beside that. */
const PROCESSES = 4 * GIB;

/** A file system in memory if there is one, with room for the files. */
export function roomiest(freeThere = free(MEMORY), freeMemory = freemem()): string {
  return freeThere >= FILES && freeMemory >= FILES + PROCESSES ? MEMORY : tmpdir();
}

/** Bytes; 0 where there is no directory to write to. */
function free(path: string): number {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
