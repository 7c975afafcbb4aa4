/** Builds with cargo, which starts compilers of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCode } from '../../control/stack/errors.ts';

const root = resolve(fileURLToPath(import.meta.url), '..', '..', '..');

export interface Cargo {
  /** The executable: cargo of one toolchain or another. */
  program: string;
  env: NodeJS.ProcessEnv;
  /** Ends cargo and its compilers. */
  signal: AbortSignal;
}

/** Both outputs are for people; standard output belongs to the result. */
export async function cargoBuild({ program, env, signal }: Cargo, args: string[]): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(program, ['build', ...args], {
    cwd: root,
    env,
    // A group of its own: compilers outlive a cargo that is ended alone.
    detached: true,
    stdio: ['ignore', 2, 2],
  });
  const end = () => endGroup(child.pid);
  signal.addEventListener('abort', end, { once: true });
  try {
    const [code, ended] = await once(child, 'exit');
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`cargo build ${args.join(' ')} ended with ${code ?? ended}`);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGTERM');
  } catch (error) {
    // It ended by itself a moment ago.
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
