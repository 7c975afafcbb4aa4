/**
 * Attestations: `<codec digest>.json`, each says that the verifier passed the sources of a codec.
 * The validator has a reader of its own; `test/vectors/attestations.json` keeps both to one answer.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../../control/store/index.ts';
import { isPinned, pins } from '../../scripts/prove/pins.mjs';
import { command } from '../../scripts/prove/verus.mjs';
import type { VerifierTools } from '../types.ts';

const FILE_BYTES_MAX = 64 * 1024;
/** A proof that holds under fewer seeds of the solver may have been luck. */
const SEEDS_MIN = 5;
const SEEDS_MAX = 1_000;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0).max(0xffff_ffff);
const version = z.string().min(1).max(64);
const schema = z.strictObject({
  schema: z.literal(1),
  codec: digest,
  tools: z.strictObject({ verus: version, rust: version, z3: version, vstd: version }),
  command: z.array(z.string()).refine(isCommand, 'is another command'),
  seeds: z.array(z.int().min(0)).min(SEEDS_MIN).max(SEEDS_MAX).refine(areDifferent, 'repeats one'),
  functions_verified: count,
  errors: count,
  /** Functions whose body is believed, not proven. */
  external_body: count,
  log_sha256: digest,
  date: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
});
export type Attestation = z.output<typeof schema>;

export type Attested =
  | { ok: true; attestation: Attestation; bytes: Uint8Array; digest: string }
  | { ok: false; reason: AttestationRefusal; detail: string };
export type AttestationRefusal =
  | 'attestation-missing'
  | 'attestation-malformed'
  /** of another codec than its name says */
  | 'attestation-mismatch'
  | 'attestation-errors'
  /** by a verifier whose word is not taken */
  | 'attestation-tools';

/** Reads the attestation of exactly this codec. */
export async function findAttestation(directory: string, codec: string): Promise<Attested> {
  const file = join(directory, `${codec}.json`);
  try {
    const { size } = await stat(file);
    if (size > FILE_BYTES_MAX) return refused('attestation-malformed', `${file}: ${size} bytes`);
    return parseAttestation(await readFile(file), codec);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return refused('attestation-missing', `${file} does not exist`);
  }
}

export function parseAttestation(bytes: Uint8Array, codec: string): Attested {
  const parsed = schema.safeParse(json(Buffer.from(bytes).toString('utf8')));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refused('attestation-malformed', `${issue?.path.join('.')}: ${issue?.message}`);
  }
  const attestation = parsed.data;
  if (attestation.codec !== codec) {
    return refused('attestation-mismatch', `it is of ${attestation.codec}, not ${codec}`);
  }
  const { errors, functions_verified: functions, tools } = attestation;
  if (errors !== 0 || functions === 0) {
    return refused('attestation-errors', `${errors} errors in ${functions} functions`);
  }
  if (!areKnown(tools)) {
    return refused('attestation-tools', `made by ${Object.values(tools).join(', ')}`);
  }
  return { ok: true, attestation, bytes, digest: sha256(bytes) };
}

function refused(reason: AttestationRefusal, detail: string): Attested {
  return { ok: false, reason, detail };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isCommand(words: string[]): boolean {
  return words.length === command.length && words.every((word, i) => word === command[i]);
}

function areDifferent(seeds: number[]): boolean {
  return new Set(seeds).size === seeds.length;
}

function areKnown({ verus, rust, z3, vstd }: VerifierTools): boolean {
  return isPinned(verus) && rust === pins.rust && z3 === pins.z3 && vstd === pins.vstd;
}
