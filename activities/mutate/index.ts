/** Stage `mutate`: plan a generation, propose candidates, admit them to the archive. */
import { z } from 'zod';
import { decodeBlob } from '../../control/configuration/index.ts';
import type { ProposalRequest } from '../../evolver/mutator.ts';
import type { TrafficProfile } from '../../evolver/profile.ts';
import { seedRandom } from '../../evolver/random.ts';
import { syntaxDigest } from '../../evolver/search/novelty.ts';
import { isFleet } from '../../workflows/level.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { beating } from '../heartbeat.ts';
import { candidateId, generationOf, stageKey } from '../keys.ts';
import type {
  Activities,
  AdmitInput,
  Admitted,
  CandidateOrigin,
  GenerationInputs,
  GenerationKey,
  MutateInput,
  MutateVerdict,
  Plan,
  PlanInput,
  ReadmitInput,
} from '../types.ts';
import { admitAttempts, admitCandidates } from './admit.ts';
import { dialogueOf } from './dialogue.ts';
import { armOf, type PlanDocument, planGeneration, planSchema, type SlotDocument } from './plan.ts';
import { type Asked, askForNew } from './propose.ts';

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
      const failed = (input.failures ?? []).map(({ source }) => `failed ${source.digest}`);
      const inputs = [input.plan.digest, ...siblings, ...failed];
      const key = stageKey(candidateId(input, input.index), 'mutate', ...inputs);
      return deps.stages.once(key, () => mutate(deps, input));
    },
    admit: (input) => admit(deps, input),
    readmit: (input) => readmit(deps, input),
  };
}

async function plan(deps: Needs, input: PlanInput): Promise<Plan> {
  const id = generationOf(input);
  const planned = planGeneration(deps.archive, input, deps.mutators);
  const { document, epoch, random } = planned;
  const stored = await putJson(deps, document);
  deps.archive.startGeneration({
    ...{ id, configuration: input.configuration.digest, epoch },
    parent: document.slots[0]?.parent?.id ?? null,
    ...{ random: random.before, randomAfter: random.after },
    ...{ plan: stored.digest, profile: document.profile },
    startedAtMs: deps.now(),
  });
  deps.archive.recordMigrants(id, planned.migrants);
  return await plannedInputs(deps, input, {
    plan: stored,
    slots: slotsOf(document),
    ...(planned.unevolved && { unevolved: true }),
    ...(planned.growing && { growing: true }),
  });
}

/** Stored before the mutators are asked: a generation that fails there can be run again. */
async function plannedInputs(deps: Needs, input: PlanInput, plan: Plan): Promise<Plan> {
  const { configuration, corpus, messages, specialization, profile } = input;
  if (corpus === undefined || messages === undefined) return plan;
  const made: GenerationInputs = {
    ...{ schema: 1, configuration: configuration.digest, corpus, profile, messages },
    ...{ specialization, candidates: [], plan },
  };
  const inputs = await putJson(deps, made);
  deps.archive.recordInputs(generationOf(input), inputs.digest);
  return { ...plan, inputs };
}

function putJson({ store }: Needs, value: unknown) {
  return store.put(JSON.stringify(value), 'application/json');
}

function slotsOf(document: PlanDocument): Plan['slots'] {
  return document.slots.map((slot) => ({
    index: slot.index,
    mutator: slot.mutator,
    parent: slot.parent?.id ?? null,
    arm: armOf(slot),
  }));
}

async function mutate(deps: Needs, input: MutateInput): Promise<MutateVerdict> {
  const document = planSchema.parse(JSON.parse(await deps.store.getText(input.plan)));
  const slot = document.slots.find(({ index }) => index === input.index);
  if (slot === undefined) throw fatal('invalidProfile', `the plan has no slot ${input.index}`);
  if (input.mutator === 'specialise') return await given(deps, document, slot, input);
  // What a model answered is on record; the built-in search makes the same again.
  const { recorded } = input;
  if (recorded !== undefined && input.mutator === 'llm' && input.answers !== 'fresh') {
    const { cost: _, ...free } = recorded;
    return { verdict: 'proposed', candidate: { ...free, id: candidateId(input, input.index) } };
  }
  const mutator = deps.mutators[input.mutator];
  if (mutator === undefined) {
    throw fatal('invalidProfile', `mutator ${input.mutator} is not available here`);
  }
  const request = await requestOf(deps, document, slot, input);
  const known = [...document.known, ...(await siblingsOf(deps, input))];
  const model = input.mutator === 'llm';
  const { digest } = document.configuration;
  // A model mends a repetition in its own conversation.
  const tries = model ? 1 : document.novelty_tries;
  const asked = await beating({ id: request.id ?? '' }, async (signal) => {
    const spoken = model ? await dialogueOf(deps, input, digest, known, signal) : {};
    const needs = { store: deps.store, clock: () => performance.now() };
    return await askForNew(needs, mutator, { ...request, ...spoken }, known, tries);
  });
  const verdict = await verdictOf(deps, input, slot, asked);
  if (!model || verdict.verdict === 'none') return verdict;
  return { ...verdict, parent_ratio: slot.parent?.ratio ?? null };
}

