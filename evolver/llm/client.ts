/**
 * Asks a model over the Messages API: streamed, with the static prefix and the conversation so far
 * cached, tried again a bounded number of times where that helps.
 */
import { setTimeout as pause } from 'node:timers/promises';
import Anthropic, { APIConnectionError, APIError, APIUserAbortError } from '@anthropic-ai/sdk';
import { LlmFault } from './faults.ts';
import type { RetryLimits } from './settings.ts';
import { Assembly, BrokenStream } from './stream.ts';
import type { Answer, Question } from './wire.ts';

export interface ClientOptions {
  apiKey: string;
  /** Null = Anthropic's. */
  baseUrl: string | null;
  retry: RetryLimits;
}

/** Called before each try; `paid` tells that the try before it may have cost what was booked. */
export type BeforeTry = (paid: boolean) => void;

const DEFAULT_BASE_URL = 'https://api.anthropic.com';
const CACHE = { type: 'ephemeral' } as const;

export class ModelClient {
  readonly #anthropic: Anthropic;
  readonly #retry: RetryLimits;
  readonly #apiKey: string;

  constructor({ apiKey, baseUrl, retry }: ClientOptions) {
    this.#apiKey = apiKey;
    this.#retry = retry;
    this.#anthropic = new Anthropic({
      apiKey,
      baseURL: baseUrl ?? DEFAULT_BASE_URL,
      maxRetries: 0,
      timeout: retry.timeoutMs,
      // Neither prompts nor headers may get into a log or a trace.
      logLevel: 'off',
      openTelemetry: false,
    });
  }

  /**
   * The whole answer, or a fault. A try that breaks after the model began may be billed;
   * `beforeTry` books the next one, and what it throws ends the call.
   */
  async ask(question: Question, beforeTry: BeforeTry, signal?: AbortSignal): Promise<Answer> {
    let paid = false;
    for (let tries = 1; ; tries++) {
      beforeTry(paid);
      try {
        return this.#withoutKey(await this.#once(question, signal));
      } catch (error) {
        if (signal?.aborted) throw error;
        paid = error instanceof BrokenStream && error.begun;
        const fault = this.#judge(error);
        if (fault.code !== 'unavailable') throw fault;
        const wait = fault.retryAfterMs ?? this.#retry.pauseMs * 2 ** (tries - 1);
        const tooLong = fault.retryAfterMs !== null && wait > this.#retry.pauseMsMax;
        if (tries >= this.#retry.tries || tooLong) throw new PaidFault(fault, paid);
        await pause(Math.min(wait, this.#retry.pauseMsMax), undefined, { signal });
      }
    }
  }

  async #once(question: Question, signal?: AbortSignal): Promise<Answer> {
    const assembly = new Assembly();
    const timeout = AbortSignal.timeout(this.#retry.timeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const { data, request_id: id } = await this.#anthropic.messages
      .create(toRequest(question), { signal: either })
      .withResponse()
      .catch((error: unknown) => {
        // Nobody knows what the model did meanwhile.
        throw timeout.aborted ? new BrokenStream('no answer in time', true) : error;
      });
    try {
      for await (const event of data) assembly.add(event);
    } catch (error) {
      if (error instanceof BrokenStream) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new BrokenStream(`broken answer: ${reason}`, assembly.begun, { cause: error });
    }
    // The SDK ends a stream quietly when its signal fires.
    return assembly.finish(id ?? null);
  }

  #judge(error: unknown): LlmFault {
    const reason = this.#scrub(error instanceof Error ? error.message : String(error));
    if (error instanceof BrokenStream) return new LlmFault('unavailable', reason);
    if (error instanceof APIUserAbortError || error instanceof APIConnectionError) {
      return new LlmFault('unavailable', `the API cannot be reached: ${reason}`);
    }
    if (!(error instanceof APIError)) throw error;
    const status = error.status ?? 0;
    const told = `${status}: ${this.#scrub(error.apiMessage ?? reason)}`.slice(0, 400);
    if ([401, 402, 403].includes(status)) {
      return new LlmFault('auth', `the API refuses the key in ANTHROPIC_API_KEY (${told})`);
    }
    const again = status === 408 || status === 409 || status === 429 || status >= 500;
    if (!again) return new LlmFault('bad-request', `the API refuses the request (${told})`);
    return new LlmFault('unavailable', `the API is busy (${told})`, retryAfter(error.headers));
  }

  #withoutKey(answer: Answer): Answer {
    const text = JSON.stringify(answer);
    return text.includes(this.#apiKey) ? (JSON.parse(this.#scrub(text)) as Answer) : answer;
  }

  /** An endpoint may echo what it was sent; nothing that is kept or told may hold the key. */
  #scrub(text: string): string {
    return text.replaceAll(this.#apiKey, '[key]');
  }
}

/** A fault, and whether the last try may have cost what was booked for it. */
export class PaidFault extends LlmFault {
  readonly paid: boolean;

  constructor({ code, message, retryAfterMs }: LlmFault, paid: boolean) {
    super(code, message, retryAfterMs);
    this.paid = paid;
  }
}

function toRequest(question: Question): Anthropic.MessageCreateParamsStreaming {
  const { model, effort, maxTokens, system, tools, messages } = question;
  return {
    model,
    max_tokens: maxTokens,
    stream: true,
    // One mark ends the static prefix; the other, at the end, moves along with the conversation.
    system: [{ type: 'text', text: system, cache_control: CACHE }],
    cache_control: CACHE,
    messages,
    ...(tools.length > 0 && { tools }),
    ...(effort !== null && { output_config: { effort } }),
  };
}

const SECONDS_MAX = 86_400;

function retryAfter(headers: Headers | undefined): number | null {
  const precise = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  if (precise >= 0) return precise;
  const text = headers?.get('retry-after');
  if (text == null || text === '') return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.min(Math.max(0, seconds), SECONDS_MAX) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}
