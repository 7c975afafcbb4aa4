/** A generation as a commit of the lineage, and its promotion as a tag. */
import { ArchiveError } from '../../evolver/archive.ts';
import type { LineageBest, LineageCandidate } from '../../evolver/lineage-text.ts';
import type { CandidateOutcome } from '../../workflows/messages.ts';
import type { Deps } from '../deps.ts';
import { generationOf } from '../keys.ts';
import type { CommitInput, Committed, ManifestInput } from '../types.ts';

type Needs = Pick<Deps, 'archive' | 'lineage' | 'store'>;

/** The same input gives the same commit, whenever it is written. */
export async function commitGeneration(deps: Needs, input: CommitInput): Promise<Committed> {
  const winner = input.candidates.find(({ id }) => id === input.winner) ?? null;
  const others = input.candidates.filter((candidate) => candidate !== winner);
  const commit = await deps.lineage.commitGeneration({
    generation: generationOf(input),
    configuration: input.configuration.digest,
    outcome: input.outcome,
    specRs: await deps.store.getText(input.spec),
    seedRs: await deps.store.getText(input.seed),
    best: winner === null ? null : await bestOf(deps, winner),
    rejected: await Promise.all(others.map((each) => candidateOf(deps, each))),
    committedAtMs: input.at_ms,
  });
  return { commit };
}

async function candidateOf(
  { archive, store }: Needs,
  outcome: CandidateOutcome,
): Promise<LineageCandidate> {
  const row = archive.candidate(outcome.id);
  if (row === null) throw new ArchiveError('missing', `no candidate ${outcome.id}`);
  const { model, summary } = row;
  const { id, index: slot, mutator, operator, state, gate, verdict, reason } = outcome;
  const stopped = state === 'rejected';
  return {
    ...{ id, slot, mutator, operator, model, summary },
    source: await store.getText(row.source),
    refused: stopped ? `${gate} ${verdict}` : null,
    reason: stopped ? reason : null,
  };
}

async function bestOf(deps: Needs, outcome: CandidateOutcome): Promise<LineageBest> {
  const row = deps.archive.candidate(outcome.id);
  const { ratio, ci95, ratio_to_baseline, module } = outcome;
  return {
    ...(await candidateOf(deps, outcome)),
    ...{ digest: row?.source ?? '', parent: row?.parent ?? null, module },
    figures: { ratio, ci95, ratio_to_baseline },
  };
}

/** A version of a candidate is a tag on the commit that holds its source; a tombstone has none. */
export async function tagVersion(
  { archive, lineage }: Pick<Deps, 'archive' | 'lineage'>,
  { org, active }: ManifestInput,
  candidate: string | null,
): Promise<void> {
  const row = candidate === null ? null : archive.candidate(candidate);
  const commit = row === null ? null : (archive.generation(row.generation)?.commit ?? null);
  if (commit === null) return;
  const { version, kind, module, issued_at_ms: atMs } = active;
  const message = `version ${version}: ${kind} of ${candidate}, module ${module}`;
  await lineage.tag({ org, version, commit, message, atMs });
}
