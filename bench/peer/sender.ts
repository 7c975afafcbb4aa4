/**
 * Sends bodies by remote write over a few connections, each as fast as it is answered: in bursts,
 * so that who receives them waits for none to be made.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export const CONNECTIONS = 4;
/** Few enough that a sample is still new when it is sent. */
const BURST = 200;
const TRIES_MAX = 30;

export interface Receiver {
  /** Of remote write 1.0. */
  url: string;
  token?: string | undefined;
}

/** Returns what was sent. Throws when a body is refused for good. */
export async function sendAll(
  receiver: Receiver,
  bodies: Iterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const next = bodies[Symbol.iterator]();
  const sent: Uint8Array[] = [];
  const connection = async (burst: Iterator<Uint8Array>) => {
    for (let one = burst.next(); one.done !== true; one = burst.next()) {
      await send(receiver, agent, one.value, signal);
    }
  };
  try {
    for (let burst = take(next, BURST); burst.length > 0; burst = take(next, BURST)) {
      sent.push(...burst);
      const rest = burst.values();
      await Promise.all(Array.from({ length: CONNECTIONS }, () => connection(rest)));
    }
  } finally {
    agent.destroy();
  }
  return sent;
}

function take<T>(from: Iterator<T>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const one = from.next();
    if (one.done === true) break;
    taken.push(one.value);
  }
  return taken;
}

/** As every sender does: what is refused for now comes again. */
export async function send(
  receiver: Receiver,
  agent: Agent,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { status, text, retryAfter } = await post(receiver, agent, body, signal);
    if (status >= 200 && status < 300) return;
    const temporary = status === 429 || status >= 500;
    if (!temporary || tries === TRIES_MAX) throw new Error(`${receiver.url}: ${status} ${text}`);
    await sleep(1_000 * (Number(retryAfter) || 1), undefined, { signal });
  }
}

interface Answer {
  status: number;
  text: string;
  retryAfter: string | undefined;
}

function post(
  receiver: Receiver,
  agent: Agent,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<Answer> {
  const headers: Record<string, string> = {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
  };
  if (receiver.token !== undefined) headers.authorization = `Bearer ${receiver.token}`;
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', agent, headers, signal };
    const sent = request(receiver.url, options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(parts).toString();
        const retryAfter = response.headers['retry-after'];
        resolve({ status: response.statusCode ?? 0, text, retryAfter });
      });
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
