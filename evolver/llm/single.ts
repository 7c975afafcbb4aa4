/** The single-shot arm: one question with everything in it, one answer, and up to two repairs. */
import type { PatchKind } from '../arms.ts';
import type { ProposalRequest } from '../mutator.ts';
import { judge, readAnswer } from './answer.ts';
import type { Conversation } from './conversation.ts';
import { Prompt } from './fence.ts';
import { singlePrompt } from './material.ts';
import { assistantTurn, none, type Outcome, PROPOSALS_MAX } from './outcome.ts';
import type { Model } from './settings.ts';
import { type Answer, type Message, textOf } from './wire.ts';

export interface SingleSettings {
  model: Model;
  outputTokens: number;
  /** The static prefix. */
  system: string;
  patch: PatchKind;
  /** Texts of what failed lately in this configuration. */
  errors: readonly string[];
}

const FAILURE_CHARS = 12_000;

export async function askOnce(
  talk: Conversation,
  request: ProposalRequest,
  settings: SingleSettings,
): Promise<Outcome> {
  const { model, outputTokens: maxTokens, system, patch, errors } = settings;
  const failures = request.dialogue?.failures ?? [];
  const prompt = await talk.prompt(() => singlePrompt(request, patch, errors).render(talk.seed));
  const messages: Message[] = [{ role: 'user', content: prompt }];
  let last = 'no answer';
  for (let turn = 0; turn < PROPOSALS_MAX; turn++) {
    const place = `${turn}`;
    const answer = await talk.ask({ turn: place, model, maxTokens, system, tools: [], messages });
    if (answer.refusal !== null) return none(`declined: ${answer.refusal}`);
    const judged = judgeAnswer(answer, request);
    if ('source' in judged) {
      const failure = failures[talk.attempt];
      if (failure === undefined) return { kind: 'proposed', ...judged };
      last = await talk.failure(failure);
      talk.attempt += 1;
    } else last = judged.refused;
    const said = assistantTurn(answer);
    if (said === null) return none(last);
    messages.push(said, { role: 'user', content: repairRequest(last, `${talk.seed}/${turn}`) });
  }
  return none(last);
}

type JudgedAnswer =
  | { source: string; summary: string; patch: 'diff' | 'full' }
  | { refused: string };

function judgeAnswer(answer: Answer, request: ProposalRequest): JudgedAnswer {
  if (answer.stopReason === 'max_tokens') {
    return { refused: 'unreadable: the answer was cut at its limit of tokens' };
  }
  const draft = readAnswer(textOf(answer));
  if ('unreadable' in draft) return { refused: `unreadable: ${draft.unreadable}` };
  const judged = judge(draft, request);
  if (!judged.ok) return { refused: `${judged.refusal}: ${judged.reason}` };
  return { source: judged.source, summary: judged.summary, patch: judged.kind };
}

export function repairRequest(failure: string, seed: string): string {
  return new Prompt()
    .say('That proposal fails. This is what the check says:')
    .data('failure', failure, FAILURE_CHARS)
    .say('Mend it, and answer again in the same form; edits are of the parent.')
    .render(seed);
}
