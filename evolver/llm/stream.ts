/**
 * Puts an answer together from the events of a stream. Whatever is missing or out of order is a
 * broken stream: the answer is whole or there is none.
 */
import type Anthropic from '@anthropic-ai/sdk';
import { NO_USAGE, type Usage } from './prices.ts';
import type { Answer, Block } from './wire.ts';

/** The answer did not arrive whole; `begun` = the model had started, so it may cost money. */
export class BrokenStream extends Error {
  override readonly name = 'BrokenStream';
  readonly begun: boolean;

  constructor(message: string, begun: boolean, options?: ErrorOptions) {
    super(message, options);
    this.begun = begun;
  }
}

type Event = Anthropic.RawMessageStreamEvent;
/** `block` is null where it is of a kind that nobody asked for: it is left out. */
type Partial = { block: Block | null; json: string; done: boolean };

/** Bounds what an endpoint may make this process hold. */
const CHARACTERS_MAX = 4_000_000;
const BLOCKS_MAX = 512;

export class Assembly {
  #message: { id: string; model: string } | null = null;
  #blocks: Partial[] = [];
  #characters = 0;
  #usage: Usage = NO_USAGE;
  #stopReason: string | null = null;
  #refusal: string | null = null;
  #stopped = false;

  get begun(): boolean {
    return this.#message !== null;
  }

  add(event: Event): void {
    switch (event.type) {
      case 'message_start':
        this.#message = { id: event.message.id, model: event.message.model };
        this.#count(event.message.usage);
        return;
      case 'content_block_start':
        this.#start(event);
        return;
      case 'content_block_delta':
        this.#grow(event);
        return;
      case 'content_block_stop':
        this.#at(event.index).done = true;
        return;
      case 'message_delta':
        this.#stopReason = event.delta.stop_reason;
        this.#refusal = refusalOf(event.delta);
        this.#count(event.usage);
        return;
      case 'message_stop':
        this.#stopped = true;
    }
  }

  finish(requestId: string | null): Answer {
    const message = this.#message;
    if (message === null) throw this.#broken('no message began');
    if (!this.#stopped || this.#stopReason === null) throw this.#broken('the message has no end');
    if (this.#blocks.some(({ done }) => !done)) throw this.#broken('a block has no end');
    const malformed: string[] = [];
    const content = this.#blocks.flatMap(({ block, json }): Block[] => {
      if (block === null) return [];
      if (block.type !== 'tool_use') return [block];
      const input = parseInput(json);
      if (input === null) malformed.push(block.id);
      return [{ ...block, input: input ?? {} }];
    });
    return {
      ...message,
      requestId,
      content,
      stopReason: this.#stopReason,
      refusal: this.#refusal,
      malformed,
      usage: this.#usage,
    };
  }

  #start({ index, content_block: given }: Anthropic.RawContentBlockStartEvent): void {
    if (index !== this.#blocks.length || index >= BLOCKS_MAX) {
      throw this.#broken(`block ${index} begins after ${this.#blocks.length}`);
    }
    this.#blocks.push({ block: emptyBlock(given), json: '', done: false });
  }

  #grow({ index, delta }: Anthropic.RawContentBlockDeltaEvent): void {
    const partial = this.#at(index);
    const { block } = partial;
    const text = textOfDelta(delta);
    this.#characters += text.length;
    if (this.#characters > CHARACTERS_MAX) throw this.#broken('the answer is too long');
    if (block === null || delta.type === 'citations_delta') return;
    if (delta.type === 'text_delta' && block.type === 'text') block.text += text;
    else if (delta.type === 'thinking_delta' && block.type === 'thinking') block.thinking += text;
    else if (delta.type === 'signature_delta' && block.type === 'thinking') block.signature = text;
    else if (delta.type === 'input_json_delta' && block.type === 'tool_use') partial.json += text;
    else throw this.#broken(`${delta.type} for a block of type ${block.type}`);
  }

  #at(index: number): Partial {
    const partial = this.#blocks[index];
    if (partial === undefined || partial.done) throw this.#broken(`there is no block ${index}`);
    return partial;
  }

  /** Counts are cumulative; a later event may leave out what an earlier one told. */
  #count(given: Anthropic.Usage | Anthropic.MessageDeltaUsage): void {
    const tokens = (value: number | null | undefined, before: number) => {
      const count = value ?? before;
      if (!Number.isSafeInteger(count) || count < 0) throw this.#broken(`${count} tokens`);
      return count;
    };
    const { input, cacheWrite, cacheRead, output } = this.#usage;
    this.#usage = {
      input: tokens(given.input_tokens, input),
      cacheWrite: tokens(given.cache_creation_input_tokens, cacheWrite),
      cacheRead: tokens(given.cache_read_input_tokens, cacheRead),
      output: tokens(given.output_tokens, output),
    };
  }

  #broken(reason: string): BrokenStream {
    return new BrokenStream(`broken answer: ${reason}`, this.begun);
  }
}

function emptyBlock(given: Anthropic.RawContentBlockStartEvent['content_block']): Block | null {
  switch (given.type) {
    case 'text':
      return { type: 'text', text: given.text };
    case 'thinking':
      return { type: 'thinking', thinking: given.thinking, signature: given.signature };
    case 'redacted_thinking':
      return { type: 'redacted_thinking', data: given.data };
    case 'tool_use':
      return { type: 'tool_use', id: given.id, name: given.name, input: {} };
    default:
      return null;
  }
}

function textOfDelta(delta: Anthropic.RawContentBlockDelta): string {
  switch (delta.type) {
    case 'text_delta':
      return delta.text;
    case 'thinking_delta':
      return delta.thinking;
    case 'signature_delta':
      return delta.signature;
    case 'input_json_delta':
      return delta.partial_json;
    default:
      return '';
  }
}

/** Null = not a JSON object. No input at all is an empty one. */
function parseInput(json: string): object | null {
  if (json.trim() === '') return {};
  try {
    const input: unknown = JSON.parse(json);
    return typeof input === 'object' && input !== null && !Array.isArray(input) ? input : null;
  } catch {
    return null;
  }
}

function refusalOf(delta: Anthropic.RawMessageDeltaEvent.Delta): string | null {
  if (delta.stop_reason !== 'refusal') return null;
  return delta.stop_details?.type === 'refusal'
    ? (delta.stop_details.category ?? 'other')
    : 'other';
}
