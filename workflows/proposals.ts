/** Asks the mutators for the candidates of a generation. */
import { isCancellation } from '@temporalio/workflow';
import type {
  AttemptRecord,
  CandidateSource,
  GenerationKey,
  MissingSlot,
  MutateVerdict,
  Plan,
  PlanSlot,
} from '../activities/types.ts';
import { describeFailure } from './failure.ts';
import { LLM_QUEUE } from './messages.ts';
import { mutating } from './proxies.ts';

export interface Proposals {
  candidates: CandidateSource[];
  missing: MissingSlot[];
  /** By slot: what was proposed on the way. */
  attempts: Record<string, AttemptRecord[]>;
}

/**
 * The built-in search proposes in turn, so that each knows its elder siblings; models work side by
 * side. A slot that fails is left empty; only when all are empty is the fault the generation's.
 */
export async function propose(
  key: GenerationKey,
  { plan, slots }: Plan,
  evolverQueue: string,
): Promise<Proposals> {
  const proposals: Proposals = { candidates: [], missing: [], attempts: {} };
  let fault: unknown = null;
  const fill = async ({ index, mutator, arm = null }: PlanSlot) => {
    const queue = mutator === 'llm' ? LLM_QUEUE : evolverQueue;
    const summary = `gen ${key.generation} · mutate #${index} (${mutator})`;
    const siblings = proposals.candidates.map((candidate) => candidate.source);
    try {
      const proposal = await mutating(queue).mutate.executeWithOptions({ summary }, [
        { ...key, plan, index, mutator, siblings },
      ]);
      if (proposal.attempts) proposals.attempts[index] = proposal.attempts;
      if (proposal.verdict === 'proposed') proposals.candidates.push(proposal.candidate);
      else proposals.missing.push({ ...missingOf(proposal), index, mutator, arm });
    } catch (error) {
      if (isCancellation(error)) throw error;
      fault = error;
      proposals.missing.push({ index, mutator, arm, reason: describeFailure(error) });
    }
  };
  const models = slots.filter((slot) => slot.mutator === 'llm');
  for (const slot of slots) if (slot.mutator !== 'llm') await fill(slot);
  await Promise.all(models.map(fill));
  if (proposals.candidates.length === 0 && fault !== null) throw fault;
  proposals.candidates.sort((left, right) => left.index - right.index);
  return proposals;
}

function missingOf({ reason, cost }: Extract<MutateVerdict, { verdict: 'none' }>) {
  return cost === undefined ? { reason } : { reason, cost };
}
