/** Asks the mutators for the candidates of a generation. */
import { isCancellation } from '@temporalio/workflow';
import type { CandidateSource, GenerationKey, Plan } from '../activities/types.ts';
import { describeFailure } from './failure.ts';
import { LLM_QUEUE } from './messages.ts';
import { mutating } from './proxies.ts';

export interface Proposals {
  candidates: CandidateSource[];
  /** Slots without a candidate, and why. */
  missing: { index: number; mutator: string; reason: string }[];
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
  const proposals: Proposals = { candidates: [], missing: [] };
  let fault: unknown = null;
  const fill = async ({ index, mutator }: Plan['slots'][number]) => {
    const queue = mutator === 'llm' ? LLM_QUEUE : evolverQueue;
    const summary = `gen ${key.generation} · mutate #${index} (${mutator})`;
    const siblings = proposals.candidates.map((candidate) => candidate.source);
    try {
      const proposal = await mutating(queue).mutate.executeWithOptions({ summary }, [
        { ...key, plan, index, mutator, siblings },
      ]);
      if (proposal.verdict === 'proposed') proposals.candidates.push(proposal.candidate);
      else proposals.missing.push({ index, mutator, reason: proposal.reason });
    } catch (error) {
      if (isCancellation(error)) throw error;
      fault = error;
      proposals.missing.push({ index, mutator, reason: describeFailure(error) });
    }
  };
  const models = slots.filter((slot) => slot.mutator === 'llm');
  for (const slot of slots) if (slot.mutator !== 'llm') await fill(slot);
  await Promise.all(models.map(fill));
  if (proposals.candidates.length === 0 && fault !== null) throw fault;
  proposals.candidates.sort((left, right) => left.index - right.index);
  return proposals;
}
