/** Builds what takes part, and runs the contest. */
import { execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readKit } from '../../activities/build/kit.ts';
import { compile } from '../../activities/build/rustc.ts';
import { type Report, reportSchema } from './report.ts';
import type { Subject } from './subject.ts';

const root = resolve(fileURLToPath(import.meta.url), '..', '..', '..');
const RACE_MAX_MS = 30 * 60_000;

/** The executable. Needs the environment of the bootstrap: CARGO_TARGET_DIR and RATCHET_KIT. */
export async function buildHost(env: NodeJS.ProcessEnv): Promise<string> {
  const target = env.CARGO_TARGET_DIR;
  if (target === undefined) throw new Error('CARGO_TARGET_DIR is not set: use `npm run bench`');
  const args = ['build', '--release', '-p', 'ratchet-aggregator', '--example', 'hot', '--locked'];
  // Both outputs are for people; standard output belongs to the result.
  const child = spawn('cargo', args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
    (done, refuse) => {
      child.once('error', refuse);
      child.once('exit', (...end) => done(end));
    },
  );
  if (code !== 0) throw new Error(`cargo ${args.join(' ')} ended with ${code ?? signal}`);
  return join(target, 'release', 'examples', 'hot');
}

/** The core module of a source, in a file; null when it does not compile. */
export async function buildModule(
  env: NodeJS.ProcessEnv,
  { spec }: Subject,
  source: string,
  file: string,
): Promise<string | null> {
  const kit = await readKit(env.RATCHET_KIT ?? null);
  const sources = { spec: Buffer.from(spec), aggregate: Buffer.from(source) };
  const compiled = await compile(kit, sources, new AbortController().signal);
  if (compiled.verdict !== 'compiled') return null;
  writeFileSync(file, compiled.core);
  return file;
}

/** All contestants on the messages of a subject, for so many rounds. */
export async function race(
  host: string,
  { name, blob, corpus }: Subject,
  module: string,
  rounds: number,
): Promise<Report> {
  const args = [name, blob, corpus, module, String(rounds)];
  const { stdout } = await promisify(execFile)(host, args, { timeout: RACE_MAX_MS });
  return reportSchema.parse(JSON.parse(stdout));
}
