/** Stage `mutate`: plan a generation, propose candidates, admit them to the archive. */
import { z } from 'zod';
import { decodeBlob } from '../../control/configuration/index.ts';
import type { ProposalRequest } from '../../evolver/mutator.ts';
import type { TrafficProfile } from '../../evolver/profile.ts';
import { seedRandom } from '../../evolver/random.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { beating } from '../heartbeat.ts';
import { candidateId, generationOf, stageKey } from '../keys.ts';
import type {
  Activities,
  AdmitInput,
  GenerationInputs,
  GenerationKey,
  MutateInput,
  MutateVerdict,
  Plan,
  PlanInput,
  ReadmitInput,
} from '../types.ts';
import { type PlanDocument, planGeneration, planSchema } from './plan.ts';

type Mutating = Pick<Activities, 'plan' | 'mutate' | 'admit' | 'readmit' | 'restore'>;
type Needs = Pick<Deps, 'archive' | 'store' | 'stages' | 'mutators' | 'now'>;

export function mutateActivities(deps: Needs): Mutating {
  return {
    restore: async ({ org }) => ({ generation: deps.archive.newestGeneration(org) }),
    plan: (input) =>
      deps.stages.once(stageKey(generationOf(input), 'plan', input.configuration.digest), () =>
        plan(deps, input),
      ),
    mutate: (input) => {
      const siblings = input.siblings.map((sibling) => sibling.digest);
      const inputs = [input.plan.digest, ...siblings];
      const key = stageKey(candidateId(input, input.index), 'mutate', ...inputs);
      return deps.stages.once(key, () => mutate(deps, input));
    },
    admit: (input) => admit(deps, input),
    readmit: (input) => readmit(deps, input),
  };
}

async function plan(deps: Needs, input: PlanInput): Promise<Plan> {
  const generation = generationOf(input);
  const document = planGeneration(deps.archive, input, generation);
  start(deps, input, input.configuration.digest, document.slots[0]?.parent?.id ?? null);
  const slots = document.slots.map(({ index, mutator, parent }) => ({
    index,
    mutator,
    parent: parent?.id ?? null,
  }));
  return { plan: await deps.store.put(JSON.stringify(document), 'application/json'), slots };
}

function start(deps: Needs, key: GenerationKey, configuration: string, parent: string | null) {
  const id = generationOf(key);
  deps.archive.startGeneration({
    id,
    configuration,
    parent,
    random: seedRandom(`${id}/${configuration}`),
    startedAtMs: deps.now(),
  });
}

async function mutate(deps: Needs, input: MutateInput): Promise<MutateVerdict> {
  const document = planSchema.parse(JSON.parse(await deps.store.getText(input.plan)));
  const slot = document.slots.find(({ index }) => index === input.index);
  if (slot === undefined) throw fatal('invalidProfile', `the plan has no slot ${input.index}`);
  const id = candidateId(input, input.index);
  if (input.mutator === 'specialise') return await firstForm(deps, document, id, input.index);
  const mutator = deps.mutators[input.mutator];
  if (mutator === undefined) {
    throw fatal('invalidProfile', `mutator ${input.mutator} is not available here`);
  }
  const request = await requestOf(deps, document, slot, input);
  const proposal = await beating({ id }, () => mutator.propose(request));
  if ('none' in proposal) return { verdict: 'none', reason: proposal.none };
  const source = await deps.store.put(proposal.source, 'text/x-rust');
  if (input.siblings.some((sibling) => sibling.digest === source.digest)) {
    return { verdict: 'none', reason: `${proposal.operator}: a sibling's source again` };
  }
  const { operator, summary } = proposal;
  const parent = slot.parent?.id ?? null;
  const { index, mutator: name } = input;
  return {
    verdict: 'proposed',
    candidate: { id, index, source, mutator: name, operator, summary, parent },
  };
}

async function firstForm(
  deps: Needs,
  document: PlanDocument,
  id: string,
  index: number,
): Promise<MutateVerdict> {
  const size = (await deps.store.get(document.seed)).length;
  const source = { digest: document.seed, size, mediaType: 'text/x-rust' };
  const summary = 'the first form of the configuration’s module';
  return {
    verdict: 'proposed',
    candidate: {
      id,
      index,
      source,
      mutator: 'specialise',
      operator: 'seed',
      summary,
      parent: null,
    },
  };
}

async function requestOf(
  { store }: Needs,
  document: PlanDocument,
  slot: PlanDocument['slots'][number],
  input: MutateInput,
): Promise<ProposalRequest> {
  const text = (digest: string) => store.getText(digest);
  const parent = slot.parent;
  const profile = JSON.parse(await text(document.profile)) as TrafficProfile;
  const tried = [
    ...document.tried,
    ...input.siblings.map(({ digest: source }) => ({ source, ratio: null })),
  ];
  return {
    rules: decodeBlob(await store.get(document.configuration.blob)),
    parent:
      parent === null
        ? { id: 'seed', source: await text(document.seed), ratio: null }
        : { id: parent.id, source: await text(parent.source), ratio: parent.ratio },
    inspirations: await Promise.all(
      slot.inspirations.map(async ({ id, source, ratio }) => ({
        id,
        source: await text(source),
        ratio: ratio ?? 0,
      })),
    ),
    random: slot.random,
    profile,
    tried: await Promise.all(
      tried.map(async ({ source, ratio }) => ({ source: await text(source), ratio })),
    ),
  };
}

async function admit(deps: Needs, input: AdmitInput): Promise<{ inputs: Awaited<Stored> }> {
  const generation = generationOf(input);
  admitCandidates(deps, input.inputs);
  for (const { index, mutator, reason } of input.missing) {
    deps.archive.recordAttempt({
      id: `${candidateId(input, index)}/a1`,
      generation,
      mutator,
      stage: 'mutate',
      outcome: 'none',
      detail: reason,
      atMs: deps.now(),
    });
  }
  return { inputs: await deps.store.put(JSON.stringify(input.inputs), 'application/json') };
}

type Stored = ReturnType<Deps['store']['put']>;

function admitCandidates(deps: Needs, inputs: GenerationInputs): void {
  for (const candidate of inputs.candidates) {
    deps.archive.recordCandidate({
      id: candidate.id,
      parent: candidate.parent,
      mutator: candidate.mutator,
      operator: candidate.operator,
      summary: candidate.summary,
      source: candidate.source.digest,
      createdAtMs: deps.now(),
    });
  }
}

const inputsSchema = z.looseObject({ schema: z.literal(1), configuration: z.string() });

async function readmit(deps: Needs, input: ReadmitInput): Promise<GenerationInputs> {
  const document: unknown = JSON.parse(await deps.store.getText(input.inputs));
  const head = inputsSchema.parse(document);
  if (head.configuration !== input.configuration.digest) {
    throw fatal('invalidProfile', `inputs belong to configuration ${head.configuration}`);
  }
  const stored = document as GenerationInputs;
  const candidates = stored.candidates.map((candidate) => ({
    ...candidate,
    id: candidateId(input, candidate.index),
  }));
  const inputs = { ...stored, candidates };
  start(deps, input, head.configuration, candidates[0]?.parent ?? null);
  admitCandidates(deps, inputs);
  return inputs;
}
