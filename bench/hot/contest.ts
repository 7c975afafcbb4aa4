/** Builds what takes part, and runs the contest. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readKit } from '../../activities/build/kit.ts';
import { compile } from '../../activities/build/rustc.ts';
import { cargoBuild } from '../command/cargo.ts';
import { type Report, reportSchema } from './report.ts';
import type { Subject } from './subject.ts';

const RACE_MAX_MS = 30 * 60_000;

/** The executable. Needs the environment of the bootstrap: CARGO_TARGET_DIR and RATCHET_KIT. */
export async function buildHost(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const target = env.CARGO_TARGET_DIR;
  if (target === undefined) throw new Error('CARGO_TARGET_DIR is not set: use `npm run bench`');
  const args = ['--release', '-p', 'ratchet-aggregator', '--example', 'hot', '--locked'];
  await cargoBuild({ program: 'cargo', env, signal }, args);
  return join(target, 'release', 'examples', 'hot');
}

/** The core module of a source, in a file; null when it does not compile. */
export async function buildModule(
  env: NodeJS.ProcessEnv,
  { spec }: Subject,
  source: string,
  file: string,
  signal: AbortSignal,
): Promise<string | null> {
  const kit = await readKit(env.RATCHET_KIT ?? null);
  const sources = { spec: Buffer.from(spec), aggregate: Buffer.from(source) };
  const compiled = await compile(kit, sources, signal);
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
  signal: AbortSignal,
): Promise<Report> {
  const args = [name, blob, corpus, module, String(rounds)];
  const { stdout } = await promisify(execFile)(host, args, { timeout: RACE_MAX_MS, signal });
  return reportSchema.parse(JSON.parse(stdout));
}
