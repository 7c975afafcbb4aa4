/** The command line's HTTP client: one request, retried while the API cannot be reached. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProblemDocument } from '../api/problem.ts';

export interface Endpoint {
  api: string;
  token: string;
}

export interface RequestOptions {
  query?: Record<string, string | number | undefined>;
  /** JSON, or text or bytes with their media type. */
  body?: object | Content;
}

interface Content {
  text: string | Uint8Array<ArrayBuffer>;
  mediaType: string;
}

/** The API answered with a problem document. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly document: ProblemDocument;

  constructor(document: ProblemDocument) {
    super(`${document.title}: ${document.detail}`);
    this.document = document;
  }
}

/** Nobody answered, or it was not the API. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

const attemptsMax = 3;
const timeoutMs = 35_000;

export class ApiClient {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    return JSON.parse(await this.text(method, path, options)) as T;
  }

  async text(method: string, path: string, options: RequestOptions = {}): Promise<string> {
    return Buffer.from(await this.bytes(method, path, options)).toString('utf8');
  }

  /** Every attempt carries the same idempotency key, so that a request takes effect once. */
  async bytes(method: string, path: string, options: RequestOptions = {}): Promise<Uint8Array> {
    const key = randomUUID();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await this.#send(method, path, options, key);
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (response.ok) return bytes;
        throw toError(response, Buffer.from(bytes).toString('utf8'));
      } catch (error) {
        const passing = error instanceof UnreachableError || isUnavailable(error);
        if (!passing || attempt === attemptsMax) throw error;
        await sleep(attempt * 500);
      }
    }
  }

  async #send(
    method: string,
    path: string,
    options: RequestOptions,
    key: string,
  ): Promise<Response> {
    const url = new URL(path, this.#endpoint.api);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.#endpoint.token}`,
      'idempotency-key': key,
    };
    const content = encodeBody(options.body);
    if (content !== null) headers['content-type'] = content.mediaType;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      return await fetch(url, { method, headers, signal, body: content?.text ?? null });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new UnreachableError(`the API at ${this.#endpoint.api} cannot be reached: ${reason}`);
    }
  }
}

function encodeBody(body: RequestOptions['body']): Content | null {
  if (body === undefined) return null;
  if ('text' in body && 'mediaType' in body) return body as Content;
  return { text: JSON.stringify(body), mediaType: 'application/json' };
}

function toError(response: Response, text: string): Error {
  if (response.headers.get('content-type') === 'application/problem+json') {
    return new ProblemError(JSON.parse(text) as ProblemDocument);
  }
  return new UnreachableError(`${response.url} answered ${response.status}: not Ratchet's API?`);
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ProblemError && error.document.status === 503;
}
