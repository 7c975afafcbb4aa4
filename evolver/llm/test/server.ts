/**
 * A local server that speaks the Messages API: what it refuses the real one refuses, what it
 * streams the real one streams. A script says what the model does; the server counts tokens and
 * caches.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NO_USAGE, type Usage } from '../prices.ts';

export type Said =
  | { text: string }
  | { thinking: string }
  | { tool: string; input: unknown }
  /** Input that is not JSON. */
  | { tool: string; broken: string };

export type Reply =
  | { say: Said[]; stop?: string; refusal?: string; outputTokens?: number }
  /** The connection ends after some events. */
  | { say: Said[]; cutAfter: number }
  /** No answer at all. */
  | { silent: true }
  | { status: number; type: string; message?: string; headers?: Record<string, string> };

export interface Asked {
  model: string;
  max_tokens: number;
  system: { text: string; cache_control?: object }[];
  cache_control?: object;
  tools?: { name: string }[];
  messages: { role: string; content: string | Record<string, unknown>[] }[];
  output_config?: { effort: string };
}

/** `number` counts the requests from 0. */
export type Script = (asked: Asked, number: number) => Reply;

export interface Billed {
  model: string;
  usage: Usage;
  /** The answer never arrived whole. */
  cut: boolean;
}

export interface Server {
  url: string;
  key: string;
  asked: Asked[];
  billed: Billed[];
}

export const KEY = 'sk-ant-canary-5bd1e995';
const CHARS_PER_TOKEN = 4;

/** `context` = whoever says when the test is over. */
export async function messagesServer(
  context: { after(act: () => void): void },
  script: Script,
): Promise<Server> {
  const server: Server = { url: '', key: KEY, asked: [], billed: [] };
  const cached = new Set<string>();
  const http = createServer((request, response) => {
    void readBody(request).then((body) => {
      const problem = problemOf(request, body);
      if (problem !== null) return refuse(response, problem);
      const asked = body as Asked;
      const number = server.asked.push(asked) - 1;
      const reply = script(asked, number);
      if ('status' in reply) return refuse(response, reply);
      if ('silent' in reply) return;
      const usage = count(asked, reply, cached);
      server.billed.push({ model: asked.model, usage, cut: 'cutAfter' in reply });
      stream(response, asked, reply, usage, number);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    http.closeAllConnections();
    http.close();
  });
  server.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return server;
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

type Problem = Extract<Reply, { status: number }>;
type Spoken = Extract<Reply, { say: unknown }>;

function problemOf(request: IncomingMessage, body: unknown): Problem | null {
  const bad = (message: string) => ({ status: 400, type: 'invalid_request_error', message });
  if (request.method !== 'POST' || request.url !== '/v1/messages') {
    return { status: 404, type: 'not_found_error', message: `${request.method} ${request.url}` };
  }
  // The SDK sends an API key as a bearer token.
  if (request.headers.authorization !== `Bearer ${KEY}`) {
    return { status: 401, type: 'authentication_error', message: 'invalid x-api-key' };
  }
  if (request.headers['anthropic-version'] !== '2026-10-21') return bad('anthropic-version');
  const asked = body as Asked & { stream?: boolean } & Record<string, unknown>;
  if (asked.stream !== true) return bad('stream: this test streams');
  for (const gone of ['temperature', 'top_p', 'top_k', 'tool_choice', 'thinking']) {
    if (gone in asked) return bad(`${gone}: not supported by this model`);
  }
  const turns = turnProblem(asked.messages);
  return turns === null ? null : bad(turns);
}

/** Turns alternate, no text is empty, and every tool call has its result in the next turn. */
function turnProblem(messages: Asked['messages']): string | null {
  let open: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    if (role !== (index % 2 === 0 ? 'user' : 'assistant')) return `messages.${index}: ${role}`;
    const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
    if (blocks.length === 0) return `messages.${index}: no content`;
    if (blocks.some(({ type, text }) => type === 'text' && text === '')) {
      return `messages.${index}: text content blocks must be non-empty`;
    }
    const ids = (type: string, key: string) =>
      blocks.filter((block) => block.type === type).map((block) => String(block[key as 'type']));
    const results = ids('tool_result', 'tool_use_id');
    if (open.join() !== results.join()) {
      return `messages.${index}: tool_use ids ${open} without tool_result blocks`;
    }
    open = ids('tool_use', 'id');
  }
  return messages.length % 2 === 1 ? null : 'the conversation must end with a user message';
}

function refuse(response: ServerResponse, { status, type, message = type, headers }: Problem) {
  response.writeHead(status, {
    'content-type': 'application/json',
    'request-id': 'req_refused',
    ...headers,
  });
  response.end(JSON.stringify({ type: 'error', error: { type, message } }));
}

/** What is marked for the cache is written once and read afterwards. */
function count(asked: Asked, reply: Spoken, cached: Set<string>): Usage {
  const prefixes = [JSON.stringify([asked.model, asked.tools, asked.system])];
  for (const message of asked.messages) {
    prefixes.push(`${prefixes.at(-1)}${JSON.stringify(message)}`);
  }
  const tokens = (text: string | undefined) => Math.ceil((text?.length ?? 0) / CHARS_PER_TOKEN);
  const whole = tokens(prefixes.at(-1));
  const read = tokens(prefixes.findLast((prefix) => cached.has(prefix)));
  const marked = asked.cache_control !== undefined;
  const written = marked ? whole : tokens(prefixes[0]);
  for (const prefix of marked ? prefixes : prefixes.slice(0, 1)) cached.add(prefix);
  const said = tokens(JSON.stringify(reply.say));
  const output = ('outputTokens' in reply ? reply.outputTokens : undefined) ?? said;
  return {
    ...NO_USAGE,
    input: whole - Math.max(read, written),
    cacheWrite: Math.max(0, written - read),
    cacheRead: read,
    output,
  };
}

function stream(
  response: ServerResponse,
  asked: Asked,
  reply: Spoken,
  usage: Usage,
  number: number,
): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'request-id': `req_${number}`,
  });
  const events = eventsOf(asked, reply, usage, number);
  const sent = 'cutAfter' in reply ? events.slice(0, reply.cutAfter) : events;
  for (const event of sent) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  // What was written arrives; the end of the body never does.
  if ('cutAfter' in reply) response.write('', () => response.socket?.end());
  else response.end();
}

