import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root } from './paths.mjs';

/** Runs a TypeScript file with the arguments and signals of this process, and ends as it ends. */
export async function exec(file, args, env) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, file), ...args], {
    env,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal's Ctrl-C has reached the child already: it is in the same process group.
      const fromTerminal = signal === 'SIGINT' && process.stdin.isTTY;
      if (!fromTerminal) child.kill(signal);
    });
  }
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (...end) => resolve(end));
  });
  return signal === null ? code : 128 + constants.signals[signal];
}
