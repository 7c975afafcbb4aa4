/** Builds the contest of decoders, as a guest by the kit's toolchain and natively, and runs it. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { cargoBuild } from '../command/cargo.ts';
import { type Report, reportSchema } from './report.ts';

const TARGET = 'wasm32-unknown-unknown';
const CRATE = 'ratchet-bench-codec';
const RACE_MAX_MS = 30 * 60_000;

/** The executable and the guest. */
export interface Contest {
  host: string;
  guest: string;
}

const kitSchema = z.object({
  rustc: z.string(),
  source: z.enum(['rustup', 'debian']),
  args: z.array(z.string()),
});

/** Needs the environment of the bootstrap: RATCHET_KIT and CARGO_TARGET_DIR. */
export async function buildContest(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Contest> {
  const { RATCHET_KIT: kitFolder, CARGO_TARGET_DIR: target } = env;
  if (kitFolder === undefined || target === undefined) {
    throw new Error('RATCHET_KIT and CARGO_TARGET_DIR are not set: use `npm run bench -- codec`');
  }
  const kit = kitSchema.parse(JSON.parse(readFileSync(join(kitFolder, 'kit.json'), 'utf8')));
  const debian = kit.source === 'debian';
  const guestArgs = ['--profile', 'guest', '--target', TARGET, '-p', CRATE, '--lib', '--locked'];
  if (debian) guestArgs.push('-Zbuild-std=std,panic_abort');
  const guestEnv = {
    ...env,
    RUSTC: kit.rustc,
    CARGO_ENCODED_RUSTFLAGS: kit.args.filter(isTargetFlag).join('\x1f'),
    ...(debian ? { RUSTC_BOOTSTRAP: '1' } : {}),
  };
  const program = join(dirname(kit.rustc), 'cargo');
  await cargoBuild({ program, env: guestEnv, signal }, guestArgs);
  const hostArgs = ['--release', '-p', 'ratchet-sandbox', '--example', 'codec', '--locked'];
  await cargoBuild({ program: 'cargo', env, signal }, hostArgs);
  return {
    host: join(target, 'release', 'examples', 'codec'),
    guest: join(target, TARGET, 'guest', `${CRATE.replaceAll('-', '_')}.wasm`),
  };
}

/** The profile `guest` says the rest. */
function isTargetFlag(flag: string): boolean {
  return flag.startsWith('-Ctarget-feature=') || flag.startsWith('-Clink-arg=');
}

/** Compares SIMD in the guest with proven code; answers how many items it decoded both ways. */
export async function compareControlBytes(contest: Contest): Promise<number> {
  const options = { timeout: RACE_MAX_MS };
  const { stdout } = await promisify(execFile)(contest.host, [contest.guest], options);
  return z.object({ items: z.number() }).parse(JSON.parse(stdout)).items;
}

/** Decodes the messages of a corpus for so many rounds. */
export async function race(
  contest: Contest,
  corpus: string,
  rounds: number,
  signal: AbortSignal,
): Promise<Report> {
  const args = [contest.guest, corpus, String(rounds)];
  const options = { timeout: RACE_MAX_MS, signal };
  const { stdout } = await promisify(execFile)(contest.host, args, options);
  return reportSchema.parse(JSON.parse(stdout));
}
