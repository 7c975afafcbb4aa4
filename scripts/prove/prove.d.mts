import type { Verus } from './find.mjs';

/** See `prove.mjs`. */
export interface Proved {
  codec: string;
  verdict: 'verified' | 'failed';
  reason: string | null;
  functions_verified: number;
  errors: number;
  seconds: number;
  log: string;
  log_sha256: string;
}
export function prove(options: {
  verus: Verus;
  files: ReadonlyMap<string, Uint8Array>;
  seeds: readonly number[];
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  report?: (line: string) => void;
}): Promise<Proved>;
