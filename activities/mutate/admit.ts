/** Admits proposed candidates, and what was tried on the way, to the archive. */
import type { CandidateInput } from '../../evolver/archive.ts';
import { sourceFeatures } from '../../evolver/search/features.ts';
import type { Deps } from '../deps.ts';
import { candidateId, generationOf } from '../keys.ts';
import type { AdmitInput, AttemptRecord, CandidateSource, MissingSlot, Spent } from '../types.ts';
import { charged } from './charged.ts';

type Needs = Pick<Deps, 'archive' | 'store' | 'mutators' | 'now'>;

export async function admitCandidates(
  deps: Needs,
  candidates: readonly CandidateSource[],
): Promise<void> {
  for (const candidate of candidates) {
    deps.archive.recordCandidate(await rowOf(deps, candidate));
  }
}

async function rowOf({ store, now }: Needs, candidate: CandidateSource): Promise<CandidateInput> {
  const { id, parent, mutator, operator, summary, source, origin, cost } = candidate;
  return {
    ...{ id, parent, mutator, operator, summary, source: source.digest },
    features: sourceFeatures(await store.getText(source)),
    ...(origin && {
      island: origin.island,
      inspirations: origin.inspirations,
      patchKind: origin.patch,
      model: origin.model,
      prompt: origin.prompt,
      transcript: origin.transcript,
      syntax: origin.syntax,
      arm: origin.arm,
    }),
    ...(cost && { cost: costOf(cost) }),
    createdAtMs: now(),
  };
}

function costOf({ micro_usd, tokens_in: tokensIn, tokens_out: tokensOut, seconds }: Spent) {
  return { usd: micro_usd / 1e6, tokensIn, tokensOut, seconds };
}

/** A slot's attempts are numbered in their order; one without a candidate ends with `none`. */
export function admitAttempts(deps: Needs, input: AdmitInput): void {
  for (const [index, attempts] of Object.entries(input.attempts ?? {})) {
    const missing = input.missing.find((slot) => slot.index === Number(index));
    for (const [order, attempt] of attempts.entries()) {
      recordAttempt(deps, input, Number(index), order + 1, missing, attempt);
    }
  }
  for (const slot of input.missing) {
    const order = (input.attempts?.[slot.index]?.length ?? 0) + 1;
    recordAttempt(deps, input, slot.index, order, slot, null);
  }
}

function recordAttempt(
  { archive, mutators, now }: Needs,
  input: AdmitInput,
  index: number,
  order: number,
  missing: MissingSlot | undefined,
  attempt: AttemptRecord | null,
): void {
  const candidate = input.inputs.candidates.find((each) => each.index === index);
  const id = candidateId(input, index);
  const cost = attempt ?? missing?.cost ?? charged(mutators, `${id}/`);
  archive.recordAttempt({
    id: `${id}/a${order}`,
    generation: generationOf(input),
    mutator: missing?.mutator ?? candidate?.mutator ?? 'builtin',
    stage: 'mutate',
    outcome: attempt?.outcome ?? 'none',
    detail: attempt?.detail ?? missing?.reason ?? null,
    source: attempt?.source ?? null,
    transcript: (attempt ?? missing)?.transcript ?? null,
    // The bandit counts a slot once: its candidate, or the end of a slot without one.
    arm: attempt === null ? (missing?.arm ?? null) : null,
    costUsd: cost.micro_usd / 1e6,
    tokensIn: cost.tokens_in,
    tokensOut: cost.tokens_out,
    atMs: now(),
  });
}
