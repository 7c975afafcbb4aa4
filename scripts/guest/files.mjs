// Small files and one process at a time: what the guest kit's builder needs of the system.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';

const MINUTE = 60_000;

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

export function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

export function writeAtomically(file, text) {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, text);
  fs.renameSync(draft, file);
}

/** Runs one builder at a time: waits for another process's build, unless that process is gone. */
export async function withLock(file, log, action) {
  const deadline = Date.now() + 25 * MINUTE;
  for (let waited = false; ; waited = true) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') {
        throw error;
      }
    }
    const owner = Number(fs.readFileSync(file, { encoding: 'utf8', flag: 'a+' }));
    if (owner > 0 && !isRunning(owner)) {
      fs.rmSync(file, { force: true });
      continue;
    }
    if (Date.now() > deadline) {
      throw new Error(`guest kit: process ${owner} has held ${file} for too long`);
    }
    if (!waited) {
      log(`guest kit: waiting for process ${owner}, which builds it`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return await action();
  } finally {
    fs.rmSync(file, { force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
