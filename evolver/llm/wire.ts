/** A question to a model and its answer, as this program stores them: plain JSON. */
import type Anthropic from '@anthropic-ai/sdk';
import type { Usage } from './prices.ts';
import type { Effort } from './settings.ts';

export type Message = Anthropic.MessageParam;
export type ToolResult = Anthropic.ToolResultBlockParam;

export interface Question {
  model: string;
  effort: Effort | null;
  maxTokens: number;
  /** The part that is the same in all questions of an arm: it is what the cache keeps. */
  system: string;
  tools: Anthropic.Tool[];
  messages: Message[];
}

export interface ToolCall {
  type: 'tool_use';
  id: string;
  name: string;
  input: unknown;
}

export type Block =
  | { type: 'text'; text: string }
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | ToolCall;

export interface Answer {
  /** Of the message, and of the request: for whoever asks Anthropic about it. */
  id: string;
  requestId: string | null;
  model: string;
  content: Block[];
  stopReason: string;
  /** Why the model declines; null where it does not. */
  refusal: string | null;
  /** Ids of tool calls whose input was not JSON; it stands as an empty object. */
  malformed: string[];
  usage: Usage;
}

export function textOf(answer: Answer): string {
  return answer.content
    .flatMap((block) => (block.type === 'text' ? [block.text] : []))
    .join('\n')
    .trim();
}

export function toolCalls(answer: Answer): ToolCall[] {
  return answer.content.filter((block): block is ToolCall => block.type === 'tool_use');
}
