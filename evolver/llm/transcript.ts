/**
 * A conversation as one document that needs nothing else to be read: what was said, what programs
 * were told, what each call cost. Made from the journal, so that it is the same after a crash.
 */
import { z } from 'zod';
import type { Documents } from './conversation.ts';
import type { CallRow, Journal } from './journal.ts';

const digest = z.string();
const questionSchema = z.looseObject({
  system: digest,
  tools: digest,
  messages: z.array(digest),
});
const answerSchema = z.looseObject({ content: z.array(z.unknown()) });

export interface Transcript {
  schema: 1;
  conversation: string;
  calls: CallRow[];
  system: unknown;
  /** Of the conversation itself, its last answer included. */
  messages: unknown[];
  sub_calls: { turn: string; messages: unknown[] }[];
  /** Results of cells, and what the host answered in them, by place. */
  told: Record<string, unknown>;
}

type Needs = { documents: Documents; journal: Journal };

export async function transcriptOf(
  { documents, journal }: Needs,
  conversation: string,
  calls: CallRow[],
): Promise<Transcript> {
  const answered = calls.filter(({ answer }) => answer !== null);
  const main = answered.filter(({ turn }) => !isSubCall(turn));
  const last = main.reduce<CallRow | null>((a, b) => {
    return a === null || Number(b.turn) > Number(a.turn) ? b : a;
  }, null);
  const said = last === null ? null : await exchange(documents, last);
  const sub_calls = await Promise.all(
    answered
      .filter(({ turn }) => isSubCall(turn))
      .map(async (call) => ({
        turn: call.turn,
        messages: (await exchange(documents, call)).messages,
      })),
  );
  const turns = Number(last?.turn ?? -1);
  return {
    ...{ schema: 1, conversation, calls, system: said?.system ?? null },
    ...{ messages: said?.messages ?? [], sub_calls },
    told: Object.fromEntries(
      journal
        .toldIn(conversation)
        .filter(({ place }) => turnOf(place) <= turns)
        .map(({ place, text }) => [place, JSON.parse(text)]),
    ),
  };
}

/** The first question, as the model read it; null where none was asked. */
export async function promptOf(documents: Documents, calls: CallRow[]): Promise<string | null> {
  const first = calls.find(({ turn }) => turn === '0');
  if (first === undefined) return null;
  const { system, messages } = await questionOf(documents, first);
  const content = (messages[0] as { content?: unknown } | undefined)?.content;
  return `${system}\n\n${content}`;
}

async function exchange(documents: Documents, call: CallRow) {
  const { system, messages } = await questionOf(documents, call);
  const answer = answerSchema.parse(await json(documents, call.answer ?? ''));
  return { system, messages: [...messages, { role: 'assistant', content: answer.content }] };
}

async function questionOf(documents: Documents, { question }: CallRow) {
  const parts = questionSchema.parse(await json(documents, question));
  return {
    system: await json(documents, parts.system),
    messages: await Promise.all(parts.messages.map((each) => json(documents, each))),
  };
}

async function json(documents: Documents, of: string): Promise<unknown> {
  return JSON.parse(await documents.getText(of));
}

function isSubCall(turn: string): boolean {
  return turn.includes('/');
}

/** Of `cell/<turn>.<index>` and `host/<turn>.<index>/<call>`; of other places, not a number. */
function turnOf(place: string): number {
  return Number(place.split('/')[1]?.split('.')[0]);
}
