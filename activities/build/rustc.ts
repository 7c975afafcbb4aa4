/** One compiler call: three source files become a core module. What it answers is a verdict. */
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, type Limits, runLimited } from '../process.ts';
import { inKit, type Kit } from './kit.ts';

const MIB = 1024 * 1024;

export const COMPILER_LIMITS: Limits = {
  milliseconds: 90_000,
  processorSeconds: 90,
  memoryBytes: 4_096 * MIB,
  fileBytes: 64 * MIB,
  outputBytes: 64 * 1024,
};

export interface Sources {
  spec: Uint8Array;
  aggregate: Uint8Array;
}

export type Compiled =
  | { verdict: 'compiled'; core: Uint8Array; seconds: number }
  | { verdict: 'compile-error'; reason: string; log: string; seconds: number }
  | { verdict: 'timeout' | 'out-of-memory' | 'too-large'; reason: string; seconds: number };

export async function compile(
  kit: Kit,
  sources: Sources,
  signal: AbortSignal,
  limits: Limits = COMPILER_LIMITS,
): Promise<Compiled> {
  const directory = await mkdtemp(join(tmpdir(), 'ratchet-build-'));
  try {
    await Promise.all([
      copyFile(inKit(kit, kit.template), join(directory, 'lib.rs')),
      writeFile(join(directory, 'spec.rs'), sources.spec),
      writeFile(join(directory, 'aggregate.rs'), sources.aggregate),
    ]);
    const finished = await runLimited({
      command: inKit(kit, kit.rustc),
      args: compilerArguments(kit, directory),
      cwd: directory,
      environment: {
        PATH: '/usr/bin:/bin',
        HOME: directory,
        TMPDIR: directory,
        LC_ALL: 'C',
        SOURCE_DATE_EPOCH: '0',
      },
      limits,
      signal,
    });
    return await judge(finished, join(directory, 'core.wasm'), directory, limits);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function compilerArguments(kit: Kit, directory: string): string[] {
  const externs = Object.entries(kit.externs).flatMap(([name, file]) => [
    '--extern',
    `${name}=${inKit(kit, file)}`,
  ]);
  return [
    ...kit.args,
    ...externs,
    '-L',
    `dependency=${join(kit.directory, 'rlib')}`,
    `--remap-path-prefix=${directory}=/candidate`,
    `--remap-path-prefix=${kit.directory}=/kit`,
    '-o',
    'core.wasm',
    'lib.rs',
  ];
}

async function judge(
  finished: Finished,
  output: string,
  directory: string,
  limits: Limits,
): Promise<Compiled> {
  const { seconds } = finished;
  if (finished.code === 0) {
    const { size } = await stat(output);
    if (size > limits.fileBytes) {
      return { verdict: 'too-large', reason: `core module of ${size} bytes`, seconds };
    }
    return { verdict: 'compiled', core: new Uint8Array(await readFile(output)), seconds };
  }
  const stopped = stoppedBy(finished);
  if (stopped !== null) return { ...stopped, seconds };
  const log = finished.stderr.replaceAll(directory, '/candidate');
  return { verdict: 'compile-error', reason: firstError(log), log, seconds };
}

function stoppedBy({ timedOut, signal, stderr, code }: Finished) {
  const ended = signal ?? `exit status ${code}`;
  if (timedOut || signal === 'SIGXCPU' || signal === 'SIGKILL') {
    return { verdict: 'timeout' as const, reason: `the compiler did not finish (${ended})` };
  }
  if (signal === 'SIGXFSZ' || /File too large/.test(stderr)) {
    return { verdict: 'too-large' as const, reason: 'an output file passed the limit' };
  }
  const starved = /memory allocation of \d+ bytes failed|out of memory|Cannot allocate memory/i;
  if (starved.test(stderr) || signal === 'SIGABRT' || signal === 'SIGSEGV') {
    return {
      verdict: 'out-of-memory' as const,
      reason: `the compiler ran out of memory (${ended})`,
    };
  }
  return null;
}

function firstError(log: string): string {
  const line = log.split('\n').find((each) => /^error/.test(each));
  return (line ?? log.trim().split('\n')[0] ?? 'no message').slice(0, 200);
}
