// Running other programs, bounded in time.

import { spawn } from 'node:child_process';

const HALF_MINUTE = 30_000;

/** The trimmed output of a command, or null when it is missing, fails or takes too long. */
export async function ask(command, args, timeout = HALF_MINUTE) {
  try {
    return (await run(command, args, { timeout })).trim();
  } catch {
    return null;
  }
}

/** The standard output of a command; an error with the end of its standard error if it fails. */
export function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const out = [];
    let errors = '';
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => {
      errors = (errors + chunk).slice(-8_000);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) {
        resolve(Buffer.concat(out).toString());
      } else {
        const how = signal ? `was ended by ${signal}` : `failed with status ${code}`;
        reject(new Error(`${command} ${args[0]} ${how}\n${errors}`));
      }
    });
  });
}
