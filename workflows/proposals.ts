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
import { evolverActivities, mutating } from './proxies.ts';
import { proposeWithRepairs, type Trial, type TrialStages } from './repairs.ts';

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
  /** On what a model's proposals are tried before they count. */
  trial: Omit<Trial, 'seconds'>;
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
    const siblings = proposals.candidates.map((candidate) => candidate.source);
    const extras = slotExtras(asking, slots, index);
    const input = { ...key, plan, index, mutator, siblings, ...extras };
    const stages = trialStages(key, index, mutator, asking.queue);
    // What a model answered before is on record: it was tried then.
    const open = mutator === 'llm' && extras.recorded === undefined;
    try {
      const { proposal, attempts } = await (open
        ? proposeWithRepairs(stages, input, asking.trial)
        : stages.mutate(input).then((own) => ({ proposal: own, attempts: own.attempts ?? [] })));
      if (attempts.length > 0) proposals.attempts[index] = attempts;
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

function trialStages(
  key: GenerationKey,
  index: number,
  mutator: PlanSlot['mutator'],
  evolverQueue: string,
): TrialStages {
  const queue = mutator === 'llm' ? LLM_QUEUE : evolverQueue;
  const { quick, long } = evolverActivities(evolverQueue);
  const told = (text: string) => ({ summary: `gen ${key.generation} · ${text} #${index}` });
  return {
    mutate: (input) =>
      mutating(queue).mutate.executeWithOptions(
        { summary: `gen ${key.generation} · mutate #${index} (${mutator})` },
        [input],
      ),
    checkSource: (input) => quick.checkSource.executeWithOptions(told('try: source'), [input]),
    build: (input) => long.build.executeWithOptions(told('try: build'), [input]),
    checkModule: (candidate, component) =>
      quick.checkModule.executeWithOptions(told('try: module'), [{ ...key, candidate, component }]),
    benchmark: async ({ candidate: id, component, spec: _, ...trial }) => {
      const candidates = [{ id, component }];
      const input = { ...key, ...trial, candidates, trial: true as const };
      const { candidates: verdicts } = await long.benchmark.executeWithOptions(
        told('try: benchmark'),
        [input],
      );
      return verdicts[0] ?? { id, verdict: 'unmeasured', reason: 'not in the report' };
    },
  };
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

function missingOf({ reason, cost, transcript }: Extract<MutateVerdict, { verdict: 'none' }>) {
  return { reason, ...(cost && { cost }), ...(transcript && { transcript }) };
}