async function verdictOf(
  deps: Needs,
  input: MutateInput,
  slot: SlotDocument,
  { attempts, cost, found, reason, transcript }: Asked,
): Promise<MutateVerdict> {
  const tried = attempts.length === 0 ? {} : { attempts };
  const told = transcript === null ? {} : { transcript };
  if (found === null) return { verdict: 'none', reason, cost, ...told, ...tried };
  const { proposal, syntax } = found;
  const { operator, summary } = proposal;
  const candidate = {
    ...{ id: candidateId(input, input.index), index: input.index },
    source: await deps.store.put(proposal.source, 'text/x-rust'),
    ...{ mutator: input.mutator, operator, summary, parent: slot.parent?.id ?? null },
    origin: {
      ...originOf(slot, syntax),
      patch: proposal.patchKind ?? slot.arm?.patch ?? 'full',
      model: proposal.model ?? null,
      prompt: proposal.prompt ?? null,
      transcript: proposal.transcript ?? null,
    },
    cost,
  };
  return { verdict: 'proposed', candidate, ...tried };
}

function originOf(slot: SlotDocument, syntax: string): CandidateOrigin {
  return {
    arm: armOf(slot),
    patch: 'full',
    island: slot.island,
    inspirations: slot.inspirations.map(({ role, id }) => ({ role, id })),
    ...{ model: null, prompt: null, transcript: null, syntax },
  };
}

/** What nobody proposes: the first form, or a candidate of before that is measured anew. */
async function given(
  { store }: Needs,
  document: PlanDocument,
  slot: SlotDocument,
  input: MutateInput,
): Promise<MutateVerdict> {
  const digest = slot.again?.source ?? document.seed;
  const text = await store.getText(digest);
  const source = { digest, size: Buffer.byteLength(text), mediaType: 'text/x-rust' };
  const origin = originOf(slot, syntaxDigest(text));
  const first = {
    ...{ mutator: 'specialise' as const, operator: 'seed', parent: null, origin },
    summary: 'the first form of the configuration’s module',
  };
  const { index } = input;
  const own = { id: candidateId(input, index), index, source };
  if (slot.again === null) return { verdict: 'proposed', candidate: { ...first, ...own } };
  const { id, mutator, operator, parent } = slot.again;
  return {
    verdict: 'proposed',
    candidate: {
      ...{ ...own, mutator, operator, parent, origin: { ...origin, patch: 'again' } },
      summary: `${id}, measured on the traffic of now`,
    },
  };
}

async function siblingsOf({ store }: Needs, { siblings }: MutateInput) {
  return await Promise.all(
    siblings.map(async (ref) => ({
      source: ref.digest,
      syntax: syntaxDigest(await store.getText(ref)),
    })),
  );
}

async function requestOf(
  { store }: Needs,
  document: PlanDocument,
  slot: SlotDocument,
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
    id: candidateId(input, input.index),
    level: isFleet(input.org) ? 'fleet' : 'tenant',
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
    ...(slot.arm && { arm: slot.arm }),
    ...(input.allowance && { allowance: input.allowance }),
    ...(input.rerun > 0 && input.answers !== 'fresh' && { recordedOf: firstOf(input) }),
  };
}

/** The candidate of the first attempt in the same slot. */
function firstOf(input: MutateInput): string {
  return candidateId({ ...input, rerun: 0 }, input.index);
}

async function admit(deps: Needs, input: AdmitInput): Promise<Admitted> {
  await admitCandidates(deps, input.inputs.candidates);
  admitAttempts(deps, input);
  const inputs = await putJson(deps, input.inputs);
  deps.archive.recordInputs(generationOf(input), inputs.digest);
  return { inputs };
}

const inputsSchema = z.looseObject({ schema: z.literal(1), configuration: z.string() });

async function readmit(deps: Needs, input: ReadmitInput): Promise<GenerationInputs> {
  const document: unknown = JSON.parse(await deps.store.getText(input.inputs));
  const head = inputsSchema.parse(document);
  if (head.configuration !== input.configuration.digest) {
    throw fatal('invalidProfile', `inputs belong to configuration ${head.configuration}`);
  }
  const stored = document as GenerationInputs;
  if (input.again !== undefined && stored.plan === undefined) {
    throw fatal('invalidProfile', 'these inputs hold no plan: run it again from `build`');
  }
  if (input.again !== undefined || stored.candidates.length === 0) {
    start(deps, input, stored, stored.plan?.slots[0]?.parent ?? null);
    return stored;
  }
  // The first attempt paid for them.
  const candidates = stored.candidates.map(({ cost: _, ...candidate }) => ({
    ...candidate,
    id: candidateId(input, candidate.index),
  }));
  const inputs = { ...stored, candidates };
  start(deps, input, stored, candidates[0]?.parent ?? null);
  await admitCandidates(deps, candidates);
  deps.archive.recordInputs(generationOf(input), input.inputs.digest);
  return inputs;
}

function start(deps: Needs, key: GenerationKey, inputs: GenerationInputs, parent: string | null) {
  const { configuration } = inputs;
  const first = deps.archive.generation(generationOf({ ...key, rerun: 0 }));
  deps.archive.startGeneration({
    ...{ id: generationOf(key), configuration, parent, profile: inputs.profile.digest },
    ...{ epoch: deps.archive.epoch(key.org, configuration), plan: first?.plan ?? null },
    random: first?.random ?? seedRandom(`${generationOf({ ...key, rerun: 0 })}/${configuration}`),
    startedAtMs: deps.now(),
  });
}
