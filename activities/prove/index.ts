/**
 * Stage `prove`: how far the codec that each candidate was linked with is proven, and whether this
 * deployment admits that.
 *
 *   record of the build ─► kit ─► libraries, sources ─► digest of the codec
 *                                                         ├─ a verifier is here ─► verified
 *                                                         └─ none ─► an attestation ─► attested
 *   anything that does not fit, does not hold or is less than the policy asks ─► refused
 */
import type { ContentStore } from '../../control/store/index.ts';
import type { Ref } from '../../workflows/messages.ts';
import { readLinked } from '../build/linked.ts';
import type { Deps } from '../deps.ts';
import { beating } from '../heartbeat.ts';
import { stageKey } from '../keys.ts';
import type {
  Activities,
  ProofVerdict,
  ProvedCandidate,
  ProveInput,
  ProveResult,
} from '../types.ts';
import { findAttestation } from './attestation.ts';
import { type CodecFiles, linkedCodec } from './linked.ts';
import { findVerifier, type Verification, type Verifier, verify } from './verifier.ts';

type Needs = Pick<Deps, 'settings' | 'store' | 'stages'>;
/** Where a verifier may be named, and when to give up. */
interface Run {
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
}
type Answer = Omit<ProvedCandidate, 'id'>;
interface Codec {
  codec: string;
  files: CodecFiles;
}

export function proveActivities(
  deps: Needs,
  environment: NodeJS.ProcessEnv = process.env,
): Pick<Activities, 'prove'> {
  return {
    prove: (input) =>
      beating({ candidates: input.candidates.length }, (signal) =>
        proveAll(deps, input, { environment, signal }),
      ),
  };
}

async function proveAll(deps: Needs, input: ProveInput, run: Run): Promise<ProveResult> {
  const verifier = await findVerifier(deps.settings.cache, run.environment);
  const answers = new Map<string, Answer>();
  const candidates: ProvedCandidate[] = [];
  for (const { id, component, linked } of input.candidates) {
    run.signal.throwIfAborted();
    const record = await readLinked(deps.store, linked, component.digest);
    const found = await linkedCodec(deps.settings.kit, record);
    if (!found.ok) {
      const { codec, reason, detail } = found;
      candidates.push({ id, ...refused(codec, reason, detail) });
      continue;
    }
    const known = answers.get(found.codec);
    const answer = known ?? (await proveCodec(deps, verifier, found, run));
    answers.set(found.codec, answer);
    candidates.push({ id, ...answer });
  }
  return { candidates };
}

/** A verifier that is here has the word; an attestation counts only where there is none. */
async function proveCodec(
  deps: Needs,
  verifier: Verifier | null,
  found: Codec,
  run: Run,
): Promise<Answer> {
  if (verifier !== null) return await runVerifier(deps, verifier, found, run);
  const { codec } = found;
  const attested = await findAttestation(deps.settings.attestations, codec);
  if (!attested.ok) return refused(codec, attested.reason, attested.detail);
  if (deps.settings.proofPolicy === 'verified') {
    return refused(codec, 'proof-policy', 'it is attested, the policy asks for `verified`');
  }
  const { attestation, bytes, digest } = attested;
  await deps.store.put(bytes, 'application/json');
  const { date } = attestation;
  const proof: ProofVerdict = { verdict: 'attested', codec, attestation: digest, date };
  return { proof, evidence: digest, seconds: null };
}

interface StoredRun {
  ok: boolean;
  functions_verified: number;
  detail: string;
  log: Ref;
  seconds: number;
}

/** Once a digest of sources and a version of the verifier: a run that passed is not run again. */
async function runVerifier(
  { store, stages }: Needs,
  verifier: Verifier,
  { codec, files }: Codec,
  run: Run,
): Promise<Answer> {
  const { tools } = verifier;
  const result = await stages.once(
    stageKey(`codec/${codec}`, 'verify', ...Object.values(tools)),
    async () => await stored(store, await verify(verifier, files, run)),
    async ({ ok, log }: StoredRun) => ok && (await store.has(log)),
  );
  const { functions_verified, log, seconds } = result;
  const evidence = log.digest;
  if (!result.ok)
    return { ...refused(codec, 'verifier-refused', result.detail), evidence, seconds };
  const counts = { functions_verified, errors: 0 as const };
  return { proof: { verdict: 'verified', codec, ...counts, tools }, evidence, seconds };
}

async function stored(store: ContentStore, run: Verification): Promise<StoredRun> {
  const log = await store.put(run.log, 'text/plain');
  const detail = run.ok ? '' : run.detail;
  const functions_verified = run.ok ? run.functions_verified : 0;
  return { ok: run.ok, functions_verified, detail, log, seconds: run.seconds };
}

function refused(codec: string | null, reason: string, detail: string): Answer {
  return { proof: { verdict: 'refused', codec, reason, detail }, evidence: codec, seconds: null };
}