type Event = { type: string } & Record<string, unknown>;

function eventsOf(asked: Asked, reply: Spoken, usage: Usage, number: number): Event[] {
  const input = {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
  };
  const message = {
    id: `msg_${number}`,
    type: 'message',
    role: 'assistant',
    model: asked.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...input, output_tokens: 1 },
  };
  const tools = reply.say.some((block) => 'tool' in block);
  const stop = 'stop' in reply ? reply.stop : undefined;
  const refusal = 'refusal' in reply ? reply.refusal : undefined;
  const delta = {
    stop_reason: refusal === undefined ? (stop ?? (tools ? 'tool_use' : 'end_turn')) : 'refusal',
    stop_sequence: null,
    stop_details:
      refusal === undefined ? null : { type: 'refusal', category: refusal, explanation: null },
  };
  return [
    { type: 'message_start', message },
    { type: 'ping' },
    ...reply.say.flatMap((block, index) => blockEvents(block, index, number)),
    { type: 'message_delta', delta, usage: { ...input, output_tokens: usage.output } },
    { type: 'message_stop' },
  ];
}

function blockEvents(block: Said, index: number, number: number): Event[] {
  const start = (content_block: object) => ({ type: 'content_block_start', index, content_block });
  const grow = (delta: object) => ({ type: 'content_block_delta', index, delta });
  const stop = { type: 'content_block_stop', index };
  if ('text' in block) {
    const parts = block.text.match(/[\s\S]{1,200}/g) ?? [];
    return [
      start({ type: 'text', text: '' }),
      ...parts.map((text) => grow({ type: 'text_delta', text })),
      stop,
    ];
  }
  if ('thinking' in block) {
    return [
      start({ type: 'thinking', thinking: '', signature: '' }),
      grow({ type: 'thinking_delta', thinking: block.thinking }),
      grow({ type: 'signature_delta', signature: 'c2ln' }),
      stop,
    ];
  }
  const json = 'broken' in block ? block.broken : JSON.stringify(block.input);
  const parts = json.match(/[\s\S]{1,100}/g) ?? [''];
  const id = `toolu_${number}_${index}`;
  return [
    start({ type: 'tool_use', id, name: block.tool, input: {}, caller: { type: 'direct' } }),
    ...parts.map((partial_json) => grow({ type: 'input_json_delta', partial_json })),
    stop,
  ];
}

/** A cell of the exploring arm. */
export function cell(code: string): Reply {
  return { say: [{ thinking: 'hm' }, { tool: 'repl_exec', input: { code } }] };
}

export function say(text: string): Reply {
  return { say: [{ text }] };
}
