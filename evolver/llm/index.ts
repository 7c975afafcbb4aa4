/**
 * The mutator that asks models: one answer, or an exploration. A conversation is named by what it
 * was asked for, so whoever asks for the same again gets the same answers, and pays nothing.
 */
import { createHash } from 'node:crypto';
import { type Arm, armId } from '../arms.ts';
import type { Mutator, NoProposal, Proposal, ProposalRequest } from '../mutator.ts';
import { modelArms } from './arms.ts';
import { ModelClient } from './client.ts';
import { Conversation, type Documents } from './conversation.ts';
import { BudgetSpent, LlmFault } from './faults.ts';
import { recentErrors, type Sources } from './host.ts';
import type { Journal } from './journal.ts';
import { Library } from './library.ts';
import { none, type Outcome } from './outcome.ts';
import { staticPrefix } from './prefix.ts';
import { worstCost } from './prices.ts';
import { explore } from './rlm.ts';
import type { LlmSettings } from './settings.ts';
import { askOnce } from './single.ts';
import { promptOf, transcriptOf } from './transcript.ts';

export { LlmFault } from './faults.ts';
export { Journal } from './journal.ts';
export { Library } from './library.ts';
export { type LlmSettings, LlmSettingsError, parseLlmSettings } from './settings.ts';

export interface ModelDeps {
  apiKey: string;
  settings: LlmSettings;
  journal: Journal;
  documents: Documents;
  archive: Sources['archive'];
  lineage: Sources['lineage'];
}

export function modelMutator(deps: ModelDeps): Mutator {
  const { apiKey, settings, journal, documents } = deps;
  const { baseUrl, retry, outputTokens } = settings;
  const client = new ModelClient({ apiKey, baseUrl, retry });
  const library = Library.open();
  const prefixes = { single: staticPrefix('single', library), rlm: staticPrefix('rlm', library) };
  const sources: Sources = { ...deps, library, source: (digest) => documents.getText(digest) };
  const propose = async (request: ProposalRequest) => {
    const { model, arm, talk } = open(request, { client, journal, documents, settings });
    const outcome = await untilSpent(() => {
      if (arm.kind === 'rlm') {
        return explore(talk, request, { model, settings, system: prefixes.rlm, sources, journal });
      }
      const { patch } = arm;
      const errors = recentErrors(sources, request);
      const system = prefixes.single;
      return askOnce(talk, request, { model, outputTokens, system, patch, errors });
    });
    return await conclude(talk, arm, deps, outcome, request);
  };
  const charged = (ids: string) => journal.charged(ids);
  const affords = (arm: Arm, org: string) => {
    const model = settings.models.find(({ id }) => id === arm.model);
    if (model === undefined) return false;
    const prompt = Buffer.byteLength(prefixes[arm.kind === 'rlm' ? 'rlm' : 'single']);
    const first = worstCost(model, prompt, outputTokens);
    return journal.spent(org) + first <= settings.budget.organization;
  };
  return { name: 'llm', arms: () => modelArms(settings), affords, charged, propose };
}

interface Needs {
  client: ModelClient;
  journal: Journal;
  documents: Documents;
  settings: LlmSettings;
}

/** The first proposal and its repairs are one conversation, named by what it was asked for. */
function open(request: ProposalRequest, { settings, ...needs }: Needs) {
  const { id, arm, dialogue, allowance, recordedOf } = request;
  if (id === undefined || arm === undefined || dialogue === undefined) {
    throw new LlmFault('setup', 'a model is asked without id, arm or conversation');
  }
  const model = settings.models.find((each) => each.id === arm.model);
  if (model === undefined) throw new LlmFault('setup', `model ${arm.model} is not in RATCHET_LLM`);
  const limits = {
    organization: settings.budget.organization,
    proposal: Math.min(settings.budget.proposal, micro(allowance?.usd)),
    tokens: allowance?.tokens ?? Number.POSITIVE_INFINITY,
  };
  const { org, signal } = dialogue;
  const name = (candidate: string) => `${candidate}/${armId(arm)}`;
  const who = { id: name(id), org, ...(recordedOf && { repeats: name(recordedOf) }) };
  const talk = new Conversation({ ...needs, limits }, who, signal);
  return { model, arm, talk };
}

function micro(usd: number | null | undefined): number {
  return usd == null ? Number.POSITIVE_INFINITY : Math.floor(usd * 1e6);
}

async function untilSpent(run: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BudgetSpent) return none(`budget: ${error.message}`);
    throw error;
  }
}

async function conclude(
  talk: Conversation,
  arm: Arm,
  { documents, journal }: Pick<ModelDeps, 'documents' | 'journal'>,
  outcome: Outcome,
  { random }: ProposalRequest,
): Promise<Proposal | NoProposal> {
  const { attempt, calls } = talk;
  const document = {
    ...(await transcriptOf({ documents, journal }, talk.id, calls)),
    ...{ arm: armId(arm), attempt },
    outcome: outcome.kind === 'none' ? outcome : { ...outcome, source: sha256(outcome.source) },
  };
  const kept = await documents.put(JSON.stringify(document), 'application/json');
  const work = { transcript: kept.digest, charge: talk.charge() };
  if (outcome.kind === 'none') return { none: outcome.reason, ...work };
  const { source, summary, patch } = outcome;
  const crossed = arm.kind === 'single' && arm.patch === 'crossover';
  const prompt = await promptOf(documents, calls);
  return {
    ...{ source, summary, random },
    operator: `${arm.kind}:${patch}`,
    patchKind: crossed ? 'crossover' : patch,
    ...(arm.model !== null && { model: arm.model }),
    ...(prompt !== null && { prompt: (await documents.put(prompt, 'text/plain')).digest }),
    ...work,
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
