/** The verifier, where this machine has one: found and run as `npm run prove` does. */
import { findVerus, NoVerus, type Verus } from '../../scripts/prove/find.mjs';
import { prove } from '../../scripts/prove/prove.mjs';
import { fatal } from '../faults.ts';
import type { CodecFiles } from './linked.ts';

export type Verifier = Verus;

/** One run tells whether the sources hold; attestations ask for more seeds. */
const SEEDS = [0];

export type Verification =
  | { ok: true; functions_verified: number; log: string; seconds: number }
  | { ok: false; detail: string; log: string; seconds: number };

/**
 * Null where there is none. One that is named but cannot be used is a fault: whoever named it means
 * it to be run, and an attestation in its place would be less than what was asked for.
 */
export async function findVerifier(
  cache: string,
  environment: NodeJS.ProcessEnv,
): Promise<Verifier | null> {
  try {
    return await findVerus({ env: environment, cacheDir: cache });
  } catch (error) {
    if (!(error instanceof NoVerus)) throw error;
    if (environment.RATCHET_VERUS) throw fatal('verifierMissing', error.message);
    return null;
  }
}

/** Runs over a private copy of these very bytes, within limits of time and memory. */
export async function verify(
  verifier: Verifier,
  files: CodecFiles,
  { environment, signal }: { environment: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<Verification> {
  const run = await prove({ verus: verifier, files, seeds: SEEDS, env: environment, signal });
  signal.throwIfAborted();
  const { log, seconds, functions_verified } = run;
  if (run.verdict === 'verified') return { ok: true, functions_verified, log, seconds };
  const detail = (run.reason ?? 'no verdict').slice(0, 300);
  return { ok: false, detail, log, seconds };
}
