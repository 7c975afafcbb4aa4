/** Asks the mutators for the candidates of a generation. */
import { isCancellation } from '@temporalio/workflow';
import type {
  AttemptRecord,
  CandidateSource,
  GenerationKey,
  MissingSlot,
  MutateInput,
  MutateVerdict,
  Plan,
  PlanSlot,
} from '../activities/types.ts';
import { describeFailure } from './failure.ts';
import { type Allowance, type Answers, LLM_QUEUE } from './messages.ts';
import { mutating } from './proxies.ts';

export interface Proposals {
  candidates: CandidateSource[];
  missing: MissingSlot[];
  /** By slot: what was proposed on the way. */
  attempts: Record<string, AttemptRecord[]>;
}

/** How the mutators are asked. */
export interface Asking {
  /** Of the evolver host. */
  queue: string;
  /** What all proposals together may cost. */
  allowance: Allowance | undefined;
  /** Of a re-run: the candidates of the first attempt, and whether models are asked anew. */
  recorded: readonly CandidateSource[];
  answers: Answers | undefined;
}

/**
 * The built-in search proposes in turn, so that each knows its elder siblings; models work side by
 * side. A slot that fails is left empty; only when all are empty is the fault the generation's.
 */
export async function propose(
  key: GenerationKey,
  { plan, slots }: Plan,
  asking: Asking,
): Promise<Proposals> {
  const proposals: Proposals = { candidates: [], missing: [], attempts: {} };
  let fault: unknown = null;
  const fill = async ({ index, mutator, arm = null }: PlanSlot) => {
    const queue = mutator === 'llm' ? LLM_QUEUE : asking.queue;
    const summary = `gen ${key.generation} · mutate #${index} (${mutator})`;
    const siblings = proposals.candidates.map((candidate) => candidate.source);
    try {
      const proposal = await mutating(queue).mutate.executeWithOptions({ summary }, [
        { ...key, plan, index, mutator, siblings, ...slotExtras(asking, slots, index) },
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

type Extras = Pick<MutateInput, 'allowance' | 'answers' | 'recorded'>;

/** Models share the allowance: together they stay within it. */
function slotExtras(asking: Asking, slots: Plan['slots'], index: number): Extras {
  const { allowance, answers, recorded } = asking;
  const paid = slots.filter(({ mutator }) => mutator === 'llm').length;
  const part = (whole: number | null) => (whole === null ? null : whole / Math.max(1, paid));
  const before = recorded.find((candidate) => candidate.index === index);
  return {
    ...(allowance && {
      allowance: { usd: part(allowance.usd), tokens: part(allowance.tokens) },
    }),
    ...(answers && { answers }),
    ...(before && { recorded: before }),
  };
}

function missingOf({ reason, cost }: Extract<MutateVerdict, { verdict: 'none' }>) {
  return cost === undefined ? { reason } : { reason, cost };
}
