import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const refreshMs = 5_000;
const staleMs = 60_000;

/**
 * Runs `work` while holding a lock file, so that two bootstraps do not write the same cache.
 * The holder touches the file every few seconds. A lock is stale when it was not touched for a
 * minute, or when it names a process of this host that is gone.
 */
export async function withLock(file, work, { log = () => {}, waitMs = 45 * 60_000 } = {}) {
  mkdirSync(dirname(file), { recursive: true });
  const deadline = Date.now() + waitMs;
  let told = false;
  while (!acquire(file)) {
    const holder = readHolder(file);
    if (holder !== null && isStale(file, holder)) {
      takeAside(file);
      continue;
    }
    if (!told) log(`waiting for another bootstrap (process ${holder?.pid ?? 'unknown'}, ${file})`);
    told = true;
    if (Date.now() > deadline) {
      throw new Error(`${file} is held by process ${holder?.pid}; end that one or remove the file`);
    }
    await sleep(250);
  }
  const timer = setInterval(() => touch(file), refreshMs);
  timer.unref();
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    process.removeListener('exit', release);
    release();
  }
}

function acquire(file) {
  try {
    const descriptor = openSync(file, 'wx');
    writeSync(descriptor, JSON.stringify({ pid: process.pid, host: hostname() }));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Null: gone, or not yet written. */
function readHolder(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    return { pid: null, host: null };
  }
}

function isStale(file, holder) {
  try {
    if (Date.now() - statSync(file).mtimeMs > staleMs) return true;
  } catch {
    return false;
  }
  return holder.host === hostname() && Number.isInteger(holder.pid) && !isAlive(holder.pid);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** A rename has one winner: of two that see the same stale lock, one removes it. */
function takeAside(file) {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
    rmSync(aside, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

function touch(file) {
  try {
    const now = new Date();
    utimesSync(file, now, now);
  } catch {
    // Removed by hand: whoever did that wants the lock.
  }
}
