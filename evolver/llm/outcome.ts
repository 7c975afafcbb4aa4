/** How a conversation ends, whatever its manner. */
import type { Answer, Message } from './wire.ts';

export type Outcome =
  | { kind: 'proposed'; source: string; summary: string; patch: 'diff' | 'full' }
  | { kind: 'none'; reason: string };

/** Answers, or submissions, that one conversation may make: the first and two repairs. */
export const PROPOSALS_MAX = 3;

export function none(reason: string): Outcome {
  return { kind: 'none', reason };
}

/** What goes back as the model's own turn; empty texts are not allowed there. */
export function assistantTurn(answer: Answer): Message | null {
  const content = answer.content.filter((block) => block.type !== 'text' || block.text !== '');
  const speaks = content.some(({ type }) => type === 'text' || type === 'tool_use');
  return speaks ? ({ role: 'assistant', content } as Message) : null;
}
